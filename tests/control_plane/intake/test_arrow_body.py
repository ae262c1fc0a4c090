"""Arrow bodies: exact schema, header in the metadata, nothing trusted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import BodyTooLargeError, RecordFaultsError
from beacon_detect.control_plane.intake.arrow_body import decode_arrow
from beacon_detect.errors import DataError
from beacon_detect.records import record_schema
from beacon_detect.wire import HEADER_KEY, encode_batch
from records_factory import make_header, make_records

MIB = 1 << 20
HEADER = {"sensor": "s", "batch": "b"}


def body(table: pa.Table, header: Any = HEADER, compression: str | None = None) -> bytes:
    """Return a stream of any schema."""
    metadata = {} if header is None else {HEADER_KEY: json.dumps(header).encode()}
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema.with_metadata(metadata), options=options) as out:
        out.write_table(table)
    return bytes(sink.getvalue())


def test_an_encoded_batch_comes_back() -> None:
    header = make_header(boot="b", mode="host", session="x", losses={"ring_full": 3})
    table = make_records(100, process=[f"p{n % 7}" for n in range(100)], dst="2001:db8::1")

    decoded_header, decoded = decode_arrow(encode_batch(table, header), MIB)
    assert decoded_header == header
    assert decoded.schema.equals(record_schema(), check_metadata=True)
    assert decoded.to_pylist() == table.to_pylist()


def test_an_empty_batch_comes_back() -> None:
    assert (
        decode_arrow(encode_batch(make_records(1).slice(0, 0), make_header()), MIB)[1].num_rows == 0
    )


def test_columns_may_come_in_any_order_and_in_several_batches() -> None:
    table = make_records(10).select(record_schema().names[::-1])
    pieces = pa.Table.from_batches(table.to_batches(max_chunksize=3))

    assert decode_arrow(body(pieces), MIB)[1].to_pylist() == table.to_pylist()


RECORDS = make_records(3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (RECORDS.drop_columns(["pid"]), "column 'pid' is missing"),
        (RECORDS.append_column("colour", pa.array([1, 2, 3])), "column 'colour' is not known"),
        (RECORDS.append_column("pid", RECORDS["pid"]), "column 'pid' is there twice"),
        (
            RECORDS.set_column(2, "time", pa.array([1, 2, 3], pa.int32())),
            "column 'time' must be int64, not int32",
        ),
        (
            RECORDS.set_column(22, "process", pa.array(["a", "b", "c"])),
            "column 'process' must be dictionary.*, not string",
        ),
        (
            RECORDS.set_column(2, "time", pa.array([1, None, 3], pa.int64())),
            "column 'time' has nulls",
        ),
        (
            RECORDS.set_column(
                22,
                "process",
                pa.DictionaryArray.from_arrays(
                    pa.array([0, 0, 0], pa.int32()), pa.array([None, "a"])
                ),
            ),
            "column 'process' has nulls",
        ),
    ],
)
def test_another_schema_is_refused_by_column(table: pa.Table, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_arrow(body(table), MIB)


@pytest.mark.parametrize(
    "header",
    [None, [], {"sensor": "s"}, {"sensor": "", "batch": "b"}, {"sensor": "a\nb", "batch": "b"}],
)
def test_a_batch_without_a_usable_header_is_refused(header: Any) -> None:
    with pytest.raises(DataError, match="header"):
        decode_arrow(body(RECORDS, header), MIB)


def test_records_are_checked() -> None:
    with pytest.raises(RecordFaultsError, match=r"records\[1\]\.kind: 9 is not a record kind"):
        decode_arrow(body(make_records(kind=[1, 9, 1])), MIB)


def test_dictionary_codes_that_point_nowhere_are_refused() -> None:
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array(["a", "b"]))
    wrong = body(RECORDS.set_column(22, "process", codes))
    good, bad = (np.array([0, code, 0], np.int32).tobytes() for code in (1, 77))
    assert wrong.count(good) == 1

    with pytest.raises(DataError, match="not a valid Arrow IPC stream"):
        decode_arrow(wrong.replace(good, bad), MIB)


def test_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="not a valid Arrow IPC stream"):
        decode_arrow(body(make_records(process=["abcdefg"])).replace(b"abcdefg", b"\xff" * 7), MIB)


def test_a_compressed_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = body(make_records(100_000, time=1, series_time=1, connection_id=1), compression="zstd")
    assert len(bomb) < 2 * MIB

    with pytest.raises(BodyTooLargeError, match="once decompressed"):
        decode_arrow(bomb, 2 * MIB)


GOOD = [encode_batch(make_records(20), make_header()), body(make_records(20))]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 20_000),
)
def test_damage_is_a_data_error_or_harmless(
    good: bytes, damage: list[tuple[int, bytes]], cut: int
) -> None:
    damaged = bytearray(good)
    for place, noise in damage:
        place %= len(damaged)  # noqa: PLW2901
        damaged[place : place + len(noise)] = noise
    for attempt in (bytes(damaged), bytes(damaged[: cut % len(damaged)])):
        try:
            decode_arrow(attempt, MIB)
        except DataError:
            continue
