"""NDJSON and plain batches: parsed by column, any JSON spelling, bounded before parsing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import (
    BodyTooLargeError,
    RecordFaultsError,
    checks,
    json_body,
)
from beacon_detect.control_plane.intake.json_body import decode_batch, decode_ndjson
from beacon_detect.errors import DataError
from beacon_detect.records import SECOND

WEB = {
    "time": 1_700_000_000,
    "src": "10.0.0.1",
    "dst": "10.0.0.2",
    "dst_port": 443,
    "protocol": "tcp",
}


def lines(*records: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def batch(*records: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({**fields, "records": list(records)}, indent=2).encode()


def test_both_forms_give_the_same_records() -> None:
    records = [WEB | {"dst_port": port, "process": f"p{port}"} for port in (1, 2, 3)]
    sensor, name, table = decode_batch(batch(*records, sensor="s", batch="b"))

    assert (sensor, name) == ("s", "b")
    assert table.to_pylist() == decode_ndjson(lines(*records)).to_pylist()


@pytest.mark.parametrize("glue", [b"\n", b"\r\n", b"\n\n", b" ", b""])
def test_records_may_be_parted_by_any_space(glue: bytes) -> None:
    body = glue.join([lines(WEB)] * 3) + glue

    assert decode_ndjson(body).num_rows == 3


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [
        ("1700000000", 1_700_000_000 * SECOND),
        ("1700000000.123456789", 1_700_000_000 * SECOND + 123_456_789),
        ("1.7e9", 1_700_000_000 * SECOND),
        ("1700000000.1234567891", 1_700_000_000 * SECOND + 123_456_717),
        ('"1700000000.5"', None),
        ('"2023-11-14T22:13:20.5Z"', 1_700_000_000 * SECOND + SECOND // 2),
    ],
)
def test_times_are_numbers_or_rfc_3339(written: str, nanoseconds: int | None) -> None:
    body = lines(WEB).replace(b"1700000000", written.encode())
    if nanoseconds is None:
        with pytest.raises(RecordFaultsError, match="is not a time"):
            decode_ndjson(body)
    else:
        assert decode_ndjson(body)["time"].to_pylist() == [nanoseconds]


def test_numbers_may_be_written_with_a_point_or_as_text() -> None:
    table = decode_ndjson(
        lines(WEB | {"dst_port": 443.0, "bytes_out": "17", "duration": 0.1 + 0.2})
    )

    assert table.select(["dst_port", "bytes_out", "duration"]).to_pylist() == [
        {"dst_port": 443, "bytes_out": 17, "duration": 300_000_000}
    ]


def test_a_field_that_appears_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "PEEK_BYTES", 50)
    table = decode_ndjson(lines(WEB, WEB, WEB | {"process": "late"}, WEB | {"duration": 0.1 + 0.2}))

    assert table["process"].to_pylist() == ["", "", "late", ""]
    assert table["duration"].to_pylist() == [0, 0, 0, 300_000_000]


@pytest.mark.parametrize("decode", [decode_ndjson, decode_batch])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"  \n", b"null", b" null {}", b"[]", b"5", b'"x"', b"\x00", b"\xef\xbb\xbf{}",
        b'{"records":[]}', b'{"records":[null]}', b'{"records":[{}]}', b'{"records":{}}',
        b'{"records":[5]}', b"{}", b"{}{}", b"{}null", b"{", b'{"time"', b'{"time":nan}',
        b'{"process":"\xff"}', b'{"time":1,"time":2}', b'{"sensor":5,"records":[]}',
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_batch_is_a_data_error(decode: Any, body: bytes) -> None:
    with pytest.raises(DataError):
        decode(body)


@pytest.mark.parametrize(
    "start",
    [b"[", b'{"records":[', b'{"time":[', b'{"unknown":[', b'{"records":[[', b'{"a":{"a":'],
    ids=repr,
)
def test_nesting_without_end_does_no_harm(start: bytes) -> None:
    for decode in (decode_ndjson, decode_batch):
        with pytest.raises(DataError):
            decode(start + start[-1:] * 300_000)


@pytest.mark.parametrize(
    "body", [b"{}\n" * 11, b'{"records":[' + b"null, " * 11 + b"{}]}"], ids=["objects", "nulls"]
)
def test_rows_are_counted_before_they_take_memory(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MAX_RECORDS", 10)
    with pytest.raises(BodyTooLargeError, match="more than 10 records"):
        (decode_batch if b"null" in body else decode_ndjson)(body)


GOOD = [lines(WEB, WEB | {"kind": "start"}), batch(WEB, WEB, sensor="s")]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(
            st.integers(0, 500),
            st.binary(min_size=1, max_size=4) | st.sampled_from([b"null", b"[", b"{", b'"', b"\\"]),
        ),
        max_size=4,
    ),
    st.integers(0, 500),
)
def test_damage_is_a_data_error_or_harmless(
    good: bytes, damage: list[tuple[int, bytes]], cut: int
) -> None:
    damaged = bytearray(good)
    for place, noise in damage:
        damaged[place : place + len(noise)] = noise
    for attempt in (bytes(damaged), bytes(damaged[:cut])):
        for decode in (decode_ndjson, decode_batch):
            try:
                decode(attempt)
            except DataError:
                continue
