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
    from numpy.typing import NDArray

    from beacon_detect.analysis.reference.check_ins import CheckIns


@dataclass(frozen=True, slots=True)
class Folded:
    """Intervals read as multiples of one interval.

    Parameters
    ----------
    interval
        Seconds: mean of the intervals in the window.
    multiples
        How many intervals each one spans; 1 where it is not explained.
    explained
        Which intervals lie in the window or near one of its multiples.
    intervals
        Folded intervals, seconds, with the deviation of a single one.
    """

    interval: float
    multiples: NDArray[np.int64]
    explained: NDArray[np.bool_]
    intervals: NDArray[np.float64]

    @property
    def missed(self) -> int:
        """Check-ins that the multiples say are missing."""
        return int((self.multiples - 1).sum())


def fold(check_ins: CheckIns) -> Folded:
    """Fold the intervals of a series over its missed check-ins.

    Parameters
    ----------
    check_ins
        Check-ins with their most concentrated window.
    """
    x = check_ins.intervals
    low, high = check_ins.window.low + check_ins.gap, check_ins.window.high + check_ins.gap
    core = (x >= low) & (x < high)
    interval = float(x[core].mean()) if core.any() else float(x.mean())
    half_width = max((high - low) / (2 * interval), MIN_HALF_WIDTH)
    ratio = x / interval
    nearest = np.clip(np.floor(ratio + 0.5), 1, MAX_MULTIPLE).astype(np.int64)
    tolerance = half_width * np.sqrt(nearest) * FOLD_SLACK
    near = (np.abs(ratio - nearest) <= tolerance) & (tolerance < FOLD_TOLERANCE_LIMIT)
    explained = core | (near & (nearest >= 2))
    multiples = np.where(explained & ~core, nearest, 1)
    folded = interval + (x - multiples * interval) / np.sqrt(multiples)
    return Folded(interval, multiples, explained, folded)
