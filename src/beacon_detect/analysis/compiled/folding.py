"""Compiled twin of ``reference.folding``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit, reorderable
from beacon_detect.analysis.constants import (
    FOLD_SLACK,
    FOLD_TOLERANCE_LIMIT,
    MAX_MULTIPLE,
    MIN_HALF_WIDTH,
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
        inside += core
        total += x * core
        everything += x
    return total / inside if inside else everything / len(intervals)


@jit
def fold(intervals: Floats, low: float, high: float, interval: float, w: Workspace) -> int:
    """Fold intervals over missed check-ins; return how many are missed.

    ``w.multiples`` gets how many intervals each one spans, 0 where it is not
    explained, ``w.folded`` the folded interval.
    """
    half_width = max((high - low) / (2 * interval), MIN_HALF_WIDTH)
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
