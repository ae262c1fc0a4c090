"""decode_body: the type decides, every form round-trips, only DataError comes out."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import (
    BodyTooLargeError,
    UnsupportedBodyError,
    decode_body,
)
from beacon_detect.control_plane.intake.checks import BOUNDS
from beacon_detect.errors import DataError
from beacon_detect.records import record_schema
from beacon_detect.wire import ARROW_CONTENT_TYPE, BatchHeader, encode_batch
from records_factory import json_rows, make_header, make_records

MIB = 1 << 20
NDJSON, JSON = "application/x-ndjson", "application/json"
WEB = {"time": 1.5, "src": "10.0.0.1", "dst": "10.0.0.2", "dst_port": 443, "protocol": "tcp"}


def decode(
    body: bytes, content_type: str, encoding: str = "", **fields: str
) -> tuple[BatchHeader, pa.Table]:
    return decode_body(
        body,
        content_type=content_type,
        content_encoding=encoding,
        fields={name.replace("_", "-"): value for name, value in fields.items()},
        max_bytes=4 * MIB,
    )


def encode(table: pa.Table, header: BatchHeader, content_type: str) -> bytes:
    if content_type == ARROW_CONTENT_TYPE:
        return encode_batch(table, header)
    rows = json_rows(table)
    if content_type == NDJSON:
        return "\n".join(map(json.dumps, rows)).encode()
    return json.dumps({"sensor": header.sensor, "batch": header.batch, "records": rows}).encode()


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw valid record tables: every column anywhere within its bounds."""
    count = draw(st.integers(1, 5))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    columns: dict[str, Any] = {
        name: column(st.integers(bounds.least, bounds.most)) for name, bounds in BOUNDS.items()
    }
    for name in ("connection_id", "cgroup"):
        columns[name] = column(st.integers(0, 2**64 - 1))
    for name in ("src", "dst"):
        columns[name] = column(st.ip_addresses().map(str))
    for name in ("process", "executable", "container", "name"):
        columns[name] = column(st.text(max_size=8))
    return make_records(count, **columns)


@settings(deadline=None, max_examples=80)
@given(tables(), st.sampled_from([ARROW_CONTENT_TYPE, NDJSON, JSON]))
def test_decoding_undoes_encoding(table: pa.Table, content_type: str) -> None:
    header = make_header("sensor ☂" if content_type == JSON else "sensor")
    body = encode(table, header, content_type)
    got, decoded = decode(
        body, content_type, beacon_sensor=header.sensor, beacon_batch=header.batch
    )

    assert (got.sensor, got.batch) == (header.sensor, header.batch)
    assert decoded.schema == record_schema()
    assert decoded.to_pylist() == table.to_pylist()
    decoded.validate(full=True)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        (NDJSON, "Application/X-NDJSON; charset=utf-8"),
        (NDJSON, "application/ndjson"),
        (NDJSON, "application/jsonl"),
        (JSON, "application/json;charset=UTF-8"),
        (ARROW_CONTENT_TYPE, ARROW_CONTENT_TYPE.upper()),
    ],
)
def test_content_types_are_read_like_http_writes_them(written: str, same: str) -> None:
    body = encode(make_records(3), make_header(), written)

    assert decode(body, same)[1].num_rows == 3


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/msgpack", "json"])
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedBodyError, match="content type"):
        decode(b"{}", content_type)


@pytest.mark.parametrize("content_type", [ARROW_CONTENT_TYPE, NDJSON, JSON])
def test_bodies_may_be_compressed(content_type: str) -> None:
    body = encode(make_records(3), make_header(), content_type)
    zstd = bytes(pa.Codec("zstd").compress(body))

    assert decode(gzip.compress(body), content_type, "gzip")[1].num_rows == 3
    assert decode(zstd, content_type, "zstd")[1].num_rows == 3


def test_sensor_and_batch_come_from_the_body_before_the_fields() -> None:
    line = json.dumps(WEB).encode()
    whole = json.dumps({"sensor": "own", "batch": "own-1", "records": [WEB]}).encode()
    bare = json.dumps({"records": [WEB]}).encode()
    fields = {"beacon_sensor": "field", "beacon_batch": "field-1"}

    assert decode(line, NDJSON, **fields)[0] == BatchHeader("field", "field-1")
    assert decode(whole, JSON, **fields)[0] == BatchHeader("own", "own-1")
    assert decode(bare, JSON, **fields)[0] == BatchHeader("field", "field-1")


def test_a_batch_without_id_is_known_by_its_content() -> None:
    first, again = (decode(json.dumps(WEB).encode(), NDJSON)[0] for _ in range(2))
    other = decode(json.dumps(WEB | {"dst_port": 80}).encode(), NDJSON)[0]
    packed = decode(gzip.compress(json.dumps(WEB).encode()), NDJSON, "gzip")[0]

    assert first == again == packed
    assert first.sensor == "api"
    assert first.batch != other.batch


@pytest.mark.parametrize("fields", [{"beacon_sensor": "x" * 129}, {"beacon_batch": "a\tb"}])
def test_identifiers_in_fields_are_checked(fields: dict[str, str]) -> None:
    with pytest.raises(DataError, match="printable"):
        decode(json.dumps(WEB).encode(), NDJSON, **fields)


def test_texts_of_json_records_are_bounded() -> None:
    with pytest.raises(DataError, match="too long"):
        decode(json.dumps(WEB | {"process": "x" * 5000}).encode(), NDJSON)


def test_size_is_bounded_before_and_after_decompression() -> None:
    large = b" " * (5 * MIB)
    for body, encoding in ((large, ""), (gzip.compress(large), "gzip")):
        with pytest.raises(BodyTooLargeError):
            decode(body, NDJSON, encoding)


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=300),
    st.sampled_from([ARROW_CONTENT_TYPE, NDJSON, JSON]),
    st.sampled_from(["", "gzip", "zstd"]),
)
def test_noise_is_a_data_error(body: bytes, content_type: str, encoding: str) -> None:
    with pytest.raises(DataError):
        decode(body, content_type, encoding)


def test_many_records_stay_columns() -> None:
    count = 20_000
    ports = np.arange(count) % 65_536
    body = encode(make_records(count, dst_port=ports), make_header(), NDJSON)
    _, table = decode_body(body, content_type=NDJSON, fields={}, max_bytes=64 * MIB)

    assert table["dst_port"].to_pylist() == ports.tolist()
