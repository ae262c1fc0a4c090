"""Compiled twin of ``reference.shape``: the features of an episode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.check_ins import clip_bin, densest_window, kl_divergence
from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.constants import (
    COVERAGE_INTERVALS,
    DAY_FLAG_SECONDS,
    DAY_SECONDS,
    LATE_INTERVALS,
    LEAST_CV,
    LEAST_DRIFT,
    NEIGHBOUR_LIMITS,
    ROUNDING,
    SECOND_WINDOW_FIRST_WIDTH,
    SECOND_WINDOW_NATS,
    SERIAL_OF_SCHEDULE,
    SERIAL_PRIOR,
    STEADY_VARIANCE,
    SURROUNDINGS,
)
from beacon_detect.analysis.interval_bins import BINS, BINS_PER_OCTAVE, WINDOW_WIDTHS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers

LIMITS = np.array(NEIGHBOUR_LIMITS)
BY_CHANCE = np.tanh(LIMITS / 2)


@jit
def fill_counts(excess: Floats, rate: float, counts: Integers) -> tuple[int, int]:
    """Add intervals to a histogram; return the lowest and highest bin used."""
    one = np.empty(1)
    bits = one.view(np.int64)
    lowest, highest = BINS, 0
    for x in excess:
        one[0] = x * rate
        index = clip_bin(bits[0])
        counts[index] += 1
        lowest = min(lowest, index)
        highest = max(highest, index)
    return lowest, highest


@jit
def quantile_bin(counts: Integers, lowest: int, highest: int, wanted: float) -> float:
    """Return the fractional bin below which ``wanted`` intervals lie."""
    below = 0.0
    for index in range(lowest, highest + 1):
        if counts[index] and below + counts[index] >= wanted:
            return float(index + (wanted - below) / counts[index])
        below += counts[index]
    return highest + 1.0


@jit
def octave_divergence(counts: Integers, lowest: int, highest: int, total: int) -> float:
    """Return the divergence per interval of the densest octave; chance puts a quarter there."""
    inside, most = 0, 0
    for index in range(lowest, highest + 1):
        inside += counts[index]
        if index - BINS_PER_OCTAVE >= lowest:
            inside -= counts[index - BINS_PER_OCTAVE]
        most = max(most, inside)
    return kl_divergence(most / total, 0.25)


@jit
def prominence(counts: Integers, lowest: int, highest: int) -> float:
    """Return log(1 + nats) by which a window stands out from the windows beside it.

    Whatever the law of the intervals, where its density in the logarithm is
    smooth a window holds the share ``1 / SURROUNDINGS`` of what lies in and
    around it.
    """
    best = 0.0
    for bins in WINDOW_WIDTHS:
        inside, most, at = 0, -1, 0
        for index in range(lowest, highest + 1):
            inside += counts[index]
            if index - bins >= lowest:
                inside -= counts[index - bins]
            if inside > most:
                most, at = inside, index - bins + 1
        beside = bins * (SURROUNDINGS // 2)
        around = 0
        for index in range(max(at - beside, lowest), min(at + bins + beside, highest + 1)):
            around += counts[index]
        best = max(best, around * kl_divergence(most / around, 1.0 / SURROUNDINGS))
    return math.log1p(best)


@jit
def spreads(excess: Floats, rate: float, counts: Integers) -> tuple[float, float, float, float]:
    """Return (octave divergence, prominence, quartile octaves, decile octaves)."""
    total = len(excess)
    lowest, highest = fill_counts(excess, rate, counts)
    divergence = octave_divergence(counts, lowest, highest, total)
    prominent = prominence(counts, lowest, highest)
    edges = np.empty(4)
    for i, share in enumerate((0.1, 0.25, 0.75, 0.9)):
        edges[i] = quantile_bin(counts, lowest, highest, share * total)
    counts[lowest : highest + 1] = 0
    return (
        divergence,
        prominent,
        (edges[2] - edges[1]) / BINS_PER_OCTAVE,
        (edges[3] - edges[0]) / BINS_PER_OCTAVE,
    )


@jit
def second_window(
    intervals: Floats,
    multiples: Integers,
    gap: float,
    rate: float,
    scaled: Floats,
    counts: Integers,
) -> tuple[int, int, int]:
    """Return (low bin, high bin, count) of the densest window of the unexplained intervals."""
    rest = 0
    for i in range(len(intervals)):
        if multiples[i] == 0:
            scaled[rest] = intervals[i] - gap
            rest += 1
    if rest < 4:
        return 0, 1, 0
    lowest, highest = fill_counts(scaled[:rest], rate, counts)
    low, high, count, divergence = densest_window(
        counts, lowest, highest, rest, SECOND_WINDOW_FIRST_WIDTH
    )
    counts[lowest : highest + 1] = 0
    if divergence * rest <= SECOND_WINDOW_NATS:
        return 0, 1, 0
    return low, high, count


@jit
def folded_cv(intervals: Floats, interval: float, gap: float) -> float:
    """Return the root mean square of the folded residuals, corrected for dead time, at most 2."""
    squares, used = 0.0, 0
    for x in intervals:
        ratio = x / interval
        if ratio <= LATE_INTERVALS:
            multiple = max(math.floor(ratio + 0.5), 1.0)
            residual = (ratio - multiple) / math.sqrt(multiple)
            squares += min(max(residual, -1.0), 1.0) ** 2
            used += 1
    root = math.sqrt(squares / used) if used else 1.0
    return min(root * interval / max(interval - gap, 0.05 * interval), 2.0)


@jit
def fill_logs(intervals: Floats, interval: float, gap: float, logs: Floats) -> float:
    """Write the log of each interval beyond the dead time over the interval; return their spread.

    Intervals beyond a factor of eight get NaN.  The spread is the log of the
    mean minus the mean of the log (Moran 1951), 0 for a perfect beacon.
    """
    total, total_log, used = 0.0, 0.0, 0
    for i in range(len(intervals)):
        x = intervals[i]
        logs[i] = np.nan
        if interval / 8 < x < interval * 8:
            relative = max((x - gap) / interval, 1e-4)
            logs[i] = math.log(relative)
            total += relative
            total_log += logs[i]
            used += 1
    return math.log(total / used) - total_log / used if used > 2 else 1.0


@jit
def neighbours(logs: Floats) -> tuple[float, float, float, float]:
    """Return (serial correlation, share within 10 %, share within 35 %, evidence) of neighbours.

    For two exponential intervals P(|ln(x1 / x2)| < a) = tanh(a / 2).
    """
    within = np.zeros(len(LIMITS))
    pairs, a, b, aa, bb, ab = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(1, len(logs)):
        before, after = logs[i - 1], logs[i]
        if before == before and after == after:  # neither is NaN
            pairs += 1
            for j in range(len(LIMITS)):
                if abs(after - before) < LIMITS[j]:
                    within[j] += 1
            a += before
            b += after
            aa += before * before
            bb += after * after
            ab += before * after
    if pairs < 3:
        return 0.0, 0.0, 0.0, 0.0
    variance = min(aa / pairs - (a / pairs) ** 2, bb / pairs - (b / pairs) ** 2)
    serial = SERIAL_OF_SCHEDULE
    if variance > STEADY_VARIANCE:
        spread = (aa / pairs - (a / pairs) ** 2) * (bb / pairs - (b / pairs) ** 2)
        serial = (ab / pairs - a * b / pairs / pairs) / math.sqrt(spread)
        serial *= pairs / (pairs + SERIAL_PRIOR)
    best = 0.0
    for j in range(len(LIMITS)):
        best = max(best, kl_divergence(within[j] / pairs, BY_CHANCE[j]))
    # Neighbouring pairs overlap, so only half of them are independent.
    return serial, within[1] / pairs, within[3] / pairs, math.log1p(0.5 * pairs * best)


@jit
def fano(intervals: Floats, interval: float, gap: float) -> float:
    """Return log2 of the variance over the mean of check-ins in windows of 2 to 8 intervals."""
    width = min(max(len(intervals) / 8.0, 2.0), 8.0) * interval
    position, count, windows = 0.0, 1.0, 0
    total, squares = 0.0, 0.0
    for x in intervals:
        position += x if x <= LATE_INTERVALS * interval else interval
        while windows < int(position / width + ROUNDING):
            total += count
            squares += count * count
            windows += 1
            count = 0.0
        count += 1.0
    if windows < 3:
        return 0.0
    mean = total / windows
    inflation = interval / max(interval - gap, 0.05 * interval)
    ratio = max(squares / windows - mean * mean, 0.0) / mean * inflation**2
    return math.log2(ratio + 0.03)


@jit
def active_shares(
    intervals: Floats, multiples: Integers, interval: float, low: float
) -> tuple[float, float, float, float]:
    """Return (explained time, coverage, early, late)."""
    explained, active, early, late = 0.0, 0.0, 0, 0
    position, seen, last = 0.0, 1, 0
    for i in range(len(intervals)):
        x = intervals[i]
        position += x
        window = int(position / (COVERAGE_INTERVALS * interval) + ROUNDING)
        if window != last:
            seen += 1
            last = window
        if x > LATE_INTERVALS * interval:
            late += 1
        else:
            active += x
            if multiples[i] > 0:
                explained += x
        if multiples[i] == 0 and x < low:
            early += 1
    share = explained / active if active > 0 else 0.0
    total = len(intervals)
    return share, min(1.0, seen / (last + 1)), early / total, late / total


@jit
def weak_quarter(multiples: Integers) -> float:
    """Return the explained share of the second worst quarter of the intervals."""
    explained = np.zeros(4)
    sizes = np.zeros(4)
    total = len(multiples)
    for i in range(total):
        quarter = i * 4 // total
        sizes[quarter] += 1
        if multiples[i] > 0:
            explained[quarter] += 1
    shares = np.sort(explained / np.maximum(sizes, 1))
    return float(shares[1])


@jit
def schedule_lock(intervals: Floats, interval: float, cv: float) -> float:
    """Return log2 of the drift from a fixed schedule over the drift a sleep loop would have.

    The time of each check-in is regressed on its folded number.  A loop that
    sleeps drifts with the root of the number, a schedule does not drift.
    """
    used = 0
    k, kk, y, yy, ky, number, position = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for x in intervals:
        ratio = x / interval
        step = max(math.floor(ratio + 0.5), 1.0)
        number += step
        position += ratio
        if ratio < LATE_INTERVALS:
            drift = position - number
            k += number
            kk += number * number
            y += drift
            yy += drift * drift
            ky += number * drift
            used += 1
        else:
            position = number  # a silence starts the schedule anew
    if used < 5:
        return 0.0
    variance = kk / used - (k / used) ** 2
    covariance = ky / used - k * y / used / used
    rest = yy / used - (y / used) ** 2 - covariance**2 / max(variance, 1e-9)
    drift_of_loop = (cv + LEAST_CV) * math.sqrt(used / 15.0 + 1)
    return math.log2((math.sqrt(max(rest, 0.0)) + LEAST_DRIFT) / drift_of_loop)


@jit
def burst_shape(firsts: Integers, found: int, events: int) -> float:
    """Return the share of check-ins with the most usual number of connections (at most 63)."""
    sizes = np.zeros(64, np.int64)
    for i in range(found):
        following = firsts[i + 1] if i + 1 < found else events
        sizes[min(following - firsts[i], 63)] += 1
    return float(sizes.max() / found)


@jit
def halves(intervals: Floats) -> float:
    """Return the imbalance of check-ins between the two halves of their span, in log2."""
    middle = intervals.sum() / 2
    position, before = 0.0, 1
    for x in intervals:
        position += x
        if position < middle:
            before += 1
    after = len(intervals) + 1 - before
    return abs(math.log2((before + 0.5) / (after + 0.5)))


@jit
def day_hours(intervals: Floats) -> float:
    """Return the share of the 24 hours, counted from the first check-in, that were active."""
    if intervals.sum() <= DAY_FLAG_SECONDS:
        return -1.0
    active = np.zeros(24)
    active[0] = 1.0
    position = 0.0
    for x in intervals:
        position += x
        active[int(position % DAY_SECONDS / 3_600.0) % 24] = 1.0
    return float(active.sum() / min(24.0, len(intervals) + 1.0))


@jit
def size_share(sizes: Integers, counts: Integers) -> float:
    """Return the largest share of sizes inside about 9 %, of at most 512 evenly taken ones."""
    one = np.empty(1)
    bits = one.view(np.int64)
    step = max(len(sizes) // 512, 1)
    lowest, highest, total = BINS, 0, 0
    for i in range(0, len(sizes), step):
        one[0] = sizes[i] + 1.0
        index = clip_bin(bits[0])
        counts[index] += 1
        lowest = min(lowest, index)
        highest = max(highest, index)
        total += 1
    inside, most = 0, 0
    for index in range(lowest, highest + 1):
        inside += counts[index]
        if index - 2 >= lowest:
            inside -= counts[index - 2]
        most = max(most, inside)
    counts[lowest : highest + 1] = 0
    return most / total
