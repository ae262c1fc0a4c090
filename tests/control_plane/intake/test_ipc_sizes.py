"""What an IPC stream will take is known before it is decoded."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.intake.ipc_sizes import decoded_bytes
from beacon_detect.errors import DataError
from beacon_detect.wire import encode_batch
from records_factory import make_header, make_records


def stream(table: pa.Table, compression: str | None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as out:
        out.write_table(table, max_chunksize=1000)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_buffers_count_with_their_claimed_size(compression: str) -> None:
    table = pa.table({"a": np.zeros(50_000, np.int64), "b": np.arange(50_000, dtype=np.int32)})
    body = stream(table, compression)

    assert len(body) < 300_000
    assert 600_000 <= decoded_bytes(body) <= 601_000


def test_plain_buffers_count_with_the_message() -> None:
    body = stream(pa.table({"a": np.zeros(5000, np.int64)}), None)

    assert 40_000 <= decoded_bytes(body) <= len(body)


def test_dictionaries_count_too() -> None:
    values = pa.array(["x" * 100_000 + str(n) for n in range(20)])
    table = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), values)})

    assert decoded_bytes(stream(table, "zstd")) >= 2_000_000


def test_a_lying_buffer_is_counted_as_it_claims() -> None:
    body = stream(pa.table({"a": np.zeros(1000, np.int64)}), "zstd")
    size = struct.pack("<q", 8000)
    assert body.count(size) == 1

    assert decoded_bytes(body.replace(size, struct.pack("<q", 2**40))) >= 2**40
    with pytest.raises(DataError, match="negative"):
        decoded_bytes(body.replace(size, struct.pack("<q", -(2**40))))


GOOD = encode_batch(make_records(20), make_header())


@given(st.binary(max_size=100) | st.integers(0, len(GOOD)).map(lambda cut: GOOD[:cut]))
def test_whatever_is_no_stream_is_a_data_error(body: bytes) -> None:
    with contextlib.suppress(DataError):
        assert decoded_bytes(body) >= 0
