"""Histograms of intervals, for the question asked of all of them: which window holds the most.

Bins are those of ``interval_bins``.  A histogram is turned into its running
total, from which every window of a width is one difference: the processor takes
eight positions at once, and what lies in a range of bins needs no loop at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.workspace import WIDEST
from beacon_detect.analysis.interval_bins import BIN_OFFSET, BINS, MANTISSA_SHIFT

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Histogram

POSITION_BITS = BINS.bit_length()
"""So many bits hold the number of any bin."""


@jit
def bin_of(value: float) -> int:
    """Return the histogram bin of a value."""
    index = int(np.float64(value).view(np.int64) >> MANTISSA_SHIFT) - BIN_OFFSET
    return min(max(index, 0), BINS - 1)


@jit
def place(values: Floats, places: Integers) -> tuple[int, int]:
    """Write the bin of each value; return the lowest and the highest."""
    lowest, highest = BINS, 0
    for i in range(len(values)):
        index = bin_of(values[i])
        places[i] = index
        lowest = min(lowest, index)
        highest = max(highest, index)
    return lowest, highest


@jit
def tally(total: int, h: Histogram) -> tuple[int, int]:
    """Leave the bins of the first ``total`` values in ``h.places`` and the running total in ``h.upto``.

    Returns the lowest bin and how many bins there are up to the highest.
    ``h.upto[WIDEST + i]`` is how many values lie below bin ``lowest + i``; the
    zeros before it are the empty bins that windows of the lowest values begin in.
    """
    lowest, highest = place(h.values[:total], h.places)
    # Equal values are the rule, and a count waits for the one before it: two take turns.
    for i in range(1, total, 2):
        h.counts[h.places[i - 1]] += 1
        h.other_counts[h.places[i]] += 1
    if total % 2:
        h.counts[h.places[total - 1]] += 1
    below, used = 0, highest + 1 - lowest
    for i in range(used):
        below += h.counts[lowest + i] + h.other_counts[lowest + i]
        h.upto[WIDEST + 1 + i] = below
    h.counts[lowest : highest + 1] = 0
    h.other_counts[lowest : highest + 1] = 0
    return lowest, used


@jit
def fullest(upto: Integers, used: int, width: int) -> tuple[int, int]:
    """Return (count, first bin) of the first window of ``width`` bins that holds the most.

    The bin counts from the lowest one used and may be negative.
    """
    # Cut out beforehand: an index that might be negative keeps the loop from taking several.
    ends = upto[WIDEST + 1 : WIDEST + 1 + used]
    begins = upto[WIDEST + 1 - width : WIDEST + 1 - width + used]
    best = 0
    for last in range(used):
        # One number says both which window holds more and which of equals comes first.
        best = max(best, ((ends[last] - begins[last]) << POSITION_BITS) - last)
    most = (best + (1 << POSITION_BITS) - 1) >> POSITION_BITS
    return most, (most << POSITION_BITS) - best - width + 1


@jit
def quantile_bin(upto: Integers, lowest: int, wanted: float) -> float:
    """Return the fractional bin below which ``wanted`` values lie."""
    index = WIDEST
    while upto[index + 1] < wanted:
        index += 1
    below, count = upto[index], upto[index + 1] - upto[index]
    return float(lowest + index - WIDEST + (wanted - below) / count)
