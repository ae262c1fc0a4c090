"""The buffer hands over everything in order, on time, and counts what nobody took."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.data_plane.buffer import RecordBuffer, boot_now
from beacon_detect.data_plane.clock import WallClock
from beacon_detect.data_plane.decode import CHUNK, Decoder
from beacon_detect.data_plane.losses import Losses
from beacon_detect.data_plane.state import SeriesClock
from beacon_detect.records import Kind
from events_factory import Connection, events, flows


class Taker:
    """Takes tables, or refuses them."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.willing = True

    def __call__(self, table: pa.Table) -> bool:
        if self.willing:
            self.tables.append(table)
        return self.willing

    def ports(self) -> list[int]:
        return [port for table in self.tables for port in table["src_port"].to_pylist()]


def make_buffer(
    losses: Losses | None = None, *, interval: float = 60.0, capacity: int = 1000
) -> tuple[RecordBuffer, Decoder]:
    losses = losses or Losses()
    decoder = Decoder(WallClock(), SeriesClock("0" * 32, 0), None, losses)
    return RecordBuffer(decoder, losses, interval=interval, capacity=capacity), decoder


def some(*ports: int) -> object:
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
            buffer.add_events(some(*ports))  # type: ignore[arg-type]
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
    assert taker.tables == []


def test_records_are_due_after_the_interval_of_the_first() -> None:
    buffer, _ = make_buffer(interval=5.0)
    buffer.add_events(some(1))  # type: ignore[arg-type]
    began = time.monotonic()
    time.sleep(0.01)
    buffer.add_events(some(2))  # type: ignore[arg-type]

    assert not buffer.is_due(began + 4.9)
    assert buffer.is_due(began + 5.001)


def test_a_full_buffer_is_due_at_once() -> None:
    buffer, _ = make_buffer(capacity=3)
    buffer.add_events(some(1, 2))  # type: ignore[arg-type]
    assert not buffer.is_due(time.monotonic())
    buffer.add_events(some(3))  # type: ignore[arg-type]

    assert buffer.is_due(time.monotonic())


def test_refused_records_stay_while_there_is_room_and_are_counted_after() -> None:
    losses = Losses()
    buffer, _ = make_buffer(losses, capacity=3)
    taker = Taker()
    taker.willing = False
    buffer.add_events(some(1, 2))  # type: ignore[arg-type]

    assert not buffer.hand_over(taker)
    assert len(buffer) == 2
    assert losses.totals() == {}
    buffer.add_events(some(3))  # type: ignore[arg-type]
    assert not buffer.hand_over(taker)
    assert len(buffer) == 0
    assert losses.totals() == {"handover_full": 3}


def test_the_last_hand_over_keeps_nothing() -> None:
    losses = Losses()
    buffer, _ = make_buffer(losses)
    taker = Taker()
    taker.willing = False
    buffer.add_events(some(1, 2))  # type: ignore[arg-type]

    assert not buffer.hand_over(taker, last=True)
    assert losses.totals() == {"handover_full": 2}


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, 3 * CHUNK])
def test_many_events_are_all_decoded(count: int) -> None:
    buffer, _ = make_buffer(capacity=10 * CHUNK)
    taker = Taker()
    many = events([(Kind.START, Connection())]).repeat(count)
    buffer.add_events(many)

    assert len(buffer) == count
    buffer.hand_over(taker)
    assert sum(table.num_rows for table in taker.tables) == count
