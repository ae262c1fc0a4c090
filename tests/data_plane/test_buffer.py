"""The buffer hands over everything in order, on time, and counts what nobody took."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.data_plane.buffer import MAX_BATCH_RECORDS, EncodedBatch, RecordBuffer, boot_now
from beacon_detect.data_plane.clock import WallClock
from beacon_detect.data_plane.decode import CHUNK, Decoder
from beacon_detect.data_plane.events import EVENT
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.data_plane.state import SeriesClock
from beacon_detect.records import Kind
from beacon_detect.wire import HEADER_KEY, BatchHeader, parse_header
from events_factory import Connection, events, flows


class Taker:
    """Takes batches, or refuses them."""

    def __init__(self) -> None:
        self.batches: list[EncodedBatch] = []
        self.willing = True

    def __call__(self, batch: EncodedBatch) -> bool:
        if self.willing:
            self.batches.append(batch)
        return self.willing

    def ports(self) -> list[int]:
        tables = [pa.ipc.open_stream(batch.body).read_all() for batch in self.batches]
        assert [table.num_rows for table in tables] == [batch.records for batch in self.batches]
        return [port for table in tables for port in table["src_port"].to_pylist()]


def make_buffer(
    losses: Losses | None = None, *, interval: float = 60.0, capacity: int = 1000
) -> tuple[RecordBuffer, Decoder]:
    losses = losses or Losses()
    decoder = Decoder(WallClock(), SeriesClock("0" * 32, 0), None, losses)
    ids = itertools.count()

    def new_header() -> BatchHeader:
        return BatchHeader(sensor="s", batch=f"{next(ids)}", losses=losses.totals())

    return RecordBuffer(decoder, losses, new_header, interval=interval, capacity=capacity), decoder


def some(*ports: int) -> Any:
    return events([(Kind.START, Connection(src_port=port)) for port in ports])


@given(st.lists(st.lists(st.integers(1, 65_535), max_size=5), max_size=10))
def test_records_come_out_in_the_order_they_came(groups: list[list[int]]) -> None:
    buffer, decoder = make_buffer()
    taker = Taker()
    for number, ports in enumerate(groups):
        if number % 3 == 2:
            buffer.settle()
            made = flows([Connection(src_port=port) for port in ports])
            kinds = events([(Kind.START, Connection())] * len(ports))["kind"]
            buffer.add(decoder.flows(kinds, made, boot_now()))
        else:
            buffer.add_events(some(*ports))
    expected = [port for ports in groups for port in ports]
    assert len(buffer) == len(expected)

    assert buffer.hand_over(taker)
    assert taker.ports() == expected
    assert len(buffer) == 0


def test_an_empty_buffer_is_never_due_and_hands_nothing_over() -> None:
    buffer, _ = make_buffer(interval=0.0)
    taker = Taker()

    assert not buffer.is_due(time.monotonic() + 1000)
    assert buffer.hand_over(taker)
    assert taker.batches == []


def test_records_are_due_after_the_interval_of_the_first() -> None:
    buffer, _ = make_buffer(interval=5.0)
    before = time.monotonic()
    buffer.add_events(some(1))
    after = time.monotonic()
    time.sleep(0.01)
    buffer.add_events(some(2))

    assert not buffer.is_due(before + 4.999)
    assert buffer.is_due(after + 5.001)


def test_a_full_buffer_is_due_at_once() -> None:
    buffer, _ = make_buffer(capacity=3)
    buffer.add_events(some(1, 2))
    assert not buffer.is_due(time.monotonic())
    buffer.add_events(some(3))

    assert buffer.is_due(time.monotonic())


def test_refused_records_stay_while_there_is_room_and_the_oldest_go_counted() -> None:
    losses = Losses()
    buffer, _ = make_buffer(losses, capacity=3)
    taker = Taker()
    taker.willing = False
    buffer.add_events(some(1, 2))
    for _ in range(10):
        assert not buffer.hand_over(taker)
    buffer.add_events(some(3))
    assert not buffer.hand_over(taker)
    assert len(buffer) == 3
    assert losses.totals() == {}

    buffer.add_events(some(4))
    assert not buffer.hand_over(taker)
    assert len(buffer) == 2
    assert losses.totals() == {"handover_full": 2}
    taker.willing = True
    assert buffer.hand_over(taker)
    assert taker.ports() == [3, 4]
    # What was refused stayed one batch: not one for every attempt.
    assert len(taker.batches) == 1


def test_the_header_tells_the_losses_up_to_the_end_of_the_batch() -> None:
    losses = Losses()
    buffer, _ = make_buffer(losses)
    taker = Taker()
    buffer.add_events(some(1))
    buffer.settle()
    losses.add(Loss.RING_FULL, 3)
    buffer.hand_over(taker)

    (batch,) = taker.batches
    header = parse_header(pa.ipc.open_stream(batch.body).schema.metadata[HEADER_KEY])
    assert header.losses == {"ring_full": 3}
    assert header.batch == batch.batch


def test_a_heartbeat_leaves_the_records_alone() -> None:
    buffer, _ = make_buffer()
    buffer.add_events(some(1))
    beat = buffer.heartbeat()

    assert pa.ipc.open_stream(beat.body).read_all().num_rows == beat.records == 0
    assert len(buffer) == 1


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, 3 * CHUNK, MAX_BATCH_RECORDS + CHUNK])
def test_many_events_are_all_decoded(count: int) -> None:
    buffer, _ = make_buffer(capacity=10**6)
    taker = Taker()
    many = np.zeros(count, EVENT)
    many["kind"], many["value"]["started"] = Kind.START, 1
    buffer.add_events(many)

    assert len(buffer) == count
    buffer.hand_over(taker)
    assert sum(batch.records for batch in taker.batches) == count
    assert all(batch.records < MAX_BATCH_RECORDS + CHUNK for batch in taker.batches)
