"""Bodies that cannot be parsed: the record and field at fault are found for the sender."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import explain as explain_module
from beacon_detect.control_plane.intake.explain import explain

WEB = {"time": 1.5, "src": "10.0.0.1", "dst": "10.0.0.2", "dst_port": 443, "protocol": "tcp"}


def faults(*records: Any, nested: bool) -> list[str]:
    body = json.dumps({"records": records}) if nested else "\n".join(map(json.dumps, records))
    found = explain(body.encode(), nested=nested)
    return found.faults if found else []


@pytest.mark.parametrize("nested", [False, True], ids=["ndjson", "batch"])
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"srcc": "x"}, "srcc: unknown field; did you mean 'src'?"),
        ({"colour": 1}, "colour: unknown field"),
        ({"dst_port": "http"}, "dst_port: must be a whole number, not 'http'"),
        ({"dst_port": [1]}, "dst_port: must be a whole number, not a list"),
        ({"dst_port": True}, "dst_port: must be a whole number, not a truth value"),
        ({"dst_port": 1.5}, "dst_port: 1.5 is not a whole number"),
        ({"bytes_out": 10**40}, f"bytes_out: {10**40} is out of range"),
        ({"process": 5}, "process: must be text, not 5"),
        ({"process": {}}, "process: must be text, not an object"),
        ({"protocol": []}, "protocol: must be a whole number or text, not a list"),
        (
            {"protocol": 6},
            "protocol: text and numbers cannot be mixed in one batch; earlier records have text",
        ),
        (
            {"time": "2026-11-24T04:17:24Z"},
            "time: text and numbers cannot be mixed in one batch; earlier records have numbers",
        ),
    ],
)
def test_the_field_at_fault_is_named(nested: bool, change: dict[str, Any], fault: str) -> None:
    assert faults(WEB, WEB | change, WEB, nested=nested) == [f"records[1].{fault}"]


def test_a_line_that_is_no_json_is_named() -> None:
    found = explain(b'{"time":1}\n\n{"time":}\n', nested=False)

    assert found is not None
    assert found.faults[0].startswith("records[1]: not valid JSON")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"records":[],"color":1}', "color: unknown field"),
        (b'{"sensor":5,"records":[]}', "sensor: must be text, not 5"),
        (b'{"records":{}}', "records: must be a list, not an object"),
        (b'{"records":[5]}', "records[0]: must be an object, not 5"),
        (b'{"records":', "the body is not valid JSON: Expecting value"),
    ],
)
def test_the_envelope_is_explained_too(body: bytes, fault: str) -> None:
    found = explain(body, nested=True)

    assert found is not None
    assert found.faults[0].startswith(fault)


def test_good_records_have_no_faults() -> None:
    full = WEB | {"process": "x", "duration": "0.5", "connection_id": "17", "pid": None}

    assert faults(WEB, full, nested=False) == faults(WEB, full, nested=True) == []


def test_only_the_beginning_of_a_large_body_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_module, "MAX_EXPLAINED_BYTES", 200)
    records = [WEB] * 10 + [WEB | {"bad": 1}]

    assert faults(*records, nested=False) == faults(*records, nested=True) == []
    assert len(faults(*[{"bad": 1}] * 50, nested=False)) <= 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["time", "src", "records", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.booleans())
def test_any_json_is_explained_without_error(value: Any, nested: bool) -> None:
    explain(json.dumps(value).encode(), nested=nested)
