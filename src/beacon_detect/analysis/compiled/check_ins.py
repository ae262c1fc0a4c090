"""Compiled twin of ``reference.check_ins``: one pass over the gaps for each valley."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis.compiled.histogram import bin_of, fullest, tally
from beacon_detect.analysis.compiled.jit import jit, reorderable
from beacon_detect.analysis.compiled.workspace import DUPLICATES, HALVES, WIDEST
from beacon_detect.analysis.constants import (
    BELOW_SHARE,
    CLEARLY_MORE,
    CORE_FLOOR,
    DUPLICATE_GAP_NS,
    EVIDENCE_NONE,
    HALVES_BELOW,
    LARGE_CHECK_IN,
    LONGEST_DROPPED,
    MAX_COLLAPSE_SECONDS,
    MERIT_FLOOR,
    MIN_BURST_SHARE,
    MOST_KEPT,
    RAPID_PENALTY,
    SECOND_NS,
    SHORTEST_IN_SECONDS,
    SHORTEST_INTERVAL,
    WORTH_EVIDENCE,
    WORTH_MERIT,
)
from beacon_detect.analysis.features import FEATURE
from beacon_detect.analysis.interval_bins import (
    BINS_PER_OCTAVE,
    EDGES,
    HALF_OCTAVE,
    MID_BIN,
    NULL_SHARE,
    WINDOW_WIDTHS,
)
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Histogram, Workspace

WIDTHS = len(WINDOW_WIDTHS)


class Way(NamedTuple):
    """A collapse and its densest window: gap in seconds, flags, bins, nats."""

    merit: float
    gap: float
    paused: int
    large: int
    low: int
    high: int
    inside: int
    divergence: float
    intervals: int


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
    upto: Integers, lowest: int, used: int, first_width: int
) -> tuple[int, int, int, float]:
    """Return (low bin, high bin, count, divergence) of the least likely window."""
    best_low, best_high, best_count, best = 0, 1, 0, 0.0
    total = upto[WIDEST + used]
    for width in range(first_width, WIDTHS):
        bins = WINDOW_WIDTHS[width]
        most, at = fullest(upto, used, bins)
        low = max(lowest + at, 0)
        divergence = kl_divergence(most / total, NULL_SHARE[width, low % BINS_PER_OCTAVE])
        if divergence > best:
            best_low, best_high, best_count, best = low, low + bins, most, divergence
    return best_low, best_high, best_count, best


@reorderable
def total_between(values: Floats, places: Integers, low: int, high: int) -> float:
    """Return the sum of the values in the bins ``low <= bin < high``."""
    total = 0.0
    for i in range(len(values)):
        total += values[i] * ((places[i] >= low) & (places[i] < high))
    return total


@jit
def longest_active(upto: Integers, used: int) -> int:
    """Return the highest bin in use, from the lowest one, when the longest intervals are left out."""
    total = upto[WIDEST + used]
    dropped = max(1.0, LONGEST_DROPPED * total)
    top = used - 1
    while top > 0 and total - upto[WIDEST + top] <= dropped:
        top -= 1
    return top


@jit
def explained_share(
    excess: Floats, places: Integers, top: int, low_bin: int, high_bin: int
) -> float:
    """Return the share of the time up to bin ``top`` in a window and its second to fourth multiples."""
    active = total_between(excess, places, 0, top + 1)
    explained, following = 0.0, low_bin
    for multiple in range(1, 5):
        low = max(bin_of(EDGES[low_bin] * multiple), following)
        high = min(bin_of(EDGES[high_bin] * multiple), top + 1)
        if high > low:
            explained += total_between(excess, places, low, high)
            following = high
    return explained / active if active > 0 else 0.0


@jit
def every_event(firsts: Integers, events: int) -> int:
    """Make every event a check-in of its own; return how many there are."""
    for i in range(events):
        firsts[i] = i
    return events


@jit
def collapse(times: Integers, gap: float, firsts: Integers, found: int) -> int:
    """Keep of the first events of check-ins those that follow a gap above ``gap`` s; return how many.

    What is first at a long gap is first at every shorter one, so each valley has
    only those to look at that the one before left.
    """
    limit = max(int(gap * 1e9), DUPLICATE_GAP_NS)
    kept = 1
    for i in range(1, found):
        first = firsts[i]
        # Written always and overwritten by the next if not kept: chance has no branch to mislead.
        firsts[kept] = first
        kept += times[first] - times[first - 1] > limit
    return kept


@jit
def weigh(
    times: Integers,
    found: int,
    gap: float,
    paused: int,
    large: int,
    rate: float,
    shortest: float,
    least: float,
    firsts: Integers,
    h: Histogram,
) -> Way:
    """Weigh one collapse.

    Intervals run from start to start or, ``paused``, from the last event of a
    check-in.  The merit is 0 where it cannot be above ``least``.
    """
    total = found - 1
    for i in range(total):
        before = firsts[i + 1] - 1 if paused else firsts[i]
        excess = (times[firsts[i + 1]] - times[before]) * 1e-9 - gap
        h.values[i] = excess * rate
    lowest, used = tally(total, h)
    low, high, count, divergence = densest_window(h.upto, lowest, used, 0)
    merit = total * divergence
    if EDGES[high] / rate + gap < shortest:
        merit *= RAPID_PENALTY
    # No share is above one: most collapses of chance need not be looked at further.
    if merit * (CORE_FLOOR + 1) <= least:
        return Way(0.0, gap, paused, large, low, high, count, divergence, total)
    top = lowest + longest_active(h.upto, used)
    share = explained_share(h.values[:total], h.places, top, low, high)
    merit *= CORE_FLOOR + share
    return Way(merit, gap, paused, large, low, high, count, divergence, total)


@jit
def fill_half_octaves(times: Integers, rate: float, halves: Integers, places: Integers) -> int:
    """Count the gaps above a millisecond by half octave; return how many there are."""
    gaps = len(times) - 1
    for i in range(gaps):
        gap = times[i + 1] - times[i]
        half = bin_of(gap * 1e-9 * rate) // HALF_OCTAVE
        places[i] = half if gap > DUPLICATE_GAP_NS else DUPLICATES
    halves[:] = 0
    for i in range(gaps):
        halves[places[i]] += 1
    return gaps - int(halves[DUPLICATES])


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
def shortest_interval(times: Integers) -> float:
    """Return the shortest interval that is looked at first, seconds."""
    for time in times:
        if (time - times[0]) % SECOND_NS != 0:
            return SHORTEST_INTERVAL
    return SHORTEST_IN_SECONDS


@jit
def keep_large(firsts: Integers, found: int, events: int, large: Integers) -> int:
    """Copy the first events of check-ins of ``LARGE_CHECK_IN`` events or more; return how many."""
    kept = 0
    for i in range(found):
        following = firsts[i + 1] if i + 1 < found else events
        large[kept] = firsts[i]
        kept += following - firsts[i] >= LARGE_CHECK_IN
    return kept


@jit
def is_better(way: Way, other: Way) -> bool:
    """Tell whether a way has clearly more merit than one that was looked at before it."""
    return way.merit > other.merit * CLEARLY_MORE


@jit
def ranked(best: Way, second: Way, way: Way) -> tuple[Way, Way]:
    """Return the best two of the two best so far and another way."""
    if is_better(way, best):
        return way, best
    if is_better(way, second):
        return best, way
    return best, second


@jit
def below_window(plain: Way, below: int) -> int:
    """Return the half octave so far below the densest window without a collapse, -1 where there is none."""
    evident = plain.intervals * plain.divergence >= EVIDENCE_NONE
    return plain.low // HALF_OCTAVE - below if evident else -1


@jit
def find_ways(
    times: Integers, rate: float, shortest: float, w: Workspace
) -> tuple[int, Way, Way, float]:
    """Weigh every collapse of a run of events worth a look.

    Returns (how many, the best, the next best, merit without collapse); none when
    there are too few check-ins at every gap.
    """
    h, firsts, halves, collapses = w.histogram, w.firsts, w.halves, 1
    total = fill_half_octaves(times, rate, halves, h.places)
    found = collapse(times, 0.0, firsts, every_event(firsts, len(times)))
    if found < MIN_CHECK_INS:
        nothing = Way(-1.0, 0.0, 0, 0, 0, 1, 0, 0.0, 0)
        return 0, nothing, nothing, 0.0
    plain = weigh(times, found, 0.0, 0, 0, rate, shortest, 0.0, firsts, h)
    best, second = plain, Way(0.0, -1.0, 0, 0, 0, 1, 0, 0.0, 0)
    wanted, also = below_window(plain, HALVES_BELOW[0]), below_window(plain, HALVES_BELOW[1])
    below, tried = halves[0], -1
    for half in range(2, HALVES):
        gap = EDGES[half * HALF_OCTAVE] / rate
        below += halves[half - 1]
        if total - below < MIN_CHECK_INS - 1 or gap > MAX_COLLAPSE_SECONDS:
            break
        if below == tried or below < MIN_BURST_SHARE * total:
            continue
        busy = half in (wanted, also) and below >= BELOW_SHARE * total
        if not (is_valley(halves, half) or busy):
            continue
        tried = below
        found = collapse(times, gap, firsts, found)
        if found < MIN_CHECK_INS:
            break
        way = weigh(times, found, gap, 0, 0, rate, shortest, second.merit, firsts, h)
        paused = weigh(times, found, gap, 1, 0, rate, shortest, second.merit, firsts, h)
        best, second = ranked(best, second, paused if is_better(paused, way) else way)
        collapses += 1
        kept = keep_large(firsts, found, len(times), w.large)
        if MIN_CHECK_INS <= kept <= MOST_KEPT * found:
            way = weigh(times, kept, gap, 0, 1, rate, shortest, second.merit, w.large, h)
            best, second = ranked(best, second, way)
            collapses += 1
    return collapses, best, second, plain.merit


@jit
def is_worth_measuring(second: Way, best: Way) -> bool:
    """Tell whether the model may prefer the next best way."""
    evident = second.intervals * second.divergence >= WORTH_EVIDENCE
    return bool(evident and second.merit >= WORTH_MERIT * best.merit)


@jit
def fill_intervals(
    times: Integers, firsts: Integers, found: int, paused: int, intervals: Floats
) -> float:
    """Write the intervals between check-ins, seconds; return the usual time one takes, if paused."""
    busy = 0.0
    if paused:
        for i in range(found):
            following = firsts[i + 1] if i + 1 < found else len(times)
            intervals[i] = (times[following - 1] - times[firsts[i]]) * 1e-9
        busy = float(np.median(intervals[:found]))
    for i in range(found - 1):
        before = firsts[i + 1] - 1 if paused else firsts[i]
        intervals[i] = (times[firsts[i + 1]] - times[before]) * 1e-9 + busy
    return busy


@jit
def take(times: Integers, way: Way, w: Workspace) -> tuple[int, int, float]:
    """Leave the check-ins of a collapse in ``w.firsts``, ``w.sizes`` and ``w.intervals``.

    Returns (check-ins, how many were left out as too small, usual time of one if paused).
    """
    firsts = w.firsts
    found = collapse(times, way.gap, firsts, every_event(firsts, len(times)))
    kept = 0
    for i in range(found):
        size = (firsts[i + 1] if i + 1 < found else len(times)) - firsts[i]
        firsts[kept] = firsts[i]
        w.sizes[kept] = size
        kept += (size >= LARGE_CHECK_IN) | (way.large == 0)
    return kept, found - kept, fill_intervals(times, firsts, kept, way.paused, w.intervals)


@jit
def merit_ratio(other: float, own: float) -> float:
    """Return log2 of one merit over another, 0 where neither is any."""
    return math.log2((other + MERIT_FLOOR) / (own + MERIT_FLOOR))


@jit
def fill_merits(
    features: Floats, collapses: int, own: float, other: float, uncollapsed: float, rapid: bool
) -> None:
    """Fill the features that say how clear the choice of a collapse was."""
    # A rhythm looked at last is no worse for it once nothing else was better.
    scale = RAPID_PENALTY if rapid else 1.0
    features[FEATURE.collapses] = collapses
    features[FEATURE.runner_up] = merit_ratio(other / scale, own / scale)
    features[FEATURE.uncollapsed] = merit_ratio(uncollapsed / scale, own / scale)
    features[FEATURE.raw_merit] = math.log1p(uncollapsed / scale)
