"""What the sensor lost, by reason: the figures that travel with every batch.

A beacon score is only as good as the series behind it, so no record may vanish
unseen. Counts are cumulative from the sensor's start; those that the kernel
keeps are taken over, not added. A loss after the last batch of a run is told
by nothing but the log.
"""

from __future__ import annotations

import threading
from enum import StrEnum


class Loss(StrEnum):
    """Why records (or events, or connections) were lost; documented in ``telemetry.md``."""

    RING_FULL = "ring_full"
    """The kernel's event buffer was full: events."""
    MAP_FULL = "map_full"
    """The kernel could not track a connection: packets."""
    FLOWS_EVICTED = "flows_evicted"
    """The flow map overflowed and dropped its least recently active: connections."""
    DECODE_ERROR = "decode_error"
    """Events of a kind this sensor does not know: events."""
    HANDOVER_FULL = "handover_full"
    """The spool could not be written as fast as records came: records."""
    SPOOL_DROPPED_SIZE = "spool_dropped_size"
    """The spool outgrew its size: records of its oldest batches."""
    SPOOL_DROPPED_AGE = "spool_dropped_age"
    """Batches waited too long in the spool: records."""
    SPOOL_CORRUPT = "spool_corrupt"
    """A spooled batch did not match its checksum: records."""
    SPOOL_UNWRITABLE = "spool_unwritable"
    """The spool could not be written at all until the sensor stopped: records."""
    BATCH_REJECTED = "batch_rejected"
    """The control plane refused a batch as invalid: records."""


class Losses:
    """Cumulative counters by reason; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Loss, int] = {}

    def add(self, reason: Loss, count: int) -> None:
        """Count ``count`` more losses."""
        if count > 0:
            with self._lock:
                self._counts[reason] = self._counts.get(reason, 0) + count

    def raise_to(self, reason: Loss, total: int) -> None:
        """Take over a total that is counted elsewhere; totals never fall."""
        if total > 0:
            with self._lock:
                self._counts[reason] = max(self._counts.get(reason, 0), total)

    def totals(self) -> dict[str, int]:
        """Return the reasons that occurred, each with its total."""
        with self._lock:
            return {reason.value: count for reason, count in sorted(self._counts.items())}
