"""The features of shape of an episode, in plain NumPy.

Every statistic is taken on intervals beyond the collapse gap or corrected for
it, because the collapse of random events alone makes them look more even.
Limit: shape is measured on the newest check-ins only.

References
----------
.. [1] Moran, "The random division of an interval, part II", JRSS B 13 (1951): the
   log of the mean minus the mean of the log is zero only for equal intervals.
.. [2] Fano, Phys. Rev. 72 (1947): variance over mean of counts, 1 for Poisson.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import (
    COVERAGE_INTERVALS,
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
from beacon_detect.analysis.interval_bins import BINS, BINS_PER_OCTAVE, WINDOW_WIDTHS, bin_of
from beacon_detect.analysis.reference.check_ins import Window, densest_window, kl_divergence

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers


def inflation(interval: float, gap: float) -> float:
    """Return by how much the dead time makes chance look more regular."""
    return interval / max(interval - gap, 0.05 * interval)


def quantile_bin(counts: Integers, wanted: float) -> float:
    """Return the fractional bin below which ``wanted`` intervals lie."""
    upto = np.cumsum(counts)
    index = int(np.argmax((upto >= wanted) & (counts > 0)))
    return float(index + (wanted - (upto[index] - counts[index])) / counts[index])


def prominence(counts: Integers) -> float:
    """Return log(1 + nats) by which a window stands out from the windows beside it.

    Whatever the law of the intervals, where its density in the logarithm is
    smooth a window holds the share ``1 / SURROUNDINGS`` of what lies in and
    around it.
    """
    margin = int(WINDOW_WIDTHS[-1]) * SURROUNDINGS
    total = np.concatenate(([0], np.cumsum(np.pad(counts, margin))))
    best = 0.0
    for width in WINDOW_WIDTHS.tolist():
        inside = total[width:] - total[:-width]
        low = int(np.argmax(inside))
        beside = width * (SURROUNDINGS // 2)
        around = int(total[low + width + beside] - total[low - beside])
        divergence = kl_divergence(float(inside[low]) / around, 1 / SURROUNDINGS)
        best = max(best, around * divergence)
    return math.log1p(best)


def spreads(excess: Floats, rate: float) -> tuple[float, float, float, float]:
    """Return (octave divergence, prominence, quartile octaves, decile octaves)."""
    counts = np.bincount(bin_of(excess * rate), minlength=BINS)
    octave = np.convolve(counts, np.ones(BINS_PER_OCTAVE, np.int64)).max()
    p10, p25, p75, p90 = (quantile_bin(counts, q * len(excess)) for q in (0.1, 0.25, 0.75, 0.9))
    divergence = kl_divergence(float(octave) / len(excess), 0.25)
    return (
        divergence,
        prominence(counts),
        (p75 - p25) / BINS_PER_OCTAVE,
        (p90 - p10) / BINS_PER_OCTAVE,
    )


def second_window(intervals: Floats, multiples: Integers, gap: float, rate: float) -> Window | None:
    """Return the densest window of the unexplained intervals: a changed sleep, if there is one."""
    rest = intervals[multiples == 0] - gap
    if len(rest) < 4:
        return None
    window = densest_window(rest, rate, SECOND_WINDOW_FIRST_WIDTH)
    return window if window.divergence * len(rest) > SECOND_WINDOW_NATS else None


def folded_cv(intervals: Floats, interval: float, gap: float) -> float:
    """Return the root mean square of the folded residuals, corrected for dead time, at most 2."""
    ratio = intervals / interval
    ratio = ratio[ratio <= LATE_INTERVALS]
    if len(ratio) == 0:
        return min(inflation(interval, gap), 2.0)
    multiple = np.maximum(np.floor(ratio + 0.5), 1)
    residual = np.clip((ratio - multiple) / np.sqrt(multiple), -1, 1)
    return min(math.sqrt(float((residual**2).mean())) * inflation(interval, gap), 2.0)


def logs(intervals: Floats, interval: float, gap: float) -> tuple[Floats, float]:
    """Return the log of each interval beyond the dead time, NaN beyond a factor of 8, and Moran's spread."""
    widest = 8 * (1 - ROUNDING)
    inside = (intervals > interval / widest) & (intervals < interval * widest)
    relative = np.maximum((intervals - gap) / interval, 1e-4)
    values = np.where(inside, np.log(relative), np.nan)
    if inside.sum() <= 2:
        return values, 1.0
    return values, float(np.log(relative[inside].mean()) - values[inside].mean())


def neighbours(values: Floats) -> tuple[float, float, float, float]:
    """Return (serial correlation, share within 10 %, share within 35 %, evidence) of neighbours.

    For two exponential intervals P(|ln(x1 / x2)| < a) = tanh(a / 2).
    """
    before, after = values[:-1], values[1:]
    both = ~(np.isnan(before) | np.isnan(after))
    before, after = before[both], after[both]
    if len(before) < 3:
        return 0.0, 0.0, 0.0, 0.0
    covariance = float((before * after).mean() - before.mean() * after.mean())
    variances = [float((side * side).mean() - side.mean() ** 2) for side in (before, after)]
    serial = SERIAL_OF_SCHEDULE
    if min(variances) > STEADY_VARIANCE:
        serial = covariance / math.sqrt(variances[0] * variances[1])
        serial *= len(before) / (len(before) + SERIAL_PRIOR)
    within = [float((np.abs(after - before) < limit).mean()) for limit in NEIGHBOUR_LIMITS]
    best = max(
        kl_divergence(share, math.tanh(limit / 2))
        for share, limit in zip(within, NEIGHBOUR_LIMITS, strict=True)
    )
    # Neighbouring pairs overlap, so only half of them are independent.
    return serial, within[1], within[3], math.log1p(0.5 * len(before) * best)


