"""Compiled twin of ``reference.shape``: the features of an episode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.check_ins import densest_window, kl_divergence
from beacon_detect.analysis.compiled.histogram import fullest, quantile_bin, tally
from beacon_detect.analysis.compiled.jit import jit, reorderable
from beacon_detect.analysis.compiled.logarithm import natural_log
from beacon_detect.analysis.compiled.workspace import WIDEST
from beacon_detect.analysis.constants import (
    DAY_FLAG_SECONDS,
    DAY_SECONDS,
    GROWTH_LEAST,
    GROWTH_MOST,
    LATE_INTERVALS,
    LEAST_CV,
    LEAST_DRIFT,
    NEIGHBOUR_LIMITS,
    ROUNDING,
    SECOND_WINDOW_FIRST_WIDTH,
    SECOND_WINDOW_NATS,
    SERIAL_OF_SCHEDULE,
    SERIAL_PRIOR,
    SHAPE_CHECK_INS,
    STEADY_VARIANCE,
    SURROUNDINGS,
)
from beacon_detect.analysis.interval_bins import BINS_PER_OCTAVE, WINDOW_WIDTHS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Histogram

LIMITS = np.array(NEIGHBOUR_LIMITS)
BY_CHANCE = np.tanh(LIMITS / 2)
BEYOND = 1e3
"""Stands for the log of an interval beyond a factor of eight, where the plain twin has NaN."""
HOUR_SECONDS = DAY_SECONDS / 24


@jit
def octave_divergence(upto: Integers, used: int) -> float:
    """Return the divergence per interval of the densest octave; chance puts a quarter there."""
    most, _ = fullest(upto, used, BINS_PER_OCTAVE)
    return kl_divergence(most / upto[WIDEST + used], 0.25)


@jit
def prominence(upto: Integers, used: int) -> float:
    """Return log(1 + nats) by which a window stands out from the windows beside it.

    Whatever the law of the intervals, where its density in the logarithm is
    smooth a window holds the share ``1 / SURROUNDINGS`` of what lies in and
    around it.
    """
    best = 0.0
    for bins in WINDOW_WIDTHS:
        most, at = fullest(upto, used, bins)
        beside = bins * (SURROUNDINGS // 2)
        first, last = max(at - beside, 0), min(at + bins + beside, used)
        around = upto[WIDEST + last] - upto[WIDEST + first]
        best = max(best, around * kl_divergence(most / around, 1.0 / SURROUNDINGS))
    return math.log1p(best)


@jit
def spreads(
    intervals: Floats, gap: float, rate: float, h: Histogram
) -> tuple[float, float, float, float]:
    """Return (octave divergence, prominence, quartile octaves, decile octaves)."""
    total = len(intervals)
    for i in range(total):
        h.values[i] = (intervals[i] - gap) * rate
    lowest, used = tally(total, h)
    p10 = quantile_bin(h.upto, lowest, 0.1 * total)
    p25 = quantile_bin(h.upto, lowest, 0.25 * total)
    p75 = quantile_bin(h.upto, lowest, 0.75 * total)
    p90 = quantile_bin(h.upto, lowest, 0.9 * total)
    return (
        octave_divergence(h.upto, used),
        prominence(h.upto, used),
        (p75 - p25) / BINS_PER_OCTAVE,
        (p90 - p10) / BINS_PER_OCTAVE,
    )


@jit
def second_window(
    intervals: Floats, multiples: Integers, gap: float, rate: float, h: Histogram
) -> tuple[int, int, int]:
    """Return (low bin, high bin, count) of the densest window of the unexplained intervals."""
    rest = 0
    for i in range(len(intervals)):
        h.values[rest] = (intervals[i] - gap) * rate
        rest += multiples[i] == 0
    if rest < 4:
        return 0, 1, 0
    lowest, used = tally(rest, h)
    low, high, count, divergence = densest_window(h.upto, lowest, used, SECOND_WINDOW_FIRST_WIDTH)
    if divergence * rest <= SECOND_WINDOW_NATS:
        return 0, 1, 0
    return low, high, count


@reorderable
def folded_squares(intervals: Floats, interval: float) -> tuple[float, int]:
    """Return (sum of the squared folded residuals, each at most 1; how many there are)."""
    squares, used = 0.0, 0
    for i in range(len(intervals)):
        ratio = intervals[i] / interval
        multiple = max(np.floor(ratio + 0.5), 1.0)
        # The residual is divided by the root of the multiple, its square by the multiple.
        square = min((ratio - multiple) ** 2 / multiple, 1.0)
        squares += square * (ratio <= LATE_INTERVALS)
        used += ratio <= LATE_INTERVALS
    return squares, used


@jit
def folded_cv(intervals: Floats, interval: float, gap: float) -> float:
    """Return the root mean square of the folded residuals, corrected for dead time, at most 2."""
    squares, used = folded_squares(intervals, interval)
    root = math.sqrt(squares / used) if used else 1.0
    return min(root * interval / max(interval - gap, 0.05 * interval), 2.0)


@reorderable
def moran(relative: Floats, logs: Floats) -> float:
    """Return the log of the mean minus the mean of the log (Moran 1951), 0 for a perfect beacon."""
    total, total_log, used = 0.0, 0.0, 0
    for i in range(len(logs)):
        known = logs[i] < BEYOND
        total += relative[i] * known
        total_log += logs[i] * known
        used += known
    return math.log(total / used) - total_log / used if used > 2 else 1.0


@jit
def fill_logs(
    intervals: Floats, interval: float, gap: float, relative: Floats, logs: Floats
) -> float:
    """Write the log of each interval beyond the dead time over the interval; return their spread.

    Intervals beyond a factor of eight get ``BEYOND``.
    """
    total, widest = len(intervals), 8 * (1 - ROUNDING)
    for i in range(total):
        x = intervals[i]
        relative[i] = max((x - gap) / interval, 1e-4)
        inside = (x > interval / widest) & (x < interval * widest)
        logs[i] = natural_log(relative[i]) if inside else BEYOND
    return moran(relative[:total], logs[:total])


@jit
def pair_neighbours(logs: Floats, xs: Floats, ys: Floats) -> int:
    """Write the pairs of neighbouring logs that are both known; return how many there are."""
    pairs = 0
    for i in range(1, len(logs)):
        xs[pairs], ys[pairs] = logs[i - 1], logs[i]
        pairs += (logs[i - 1] < BEYOND) & (logs[i] < BEYOND)
    return pairs


@reorderable
def moments(xs: Floats, ys: Floats) -> tuple[float, float, float]:
    """Return (variance of x, variance of y, covariance) of points."""
    x, y, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
    points = len(xs)
    for i in range(points):
        x += xs[i]
        y += ys[i]
        xx += xs[i] * xs[i]
        yy += ys[i] * ys[i]
        xy += xs[i] * ys[i]
    x, y = x / points, y / points
    return xx / points - x * x, yy / points - y * y, xy / points - x * y


@jit
def share_within(xs: Floats, ys: Floats, limit: float) -> float:
    """Return the share of points whose coordinates differ by less than ``limit``."""
    within = 0
    for i in range(len(xs)):
        within += abs(ys[i] - xs[i]) < limit
    return within / len(xs)


@jit
def neighbours(logs: Floats, xs: Floats, ys: Floats) -> tuple[float, float, float, float]:
    """Return (serial correlation, share within 10 %, share within 35 %, evidence) of neighbours.

    For two exponential intervals P(|ln(x1 / x2)| < a) = tanh(a / 2).
    """
    pairs = pair_neighbours(logs, xs, ys)
    if pairs < 3:
        return 0.0, 0.0, 0.0, 0.0
    before, after = xs[:pairs], ys[:pairs]
    variance, next_variance, covariance = moments(before, after)
    serial = SERIAL_OF_SCHEDULE
    if min(variance, next_variance) > STEADY_VARIANCE:
        serial = covariance / math.sqrt(variance * next_variance)
        serial *= pairs / (pairs + SERIAL_PRIOR)
    close, near, best = 0.0, 0.0, 0.0
    for j in range(len(LIMITS)):
        share = share_within(before, after, LIMITS[j])
        best = max(best, kl_divergence(share, BY_CHANCE[j]))
        close = share if j == 1 else close
        near = share if j == 3 else near
    # Neighbouring pairs overlap, so only half of them are independent.
    return serial, close, near, math.log1p(0.5 * pairs * best)


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
def fill_elapsed(intervals: Floats, elapsed: Floats) -> None:
    """Write the time from the first check-in to each later one, seconds."""
    position = 0.0
    for i in range(len(intervals)):
        position += intervals[i]
        elapsed[i] = position


@jit
def coverage(elapsed: Floats, width: float, places: Integers) -> float:
    """Return the share of the windows of a width, seconds, that saw a check-in."""
    places[0] = 0
    for i in range(len(elapsed)):
        places[i + 1] = int(elapsed[i] / width + ROUNDING)
    seen = 1
    for i in range(len(elapsed)):
        seen += places[i + 1] != places[i]
    return float(min(1.0, seen / (places[len(elapsed)] + 1)))


@reorderable
def active_shares(
    intervals: Floats, multiples: Integers, interval: float, low: float
) -> tuple[float, float, float]:
    """Return (explained time, early, late)."""
    explained, active, early, late = 0.0, 0.0, 0, 0
    total = len(intervals)
    for i in range(total):
        x = intervals[i]
        asleep = x <= LATE_INTERVALS * interval
        active += x * asleep
        explained += x * (asleep & (multiples[i] > 0))
        early += (multiples[i] == 0) & (x < low)
        late += x > LATE_INTERVALS * interval
    return explained / active if active > 0 else 0.0, early / total, late / total


@jit
def weak_quarter(multiples: Integers) -> float:
    """Return the explained share of the second worst quarter of the intervals."""
    worst, second, begin = np.inf, np.inf, 0
    for quarter in range(1, 5):
        end = (quarter * len(multiples) + 3) // 4
        explained = 0
        for i in range(begin, end):
            explained += multiples[i] > 0
        share = explained / max(end - begin, 1)
        worst, second = min(worst, share), min(second, max(worst, share))
        begin = end
    return second


@jit
def fill_drifts(intervals: Floats, interval: float, numbers: Floats, drifts: Floats) -> int:
    """Write the number of each check-in and its drift from a schedule; return how many there are."""
    used, number, drift = 0, 0.0, 0.0
    for i in range(len(intervals)):
        ratio = intervals[i] / interval
        step = max(np.floor(ratio + 0.5), 1.0)
        number += step
        drift += ratio - step
        if ratio < LATE_INTERVALS:
            numbers[used], drifts[used] = number, drift
            used += 1
        else:
            drift = 0.0  # a silence starts the schedule anew
    return used


@jit
def schedule_lock(intervals: Floats, interval: float, cv: float, xs: Floats, ys: Floats) -> float:
    """Return log2 of the drift from a fixed schedule over the drift a sleep loop would have.

    The time of each check-in is regressed on its folded number.  A loop that
    sleeps drifts with the root of the number, a schedule does not drift.
    """
    used = fill_drifts(intervals, interval, xs, ys)
    if used < 5:
        return 0.0
    variance, drift_variance, covariance = moments(xs[:used], ys[:used])
    rest = drift_variance - covariance**2 / max(variance, 1e-9)
    drift_of_loop = (cv + LEAST_CV) * math.sqrt(used / 15.0 + 1)
    return math.log2((math.sqrt(max(rest, 0.0)) + LEAST_DRIFT) / drift_of_loop)


@jit
def burst_shape(sizes: Integers) -> float:
    """Return the share of check-ins with the most usual number of connections (at most 63)."""
    counts = np.zeros(64, np.int64)
    for size in sizes:
        counts[min(size, 63)] += 1
    return float(counts.max() / len(sizes))


@reorderable
def growth(times: Integers) -> float:
    """Return the share of gaps that are about twice the one before, minus that of about halves."""
    newest = times[max(len(times) - SHAPE_CHECK_INS - 2, 0) :]
    grown, shrunk = 0, 0
    for i in range(2, len(newest)):
        before = newest[i - 1] - newest[i - 2] + 1.0
        after = newest[i] - newest[i - 1] + 1.0
        grown += (after > GROWTH_LEAST * before) & (after < GROWTH_MOST * before)
        shrunk += (before > GROWTH_LEAST * after) & (before < GROWTH_MOST * after)
    return float(grown - shrunk) / (len(newest) - 2)


@jit
def halves(elapsed: Floats) -> float:
    """Return the imbalance of check-ins between the two halves of their span, in log2."""
    middle = elapsed[-1] / 2 * (1 - ROUNDING)
    before = 1
    for i in range(len(elapsed)):
        before += elapsed[i] < middle
    after = len(elapsed) + 1 - before
    return abs(math.log2((before + 0.5) / (after + 0.5)))


@jit
def day_hours(elapsed: Floats) -> float:
    """Return the share of the 24 hours, counted from the first check-in, that were active."""
    if elapsed[-1] <= DAY_FLAG_SECONDS:
        return -1.0
    active = 1  # one bit for each hour
    for i in range(len(elapsed)):
        active |= 1 << (int(elapsed[i] / HOUR_SECONDS) % 24)
    hours = 0
    for hour in range(24):
        hours += (active >> hour) & 1
    return hours / min(24.0, len(elapsed) + 1.0)


@jit
def size_share(sizes: Integers, h: Histogram) -> float:
    """Return the largest share of sizes inside about 9 %, of at most 512 evenly taken ones."""
    step = max(len(sizes) // 512, 1)
    total = (len(sizes) + step - 1) // step
    for i in range(total):
        h.values[i] = sizes[i * step] + 1.0
    _, used = tally(total, h)
    most, _ = fullest(h.upto, used, 2)
    return most / total
