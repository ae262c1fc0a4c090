"""Compiled twin of ``reference.folding``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit, reorderable
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
    from beacon_detect.analysis.compiled.workspace import Workspace


@reorderable
def core_interval(intervals: Floats, low: float, high: float) -> float:
    """Return the mean of the intervals in ``[low, high)``, of all when none is there."""
    inside, total, everything = 0, 0.0, 0.0
    for i in range(len(intervals)):
        x = intervals[i]
        core = (x >= low) & (x < high)
        # Whole nanoseconds add up exactly in any order.
        nanoseconds = np.rint(x * SECOND_NS)
        inside += core
        total += nanoseconds * core
        everything += nanoseconds
    if not inside:
        return everything / SECOND_NS / len(intervals)
    return total / SECOND_NS / inside


@jit
def relative_half_width(low: float, high: float, interval: float) -> float:
    """Return half the width of the window over the interval."""
    return max((high - low) / (2 * interval), MIN_HALF_WIDTH)


@jit
def fold(intervals: Floats, low: float, high: float, interval: float, w: Workspace) -> int:
    """Fold intervals over missed check-ins; return how many are missed.

    ``w.multiples`` gets how many intervals each one spans, 0 where it is not
    explained, ``w.folded`` the folded interval.
    """
    half_width = relative_half_width(low, high, interval)
    missed = 0
    for i in range(len(intervals)):
        x = intervals[i]
        ratio = x / interval
        core = (x >= low) & (x < high)
        nearest = min(max(np.floor(ratio + 0.5), 1.0), float(MAX_MULTIPLE))
        root = math.sqrt(nearest)
        tolerance = half_width * root * FOLD_SLACK
        near = (tolerance < FOLD_TOLERANCE_LIMIT) & (abs(ratio - nearest) <= tolerance)
        folds = near & (nearest >= 2) & (not core)
        multiple = nearest if folds else 1.0
        w.multiples[i] = int(multiple) if core | folds else 0
        w.folded[i] = interval + (x - multiple * interval) / (root if folds else 1.0)
        missed += int(multiple) - 1
    return missed


@reorderable
def explained_interval(intervals: Floats, multiples: Integers, fallback: float) -> float:
    """Return the mean sleep of the explained intervals, seconds."""
    seconds, sleeps = 0.0, 0
    for i in range(len(intervals)):
        seconds += intervals[i] * (multiples[i] > 0)
        sleeps += multiples[i]
    return seconds / sleeps if sleeps else fallback


@jit
def explained_by(
    intervals: Floats, multiples: Integers, interval: float, divisor: int, half_width: float
) -> tuple[bool, float, int]:
    """Return (whether a fraction of the interval explains more, its mean in seconds, missed check-ins)."""
    sleep = interval / divisor
    asked, answered, chance, seconds, sleeps, count, singles = 0, 0, 0.0, 0.0, 0, 0, 0
    for i in range(len(intervals)):
        ratio = intervals[i] / sleep
        nearest = max(np.floor(ratio + 0.5), 1.0)
        tolerance = half_width * FOLD_SLACK * math.sqrt(nearest * divisor)
        if tolerance >= DIVISOR_TOLERANCE_LIMIT or ratio > LATE_INTERVALS * divisor:
            continue
        near = abs(ratio - nearest) <= tolerance
        if multiples[i] == 0:
            asked += 1
            answered += near
            chance += 2 * tolerance
        if near:
            seconds += intervals[i]
            sleeps += int(nearest)
            count += 1
            singles += nearest == 1
    occurs = singles >= DIVISOR_SINGLES or interval >= HIDDEN_BY_NIGHT
    enough = answered >= max(2.0, DIVISOR_SHARE * len(intervals)) and occurs
    if not enough or 2 * answered <= asked + chance:
        return False, 0.0, 0
    return True, seconds / sleeps, sleeps - count


@jit
def divided(
    intervals: Floats, multiples: Integers, interval: float, half_width: float
) -> tuple[float, int]:
    """Return (mean sleep, missed check-ins) of a fraction of the interval that explains more, or zeros."""
    unexplained = 0
    for i in range(len(multiples)):
        unexplained += multiples[i] == 0
    if unexplained < max(2.0, DIVISOR_SHARE * len(intervals)):
        return 0.0, 0
    for divisor in DIVISORS:
        if half_width * FOLD_SLACK * math.sqrt(divisor) >= DIVISOR_TOLERANCE_LIMIT:
            break
        better, sleep, missed = explained_by(intervals, multiples, interval, divisor, half_width)
        if better:
            return sleep, missed
    return 0.0, 0
