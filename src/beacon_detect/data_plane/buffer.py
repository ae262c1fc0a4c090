"""Records that wait to be exported: when they are due, and what happens when nobody takes them.

Events are kept as the kernel wrote them until many have come together or they
are due, because decoding a handful costs as much as decoding hundreds; only
the processes behind them are looked up at once. Bounded: when the exporter has
no room and the buffer is full, all of it is given up and counted as lost.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from beacon_detect.data_plane.decode import CHUNK
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.records import record_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.data_plane.decode import Decoder


class RecordBuffer:
    """Events and record batches, in the order they came.

    Parameters
    ----------
    decoder
        Makes records of the events.
    interval
        Seconds after which records are due.
    capacity
        Records at which the buffer is due at once.
    """

    def __init__(self, decoder: Decoder, losses: Losses, *, interval: float, capacity: int) -> None:
        self.interval = interval
        self.capacity = capacity
        self._decoder = decoder
        self._losses = losses
        self._events: list[NDArray[Any]] = []
        self._waiting_events = 0
        self._batches: list[pa.RecordBatch] = []
        self._records = 0
        self._since = 0.0

    def __len__(self) -> int:
        return self._records + self._waiting_events

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

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Take finished records."""
        for batch in batches:
            self._begin()
            self._batches.append(batch)
            self._records += batch.num_rows

    def _begin(self) -> None:
        if not len(self):
            self._since = time.monotonic()

    def settle(self) -> None:
        """Decode the events that wait."""
        waiting, self._events, self._waiting_events = self._events, [], 0
        now = boot_now()
        for events in waiting:
            self.add(self._decoder.events(events, now))

    def is_due(self, now: float) -> bool:
        """Return whether the records should go now (monotonic seconds)."""
        return len(self) > 0 and (len(self) >= self.capacity or now - self._since >= self.interval)

    def hand_over(self, offer: Callable[[pa.Table], bool], *, last: bool = False) -> bool:
        """Offer all records as one table; when it is refused keep them while there is room.

        With ``last`` they are not kept.
        """
        import pyarrow as pa

        self.settle()
        if not self._records:
            return True
        taken = offer(pa.Table.from_batches(self._batches, record_schema()))
        if not taken:
            if self._records < self.capacity and not last:
                return False
            self._losses.add(Loss.HANDOVER_FULL, self._records)
        self._batches, self._records = [], 0
        return taken


def boot_now() -> int:
    """Return the boot clock's time, the one that kernel events carry (ns)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
