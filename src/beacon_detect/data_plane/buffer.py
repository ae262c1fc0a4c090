"""Records that wait to be exported: when they are due, and what happens when nobody takes them.

Events are kept as the kernel wrote them until many have come together or they
are due, because decoding a handful costs as much as decoding hundreds; only
the processes behind them are looked up at once. Records are kept compressed,
in the batch they will be sent in. Bounded: when the exporter has no room, the
oldest records beyond the capacity are given up and counted as lost.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beacon_detect.data_plane.decode import CHUNK
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.wire import BatchEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.data_plane.decode import Decoder
    from beacon_detect.wire import BatchHeader

MAX_BATCH_RECORDS = 100_000
"""Records in one batch: 14 MB before compression, below any sensible request limit."""


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch as it will be sent."""

    batch: str
    """Its id."""
    records: int
    body: bytes


class RecordBuffer:
    """Events and records, in the order they came.

    Parameters
    ----------
    decoder
        Makes records of the events.
    new_header
        Returns the header of the next batch, with an id of its own.
    interval
        Seconds after which records are due.
    capacity
        Most records held; a full buffer is due at once.
    """

    def __init__(
        self,
        decoder: Decoder,
        losses: Losses,
        new_header: Callable[[], BatchHeader],
        *,
        interval: float,
        capacity: int,
    ) -> None:
        self.interval = interval
        self.capacity = capacity
        self._decoder = decoder
        self._losses = losses
        self._new_header = new_header
        self._events: list[NDArray[Any]] = []
        self._waiting_events = 0
        self._open: BatchEncoder | None = None
        self._finished: deque[EncodedBatch] = deque()
        self._since = 0.0

    def __len__(self) -> int:
        finished = sum(batch.records for batch in self._finished)
        return self._waiting_events + (self._open.records if self._open else 0) + finished

    def add_events(self, events: NDArray[Any]) -> None:
        """Take what was read from the ring (``events.EVENT``)."""
        if not len(events):
            return
        self._begin()
        self._events.append(events)
        self._waiting_events += len(events)
        if self._waiting_events < CHUNK:
            self._decoder.notice(events, boot_now())
        else:
            self.settle()

    def add(self, pieces: Iterable[pa.RecordBatch]) -> None:
        """Take records."""
        for piece in pieces:
            self._begin()
            if self._open is None:
                self._open = BatchEncoder()
            self._open.write(piece)
            if self._open.records >= MAX_BATCH_RECORDS:
                self._finish(self._open)

    def _begin(self) -> None:
        if not len(self):
            self._since = time.monotonic()

    def _finish(self, encoder: BatchEncoder) -> None:
        self._finished.append(self._encode(encoder))
        self._open = None

    def _encode(self, encoder: BatchEncoder) -> EncodedBatch:
        header = self._new_header()
        return EncodedBatch(header.batch, encoder.records, encoder.finish(header))

    def settle(self) -> None:
        """Decode the events that wait."""
        waiting, self._events, self._waiting_events = self._events, [], 0
        now = boot_now()
        for events in waiting:
            self.add(self._decoder.events(events, now))

    def is_due(self, now: float) -> bool:
        """Return whether the records should go now (monotonic seconds)."""
        held = len(self)
        return held > 0 and (held >= self.capacity or now - self._since >= self.interval)

    def hand_over(self, offer: Callable[[EncodedBatch], bool]) -> bool:
        """Offer everything held; return whether all was taken.

        What is refused stays, as long as there is room.
        """
        self.settle()
        taken = self._offer_finished(offer)
        if taken and self._open is not None:
            self._finish(self._open)
            taken = self._offer_finished(offer)
        while self._finished and len(self) > self.capacity:
            self._losses.add(Loss.HANDOVER_FULL, self._finished.popleft().records)
        return taken

    def _offer_finished(self, offer: Callable[[EncodedBatch], bool]) -> bool:
        while self._finished and offer(self._finished[0]):
            self._finished.popleft()
        return not self._finished

    def heartbeat(self) -> EncodedBatch:
        """Return a batch without records, which says that the sensor lives and what it lost."""
        return self._encode(BatchEncoder())


def boot_now() -> int:
    """Return the boot clock's time, the one that kernel events carry (ns)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
