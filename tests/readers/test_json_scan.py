"""The scanner: on plain lines it finds what a parser finds, on others it says so."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.readers import json_scan, jsonlines
from beacon_detect.readers.base import Problems
from beacon_detect.readers.jsonlines import ObjectParser, parse_block
from beacon_detect.readers.lines import LineBlock

SCHEMA = pa.schema(
    [
        ("n", pa.int64()), ("f", pa.float64()), ("s", pa.string()),
        ("o", pa.struct([("x", pa.int64()), ("s", pa.string())])),
    ]
)  # fmt: skip
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=6)  # fmt: skip
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
NUMBER = st.integers(-(10**15), 10**15)
DECIMAL = st.decimals(-(10**9), 10**9, places=6).map(float)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.one_of(NUMBER, st.none(), JUNK), "f": st.one_of(DECIMAL, JUNK),
        "s": st.one_of(PLAIN, JUNK), "other": JUNK, "o.x": JUNK,
        "o": st.one_of(st.fixed_dictionaries({}, optional={"x": NUMBER, "s": PLAIN, "y": JUNK}), JUNK),
    },
)  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "WARM_BYTES", 0)
    monkeypatch.setattr(jsonlines, "COLD_BYTES", 0)


def by_line(objects: jsonlines.Objects) -> list[tuple[int, dict[str, Any]]]:
    rows = zip(objects.lines().tolist(), objects.table.to_pylist(), strict=True)
    return sorted(rows, key=lambda row: row[0])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    a, b = one.pop("f"), other.pop("f")
    # A struct that is missing and one whose fields are all missing say the same.
    for row in (one, other):
        row["o"] = {"x": None, "s": None} | (row["o"] or {})
    return one == other and (a == b or (None not in (a, b) and a == pytest.approx(b, rel=1e-14)))


@settings(deadline=None)
@given(
    st.lists(OBJECTS, max_size=12),
    st.sampled_from([{}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}]),
)
def test_the_scanner_agrees_with_the_parser(values: list[dict[str, Any]], style: dict) -> None:
    block = LineBlock("\n".join(json.dumps(value, **style) for value in values).encode(), 7)
    scanned = by_line(ObjectParser(SCHEMA, "f", Problems()).parse(block))
    parsed = by_line(parse_block(block, SCHEMA, "f", Problems()))

    assert [line for line, _ in scanned] == [line for line, _ in parsed]
    for (_, one), (_, other) in zip(scanned, parsed, strict=True):
        assert same(one, other), (one, other)


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), OBJECTS.map(lambda o: json.dumps(o).encode()))), st.data())  # fmt: skip
def test_any_bytes_are_scanned_or_handed_on(lines: list[bytes], data: st.DataObject) -> None:
    content = bytearray(b"\n".join(lines))
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    objects = ObjectParser(SCHEMA, "f", Problems()).parse(LineBlock(bytes(content), 1))

    assert objects.table.schema.equals(SCHEMA)


@given(st.binary(max_size=60))
def test_nothing_outside_the_line_is_read(line: bytes) -> None:
    class Watched(bytes):
        def __getitem__(self, at: int) -> int:  # type: ignore[override]
            assert 0 <= at < len(line)
            return super().__getitem__(at)

    fields = [-1] * json_scan.TABLE
    json_scan.scan_line(Watched(line), 0, len(line), fields, fields, [], [], [], 0)


def test_schemas_with_lists_are_left_to_the_parser() -> None:
    parser = ObjectParser(pa.schema([("l", pa.list_(pa.string()))]), "f", Problems())

    assert parser.parse(LineBlock(b'{"l":["a"]}', 1)).table.to_pylist() == [{"l": ["a"]}]
