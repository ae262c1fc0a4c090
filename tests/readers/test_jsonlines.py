"""JSON lines: one broken line never costs its neighbours."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.base import Problems
from beacon_detect.readers.jsonlines import parse_block, pick_lines
from beacon_detect.readers.lines import LineBlock

SCHEMA = pa.schema(
    [
        ("n", pa.int64()), ("f", pa.float64()), ("s", pa.string()),
        ("l", pa.list_(pa.string())), ("o", pa.struct([("x", pa.int64())])),
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xy"), inner)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("nfslo"), VALUES)


@given(st.lists(st.tuples(st.integers(-(2**60), 2**60), st.text(max_size=5)), max_size=20))
def test_objects_of_the_right_types_are_read_as_they_are(rows: list[tuple[int, str]]) -> None:
    lines = "".join(json.dumps({"n": n, "extra": [1], "s": s}) + "\n" for n, s in rows)
    objects = parse_block(LineBlock(lines.encode(), 1), SCHEMA, "f", Problems())

    assert objects.table["n"].to_pylist() == [n for n, _ in rows]
    assert objects.table["s"].to_pylist() == [s for _, s in rows]
    assert objects.lines().tolist() == list(range(1, len(rows) + 1))


@given(st.lists(st.one_of(OBJECTS.map(json.dumps), st.sampled_from(["{", "[1]", "3", "nul"]))))
def test_any_object_is_a_row_and_anything_else_is_counted(lines: list[str]) -> None:
    problems = Problems()
    objects = parse_block(LineBlock("\n".join(lines).encode(), 1), SCHEMA, "f", problems)

    assert objects.table.schema.equals(SCHEMA)
    assert objects.table.num_rows + problems.total == len(lines)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_counted(data: bytes) -> None:
    parse_block(LineBlock(data, 1), SCHEMA, "f", Problems())


def test_values_of_a_wrong_type_become_null_and_the_line_is_kept() -> None:
    value: dict[str, Any] = {"n": "7", "f": "no", "s": 3, "l": "x", "o": [1]}
    objects = parse_block(LineBlock(json.dumps(value).encode(), 1), SCHEMA, "f", Problems())

    assert objects.table.to_pylist() == [{"n": 7, "f": None, "s": "3", "l": None, "o": None}]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(['{"event_type":"dns","x":1}', '{"a":2, "event_type" : "flow"}', "{}"]),
            st.sampled_from(['{"event_type":3}', '{"other_type":"flow"}', "", "x_event_type"]),
        ),
        max_size=20,
    )
)
def test_lines_are_picked_by_a_field(texts: list[str]) -> None:
    block = LineBlock("\n".join(texts).encode(), 5)
    picked, rest = pick_lines(block, b"event_type", [b"flow", b"dns", b"tls"])

    for value in (b"flow", b"dns", b"tls"):
        expected = [i for i, text in enumerate(texts, 5) if f'"{value.decode()}"' in text and '"event_type' in text]  # fmt: skip
        assert picked[value].numbers.tolist() == expected
        assert picked[value].data == b"".join(texts[i - 5].encode() + b"\n" for i in expected)
    filled = [text for text in texts if len(text) > 1]
    assert rest == sum('"event_type"' not in t or ":3" in t for t in filled)


def test_text_that_is_no_utf8_is_kept_as_far_as_it_is() -> None:
    objects = parse_block(LineBlock(b'{"s":"a\xfcb"}', 1), SCHEMA, "f", Problems())

    assert objects.table["s"].to_pylist() == ["a\ufffdb"]


@pytest.mark.parametrize("data", [b"\r\r", b'\r\r\n{"n": 3', b'{"n": 3}\n\r\r\n\r\n{'])
def test_lines_of_nothing_but_returns_do_not_shift_the_numbers(data: bytes) -> None:
    problems = Problems()
    parse_block(LineBlock(data, 1), SCHEMA, "f", problems)

    last = data.count(b"\n") + 1
    assert problems.examples in ([], [f"f:{last}: no JSON object"])