def fano(intervals: Floats, interval: float, gap: float) -> float:
    """Return log2 of the variance over the mean of check-ins in windows of 2 to 8 intervals."""
    width = min(max(len(intervals) / 8, 2.0), 8.0) * interval
    active = np.where(intervals <= LATE_INTERVALS * interval, intervals, interval)
    position = np.concatenate(([0.0], np.cumsum(active)))
    window = (position / width + ROUNDING).astype(np.int64)
    windows = int(window[-1])
    if windows < 3:
        return 0.0
    counts = np.bincount(window)[:windows]
    ratio = float(counts.var()) / float(counts.mean()) * inflation(interval, gap) ** 2
    return math.log2(ratio + 0.03)


def active_shares(
    intervals: Floats, multiples: Integers, interval: float, low: float
) -> tuple[float, float, float, float]:
    """Return (explained time, coverage, early, late)."""
    late = intervals > LATE_INTERVALS * interval
    active = float(intervals[~late].sum())
    explained = float(intervals[~late & (multiples > 0)].sum())
    position = np.concatenate(([0.0], np.cumsum(intervals)))
    windows = (position / (COVERAGE_INTERVALS * interval) + ROUNDING).astype(np.int64)
    coverage = min(1.0, len(np.unique(windows)) / (int(windows[-1]) + 1))
    early = float(((multiples == 0) & (intervals < low)).mean())
    return explained / active if active > 0 else 0.0, coverage, early, float(late.mean())


def weak_quarter(multiples: Integers) -> float:
    """Return the explained share of the second worst quarter of the intervals."""
    quarter = np.arange(len(multiples)) * 4 // len(multiples)
    sizes = np.bincount(quarter, minlength=4)
    explained = np.bincount(quarter, weights=multiples > 0, minlength=4)
    return float(np.sort(explained / np.maximum(sizes, 1))[1])


def schedule_lock(intervals: Floats, interval: float, cv: float) -> float:
    """Return log2 of the drift from a fixed schedule over the drift a sleep loop would have.

    The time of each check-in is regressed on its folded number.  A loop that
    sleeps drifts with the root of the number, a schedule does not drift.
    """
    ratio = intervals / interval
    number = np.cumsum(np.maximum(np.floor(ratio + 0.5), 1))
    kept = ratio < LATE_INTERVALS
    if kept.sum() < 5:
        return 0.0
    drift = np.zeros(len(ratio))
    begin = 0
    for end in (*np.flatnonzero(~kept), len(ratio)):
        # A silence starts the schedule anew.
        steps = np.maximum(np.floor(ratio[begin:end] + 0.5), 1)
        drift[begin:end] = np.cumsum(ratio[begin:end] - steps)
        begin = int(end) + 1
    k, y = number[kept], drift[kept]
    variance = float((k * k).mean() - k.mean() ** 2)
    covariance = float((k * y).mean() - k.mean() * y.mean())
    rest = float((y * y).mean() - y.mean() ** 2) - covariance**2 / max(variance, 1e-9)
    drift_of_loop = (cv + LEAST_CV) * math.sqrt(kept.sum() / 15 + 1)
    return math.log2((math.sqrt(max(rest, 0.0)) + LEAST_DRIFT) / drift_of_loop)


def burst_shape(sizes: Integers) -> float:
    """Return the share of check-ins with the most usual number of connections (at most 63)."""
    return float(np.bincount(np.minimum(sizes, 63)).max() / len(sizes))


def growth(times: Integers) -> float:
    """Return the share of gaps that are about twice the one before, minus that of about halves.

    Retries that back off lengthen their waits step by step; a sleep, a crowd and
    chance do so as often as they shorten them.
    """
    gaps = np.diff(times[-SHAPE_CHECK_INS - 2 :]) + 1.0
    before, after = gaps[:-1], gaps[1:]
    grown = (after > GROWTH_LEAST * before) & (after < GROWTH_MOST * before)
    shrunk = (before > GROWTH_LEAST * after) & (before < GROWTH_MOST * after)
    return float(int(grown.sum()) - int(shrunk.sum())) / len(before)


def halves(intervals: Floats) -> float:
    """Return the imbalance of check-ins between the two halves of their span, in log2."""
    half = intervals.sum() / 2 * (1 - ROUNDING)
    before = 1 + int((np.cumsum(intervals) < half).sum())
    after = len(intervals) + 1 - before
    return abs(math.log2((before + 0.5) / (after + 0.5)))


def day_hours(intervals: Floats) -> float:
    """Return the share of the 24 hours, counted from the first check-in, that were active."""
    if intervals.sum() <= DAY_FLAG_SECONDS:
        return -1.0
    position = np.concatenate(([0.0], np.cumsum(intervals)))
    hours = np.unique((position % DAY_SECONDS / 3_600).astype(np.int64) % 24)
    return float(len(hours) / min(24, len(intervals) + 1))


def size_share(sizes: Integers) -> float:
    """Return the largest share of sizes inside about 9 %, of at most 512 evenly taken ones."""
    taken = sizes[:: max(len(sizes) // 512, 1)]
    counts = np.bincount(bin_of(taken + 1.0), minlength=BINS)
    return float(np.convolve(counts, np.ones(2, np.int64)).max() / len(taken))
