"""Missed check-ins: intervals near a multiple of the interval, folded back, in plain NumPy.

A lost packet or a sleeping laptop doubles an interval; dividing it again keeps
the beacon visible.  The jitter of a sum of k sleeps grows with the root of k,
and so does the tolerance.  Limit: above 60 % random thinning nothing is left to
fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import (
    FOLD_SLACK,
    FOLD_TOLERANCE_LIMIT,
    MAX_MULTIPLE,
    MIN_HALF_WIDTH,
)

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.reference.check_ins import CheckIns


@dataclass(frozen=True, slots=True)
class Folded:
    """Intervals read as multiples of one interval.

    Parameters
    ----------
    interval
        Seconds: mean of the intervals in the window.
    multiples
        How many sleeps each interval spans; 0 where it is neither in the window
        nor near one of its multiples.
    original, intervals
        Intervals as they were, and folded to the deviation of a single sleep; seconds.
    """

    interval: float
    multiples: Integers
    original: Floats
    intervals: Floats

    @property
    def missed(self) -> int:
        """Check-ins that the multiples say are missing."""
        return int(np.maximum(self.multiples - 1, 0).sum())

    @property
    def explained_interval(self) -> float:
        """Mean sleep of the explained intervals, seconds; 0 when there are none."""
        sleeps = int(self.multiples.sum())
        return float(self.original[self.multiples > 0].sum()) / sleeps if sleeps else 0.0


def fold(check_ins: CheckIns) -> Folded:
    """Fold the intervals of a series over its missed check-ins.

    Parameters
    ----------
    check_ins
        Check-ins with their most concentrated window.
    """
    x = check_ins.intervals
    low, high = (
        check_ins.window.low + check_ins.dead_time,
        check_ins.window.high + check_ins.dead_time,
    )
    core = (x >= low) & (x < high)
    interval = float(x[core].mean()) if core.any() else float(x.mean())
    half_width = max((high - low) / (2 * interval), MIN_HALF_WIDTH)
    ratio = x / interval
    nearest = np.clip(np.floor(ratio + 0.5), 1, MAX_MULTIPLE).astype(np.int64)
    tolerance = half_width * np.sqrt(nearest) * FOLD_SLACK
    near = (np.abs(ratio - nearest) <= tolerance) & (tolerance < FOLD_TOLERANCE_LIMIT)
    multiples = np.where(core, 1, np.where(near & (nearest >= 2), nearest, 0))
    sleeps = np.maximum(multiples, 1)
    folded = interval + (x - sleeps * interval) / np.sqrt(sleeps)
    return Folded(interval, multiples, x, folded)
