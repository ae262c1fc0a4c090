"""Laws of the telemetry batch on the wire."""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.errors import DataError
from beacon_detect.records import record_schema
from beacon_detect.wire import (
    HEADER_KEY,
    BatchEncoder,
    BatchHeader,
    check_header,
    encode_batch,
    parse_header,
)
from records_factory import make_records

identifiers = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=128)
headers = st.builds(
    BatchHeader,
    sensor=identifiers,
    batch=identifiers,
    boot=st.text(max_size=40),
    mode=st.sampled_from(["host", "gateway"]),
    losses=st.dictionaries(identifiers, st.integers(0, 2**62), max_size=5),
    session=st.text(max_size=40),
)


@given(headers)
def test_a_header_survives_the_wire(header: BatchHeader) -> None:
    assert parse_header(json.dumps(asdict(header)).encode()) == header


@given(st.binary(max_size=200))
def test_anything_else_is_refused_with_a_data_error(text: bytes) -> None:
    with pytest.raises(DataError):
        parse_header(text)


@pytest.mark.parametrize("bad", ["", "x" * 129, "line\nbreak"])
def test_unusable_identifiers_are_refused(bad: str) -> None:
    with pytest.raises(DataError, match="batch"):
        check_header(BatchHeader(sensor="here", batch=bad))


def test_a_batch_carries_its_header_and_its_records() -> None:
    header = BatchHeader(sensor="here", batch="01J", losses={"ring_full": 3})
    stream = pa.ipc.open_stream(encode_batch(record_schema().empty_table(), header))

    assert parse_header(stream.schema.metadata[HEADER_KEY]) == header
    assert stream.schema.remove_metadata() == record_schema()


@given(st.lists(st.integers(1, 50), max_size=5), headers)
def test_a_batch_encoded_in_pieces_reads_like_one_encoded_whole(
    sizes: list[int], header: BatchHeader
) -> None:
    pieces = [
        make_records(size, process=[f"{place}-{row % 3}" for row in range(size)])
        for place, size in enumerate(sizes)
    ]
    encoder = BatchEncoder()
    for piece in pieces:
        for batch in piece.to_batches():
            encoder.write(batch)
    assert encoder.records == sum(sizes)
    stream = pa.ipc.open_stream(encoder.finish(header))
    read = stream.read_all()
    read.validate(full=True)

    assert parse_header(stream.schema.metadata[HEADER_KEY]) == header
    assert stream.schema.remove_metadata() == record_schema()
    whole = pa.concat_tables([record_schema().empty_table(), *pieces])
    assert read.to_pylist() == whole.to_pylist()
