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
    DIVISOR_SHARE,
    DIVISOR_SINGLES,
    DIVISOR_TOLERANCE_LIMIT,
    DIVISORS,
    FOLD_SLACK,
    FOLD_TOLERANCE_LIMIT,
    HIDDEN_BY_NIGHT,
    LATE_INTERVALS,
    MAX_MULTIPLE,
    MIN_HALF_WIDTH,
    SECOND_NS,
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
    half_width
        Half the width of the window over the interval.
    multiples
        How many sleeps each interval spans; 0 where it is neither in the window
        nor near one of its multiples.
    original, intervals
        Intervals as they were, and folded to the deviation of a single sleep; seconds.
    """

    interval: float
    half_width: float
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


def total_seconds(intervals: Floats) -> float:
    """Return the sum, seconds, the same in any order: whole nanoseconds add up exactly.

    An interval may be one and a half of the mean to the last bit, and must be read in one way.
    """
    return float(np.rint(intervals * SECOND_NS).sum()) / SECOND_NS


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
    inside = x[core] if core.any() else x
    interval = total_seconds(inside) / len(inside)
    half_width = max((high - low) / (2 * interval), MIN_HALF_WIDTH)
    ratio = x / interval
    nearest = np.clip(np.floor(ratio + 0.5), 1, MAX_MULTIPLE).astype(np.int64)
    tolerance = half_width * np.sqrt(nearest) * FOLD_SLACK
    near = (np.abs(ratio - nearest) <= tolerance) & (tolerance < FOLD_TOLERANCE_LIMIT)
    multiples = np.where(core, 1, np.where(near & (nearest >= 2), nearest, 0))
    sleeps = np.maximum(multiples, 1)
    folded = interval + (x - sleeps * interval) / np.sqrt(sleeps)
    return Folded(interval, half_width, multiples, x, folded)


def divided(folded: Folded) -> tuple[float, int] | None:
    """Return (mean sleep in seconds, missed check-ins) where a fraction of the interval explains more.

    The usual interval of an implant that is seen by day only may be several of
    its sleeps; what gives the sleep away are single sleeps and intervals between the
    multiples of the usual one.  Two sleeps in turn have a common fraction, too, but
    nobody ever sleeps as short as that, so single sleeps must occur where the night
    cannot hide them all.
    """
    x, unexplained = folded.original, folded.multiples == 0
    for divisor in DIVISORS:
        ratio = x / (folded.interval / divisor)
        nearest = np.maximum(np.floor(ratio + 0.5), 1.0)
        tolerance = folded.half_width * FOLD_SLACK * np.sqrt(nearest * divisor)
        telling = (tolerance < DIVISOR_TOLERANCE_LIMIT) & (ratio <= LATE_INTERVALS * divisor)
        near = telling & (np.abs(ratio - nearest) <= tolerance)
        asked, answered = int((telling & unexplained).sum()), int((near & unexplained).sum())
        single = (near & (nearest == 1)).sum() >= DIVISOR_SINGLES
        occurs = single or folded.interval >= HIDDEN_BY_NIGHT
        if answered < max(2.0, DIVISOR_SHARE * len(x)) or not occurs:
            continue
        chance = 2 * float(tolerance[telling & unexplained].sum())
        if 2 * answered > asked + chance:
            sleeps = int(nearest[near].sum())
            return float(x[near].sum()) / sleeps, sleeps - int(near.sum())
    return None
