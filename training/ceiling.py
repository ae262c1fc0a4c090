"""The most that a number of check-ins can reach: what the trees say of a perfect beacon.

Trees that were fitted on examples may prefer one with a little jitter.  No score
is higher than that of a perfect beacon with as many check-ins, and none of those
is higher than that of one with more.  Limit: perfect beacons of a few intervals
stand for all; the features are dimensionless but for the hours of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import Settings, compiled_cache
from beacon_detect.analysis.rows import ROW
from beacon_detect.analysis.types import MIN_CHECK_INS, SeriesBatch

if TYPE_CHECKING:
    from beacon_detect.analysis.forest import Forest

MOST_CHECK_INS = 1_100
"""More change nothing but the evidence, which the trees no longer tell apart."""
STEPS = 1e9
"""A height is rounded down to a billionth."""
HOUR = 3_600.0
INTERVALS = (0.7, 7.3, 60.0, 600.0, *(hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 16, 18, 24)))
"""Seconds; the longer ones differ in the hours of the day they are seen in."""


def ceiling(trees: Forest) -> list[list[float]]:
    """Return the steps of the ceiling: ``[check-ins, log odds]``, both ascending."""
    counts = np.arange(MIN_CHECK_INS, MOST_CHECK_INS + 1)
    lowest = np.full(len(counts), np.inf)
    for interval in INTERVALS:
        clock = np.rint(np.arange(MOST_CHECK_INS) * interval * 1e9).astype(np.int64)
        batch = SeriesBatch.from_lists([clock[:count] for count in counts])
        rows, _ = compiled_cache.load_compiled().measure(batch, Settings(), trees, 1)
        lowest = np.minimum(lowest, rows[:, ROW.log_odds])
    # No perfect beacon may lie below the ceiling, so each height is the lowest from there on.
    heights = np.minimum.accumulate(lowest[::-1])[::-1]
    # Sums in another order end a little lower, and all must reach it.
    heights = np.floor(heights * STEPS) / STEPS
    steps = np.flatnonzero(np.diff(heights, prepend=-np.inf) > 0)
    return [[int(counts[i]), float(heights[i])] for i in steps]
