"""Compiled twin of ``reference.check_ins``: one pass over the gaps for each valley."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.workspace import HALVES
from beacon_detect.analysis.constants import (
    CORE_FLOOR,
    DUPLICATE_GAP_NS,
    LONGEST_DROPPED,
    MAX_COLLAPSE_SECONDS,
    MIN_BURST_SHARE,
    RAPID_PENALTY,
    SHORTEST_INTERVAL,
)
from beacon_detect.analysis.interval_bins import (
    BIN_OFFSET,
    BINS,
    BINS_PER_OCTAVE,
    EDGES,
    HALF_OCTAVE,
    MANTISSA_SHIFT,
    MID_BIN,
    NULL_SHARE,
    WINDOW_WIDTHS,
)
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Workspace

WIDTHS = len(WINDOW_WIDTHS)


@jit
def clip_bin(bits: int) -> int:
    """Return the histogram bin of the bits of a float64."""
    index = (bits >> MANTISSA_SHIFT) - BIN_OFFSET
    return min(max(index, 0), BINS - 1)


@jit
def kl_divergence(q: float, p: float) -> float:
    """Return KL(q || p) in nats, 0 where q is no larger than p."""
    if q <= p:
        return 0.0
    if q >= 1.0:
        return -math.log(p)
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))


@jit
def densest_window(
    counts: Integers, lowest: int, highest: int, total: int, first_width: int
) -> tuple[int, int, int, float]:
    """Return (low bin, high bin, count, divergence) of the least likely window."""
    best_low, best_high, best_count, best = 0, 1, 0, 0.0
    for width in range(first_width, WIDTHS):
        bins = WINDOW_WIDTHS[width]
        inside, most, at = 0, -1, 0
        first = max(lowest - bins + 1, 0)
        for low in range(lowest, highest + 1):
            inside += counts[low]
            if low - bins >= lowest:
                inside -= counts[low - bins]
            if inside > most:
                most, at = inside, low - bins + 1
        at = max(at, first)
        divergence = kl_divergence(most / total, NULL_SHARE[width, at % BINS_PER_OCTAVE])
        if divergence > best:
            best_low, best_high, best_count, best = at, at + bins, most, divergence
    return best_low, best_high, best_count, best


@jit
def explained_share(
    counts: Integers,
    seconds: Floats,
    lowest: int,
    highest: int,
    total: int,
    low_bin: int,
    high_bin: int,
) -> float:
    """Return the share of active time in the window and its second to fourth multiples."""
    edge = np.empty(2)
    bits = edge.view(np.int64)
    dropped = max(1.0, LONGEST_DROPPED * total)
    top = highest
    while top > lowest and counts[top] <= dropped:
        dropped -= counts[top]
        top -= 1
    active = 0.0
    for index in range(lowest, top + 1):
        active += seconds[index]
    explained, following = 0.0, low_bin
    for multiple in range(1, 5):
        edge[0] = EDGES[low_bin] * multiple
        edge[1] = EDGES[high_bin] * multiple
        low = max(clip_bin(bits[0]), following)
        high = min(clip_bin(bits[1]), top + 1)
        if high > low:
            for index in range(low, high):
                explained += seconds[index]
            following = high
    return explained / active if active > 0 else 0.0


@jit
def collapse(times: Integers, gap: float, firsts: Integers) -> int:
    """Write the position of the first event of each run of gaps up to ``gap`` s; return how many."""
    limit = max(int(gap * 1e9), DUPLICATE_GAP_NS)
    firsts[0] = 0
    found = 1
    for i in range(1, len(times)):
        if times[i] - times[i - 1] > limit:
            firsts[found] = i
            found += 1
    return found


@jit
def weigh_level(
    times: Integers, found: int, gap: float, rate: float, w: Workspace
) -> tuple[float, int, int, int, float]:
    """Return (merit, low bin, high bin, count, divergence) of one collapse; leaves histograms empty."""
    bits = w.scaled.view(np.int64)
    total = found - 1
    lowest, highest = BINS, 0
    for i in range(total):
        excess = (times[w.firsts[i + 1]] - times[w.firsts[i]]) * 1e-9 - gap
        w.scaled[i] = excess * rate
        index = clip_bin(bits[i])
        w.counts[index] += 1
        w.seconds[index] += excess
        lowest = min(lowest, index)
        highest = max(highest, index)
    low, high, count, divergence = densest_window(w.counts, lowest, highest, total, 0)
    share = explained_share(w.counts, w.seconds, lowest, highest, total, low, high)
    for index in range(lowest, highest + 1):
        w.counts[index] = 0
        w.seconds[index] = 0.0
    return total * divergence * (CORE_FLOOR + share), low, high, count, divergence


@jit
def fill_half_octaves(times: Integers, rate: float, w: Workspace) -> int:
    """Count the gaps above a millisecond by half octave; return how many there are."""
    bits = w.scaled.view(np.int64)
    w.halves[:] = 0
    total = 0
    for i in range(len(times) - 1):
        gap = times[i + 1] - times[i]
        if gap > DUPLICATE_GAP_NS:
            w.scaled[total] = gap * 1e-9 * rate
            w.halves[clip_bin(bits[total]) // HALF_OCTAVE] += 1
            total += 1
    return total


@jit
def is_valley(halves: Integers, half: int) -> bool:
    """Tell whether no neighbour within an octave holds fewer gaps."""
    least = min(halves[half - 2], halves[half - 1], halves[half + 1], halves[half + 2])
    return bool(halves[half] <= least)


@jit
def mean_gap_rate(times: Integers) -> float:
    """Return the scale of the histogram: events per second over the span, put inside a bin."""
    span = (times[-1] - times[0]) * 1e-9
    return MID_BIN * (len(times) - 1) / span if span > 0 else 1.0


@jit
def find_check_ins(
    times: Integers, rate: float, w: Workspace
) -> tuple[int, float, int, int, int, float]:
    """Collapse a run of events into ``w.firsts`` at the gap that concentrates its intervals most.

    Returns (check-ins, gap, low bin, high bin, count, divergence), seconds and
    nats; no check-ins when there are too few at every gap.
    """
    best, best_gap, best_low, best_high, best_count, best_divergence = -1.0, 0.0, 0, 1, 0, 0.0
    total = fill_half_octaves(times, rate, w)
    below, tried = w.halves[0], -1
    for half in range(1, HALVES):
        gap = EDGES[half * HALF_OCTAVE] / rate if half > 1 else 0.0
        if half > 1:
            below += w.halves[half - 1]
            if total - below < MIN_CHECK_INS - 1 or gap > MAX_COLLAPSE_SECONDS:
                break
            if below == tried or below < MIN_BURST_SHARE * total or not is_valley(w.halves, half):
                continue
            tried = below
        found = collapse(times, gap, w.firsts)
        if found < MIN_CHECK_INS:
            break
        merit, low, high, count, divergence = weigh_level(times, found, gap, rate, w)
        if EDGES[high] / rate + gap < SHORTEST_INTERVAL:
            merit *= RAPID_PENALTY
        if merit > best:
            best, best_gap, best_divergence = merit, gap, divergence
            best_low, best_high, best_count = low, high, count
    if best < 0:
        return 0, 0.0, 0, 1, 0, 0.0
    found = collapse(times, best_gap, w.firsts)
    return found, best_gap, best_low, best_high, best_count, best_divergence
