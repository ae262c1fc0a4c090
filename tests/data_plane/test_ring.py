"""The ring reader against a ring laid out by hand, and every state a record can be in."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.data_plane.events import EVENT
from beacon_detect.data_plane.ring import STRIDE, RingReader

BUSY, DISCARDED = 1 << 31, 1 << 30
BYTES = 4096


class HandMadeRing:
    """The kernel's side: consumer page, producer page, and the data pages twice."""

    def __init__(self, start: int = 0) -> None:
        self.descriptor = os.memfd_create("ring")
        page = mmap.PAGESIZE
        os.ftruncate(self.descriptor, 2 * page + 2 * BYTES)
        self._memory = mmap.mmap(self.descriptor, 0)
        self._positions = np.frombuffer(self._memory, "<u8")
        self._data = np.frombuffer(self._memory, "u1", offset=2 * page)
        self._consumer, self._producer = 0, page // 8
        self._positions[self._consumer] = self._positions[self._producer] = start
        self._next = 0

    @property
    def free(self) -> int:
        """Return for how many records there is room."""
        used = int(self._positions[self._producer]) - int(self._positions[self._consumer])
        return (BYTES - used) // STRIDE

    def put(self, flags: int = 0) -> int:
        """Add a record with a running number as its time; return its position."""
        position = int(self._positions[self._producer])
        record = np.zeros(1, np.dtype([("length", "<u4"), ("page", "<u4"), ("event", EVENT)]))
        record["length"] = EVENT.itemsize | flags
        record["event"]["time"] = self._next
        self._next += 1
        self.write(position, record.view("u1"))
        self._positions[self._producer] = position + STRIDE
        return position

    def commit(self, position: int) -> None:
        """Take the busy bit from a record."""
        self.write(position, np.array([EVENT.itemsize], "<u4").view("u1"))

    def write(self, position: int, raw: np.ndarray) -> None:
        at = (position + np.arange(len(raw))) % BYTES
        self._data[at] = raw
        self._data[at + BYTES] = raw

    def close(self) -> None:
        del self._positions, self._data
        self._memory.close()
        os.close(self.descriptor)


@pytest.fixture
def ring() -> Iterator[HandMadeRing]:
    made = HandMadeRing()
    yield made
    made.close()


@pytest.fixture
def reader(ring: HandMadeRing) -> Iterator[RingReader]:
    made = RingReader(ring.descriptor, BYTES)
    yield made
    made.close()


def test_an_empty_ring_gives_an_empty_array(reader: RingReader) -> None:
    events = reader.read()

    assert len(events) == 0
    assert events.dtype == EVENT


def test_events_come_in_order_and_once(ring: HandMadeRing, reader: RingReader) -> None:
    for _ in range(5):
        ring.put()

    assert reader.read()["time"].tolist() == [0, 1, 2, 3, 4]
    assert len(reader.read()) == 0


def test_what_is_read_survives_being_overwritten(ring: HandMadeRing, reader: RingReader) -> None:
    ring.put()
    events = reader.read()
    for _ in range(BYTES // STRIDE):
        ring.put()

    assert events["time"].tolist() == [0]


def test_a_record_being_written_holds_back_those_after_it(
    ring: HandMadeRing, reader: RingReader
) -> None:
    ring.put()
    busy = ring.put(BUSY)
    ring.put()

    assert reader.read()["time"].tolist() == [0]
    assert reader.read()["time"].tolist() == []
    ring.commit(busy)
    assert reader.read()["time"].tolist() == [1, 2]


def test_discarded_records_are_stepped_over(ring: HandMadeRing, reader: RingReader) -> None:
    for flags in (0, DISCARDED, 0, DISCARDED):
        ring.put(flags)

    assert reader.read()["time"].tolist() == [0, 2]
    assert ring.free == BYTES // STRIDE


def test_a_limit_leaves_the_rest_for_later(ring: HandMadeRing, reader: RingReader) -> None:
    for _ in range(7):
        ring.put()

    assert [len(reader.read(limit=3)) for _ in range(4)] == [3, 3, 1, 0]


@settings(deadline=None)
@given(
    start=st.integers(0, 1 << 40).map(lambda records: records * 8),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from([0, 0, 0, BUSY, DISCARDED])),
            st.tuples(st.just("commit"), st.just(0)),
            st.tuples(st.just("read"), st.integers(0, 30)),
        ),
        max_size=60,
    ),
)
def test_every_committed_record_is_read_exactly_once_in_order(
    start: int, steps: list[tuple[str, int]]
) -> None:
    """Over any mixture of writes and reads, and any wrap of the ring."""
    ring = HandMadeRing(start)
    reader = RingReader(ring.descriptor, BYTES)
    busy: list[int] = []
    expected: list[int] = []
    seen: list[int] = []
    written = 0
    for step, argument in steps:
        if step == "put" and ring.free:
            position = ring.put(argument)
            if argument == BUSY:
                busy.append(position)
            if argument != DISCARDED:
                expected.append(written)
            written += 1
        elif step == "commit" and busy:
            ring.commit(busy.pop(0))
        elif step == "read":
            seen += reader.read(limit=argument)["time"].tolist()
    while busy:
        ring.commit(busy.pop())
    seen += reader.read()["time"].tolist()
    reader.close()
    ring.close()

    assert seen == expected
