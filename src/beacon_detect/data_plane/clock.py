"""Boot time to wall time: the kernel stamps events with a clock that is never stepped.

``CLOCK_BOOTTIME`` advances through suspend and is slewed but not stepped, so
intervals between its stamps are true. Its distance to wall time is sampled
once a second and each event is converted with the sample nearest to it, so
that a stepped wall clock moves only the events after the step. Events older
than the oldest kept sample (two hours) are converted with that one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STEP_NS = 50_000_000
"""Change of the distance between two samples that is a step, not slewing (at most 500 ppm)."""
KEPT_SAMPLES = 7200
_BRACKETS = 3
"""Readings a sample: the tightest of three survives one preemption between two clock reads."""


def read_offset() -> tuple[int, int]:
    """Return (boot ns, wall ns minus boot ns), read now: boot, wall, boot, tightest of three."""
    best: tuple[int, int, int] | None = None
    for _ in range(_BRACKETS):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        middle = (before + after) // 2
        if best is None or after - before < best[0]:
            best = (after - before, middle, wall - middle)
    assert best is not None  # noqa: S101 - the loop ran
    return best[1], best[2]


class WallClock:
    """Samples of the distance between boot and wall time, and the conversion by them."""

    def __init__(self, read: Callable[[], tuple[int, int]] = read_offset) -> None:
        self._read = read
        self._boot = np.zeros(2 * KEPT_SAMPLES, np.int64)
        self._offset = np.zeros(2 * KEPT_SAMPLES, np.int64)
        self._count = 0
        self.steps = 0
        """Steps of the wall clock seen so far."""
        self.sample()

    @property
    def offset(self) -> int:
        """The newest sample of wall minus boot time, in ns."""
        return int(self._offset[self._count - 1])

    def sample(self) -> int:
        """Take a sample; return the ns by which the wall clock was stepped since the last, else 0."""
        boot, offset = self._read()
        step = offset - self.offset if self._count else 0
        if self._count == len(self._boot):
            for samples in (self._boot, self._offset):
                samples[:KEPT_SAMPLES] = samples[-KEPT_SAMPLES:]
            self._count = KEPT_SAMPLES
        self._boot[self._count] = boot
        self._offset[self._count] = offset
        self._count += 1
        if abs(step) <= STEP_NS:
            return 0
        self.steps += 1
        return step

    def wall(self, boot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the wall time (ns) of boot times (ns), each by the sample nearest to it."""
        if not len(boot):
            return boot.copy()
        known = self._boot[: self._count]
        # Batches span few samples: search only among those around the batch.
        first = max(int(np.searchsorted(known, boot.min())) - 1, 0)
        last = min(int(np.searchsorted(known, boot.max())) + 1, self._count)
        near = known[first:last]
        middles = near[:-1] + (near[1:] - near[:-1]) // 2
        nearest = np.searchsorted(middles, boot, side="left")
        wall: NDArray[np.int64] = boot + self._offset[first:last][nearest]
        return wall
