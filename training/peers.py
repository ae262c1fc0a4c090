"""Other ways to score a series, written from their public descriptions for comparison.

Each takes event times in seconds, bytes sent and the seconds of observation, and
returns 0 to 1.  They are as faithful as their descriptions allow and were not
tuned for the impairments of our worlds.  Limit: RITA, Elastic and BAYWATCH also
use what one series does not know, prevalence above all; that part is missing.

References
----------
.. [1] RITA v5, analysis of beacons: timestamp, size, histogram and duration scores.
.. [2] Elastic, Network Beaconing Identification package: transform script.
.. [3] Hu et al., "BAYWATCH", DSN 2016, and US patent 9591007 B2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

Scorer = Callable[[np.ndarray, np.ndarray, float], float]
FEWEST_INTERVALS: Final = 3


def _spectrum(times: np.ndarray, least: int, most: int) -> np.ndarray:
    """Return event counts in about one-second bins, a power of two of them."""
    span = max(times[-1] - times[0], 1e-9)
    bins = int(min(most, max(least, 2 ** np.ceil(np.log2(max(span, 2.0))))))
    place = np.minimum(((times - times[0]) / span * bins).astype(np.int64), bins - 1)
    return np.bincount(place, minlength=bins).astype(float)


def documented(times: np.ndarray, sent: np.ndarray, window: float) -> float:  # noqa: ARG001
    """Score 40 % CV, 40 % periodogram peak and 20 % jitter on the raw intervals."""
    intervals = np.diff(times)
    if len(intervals) < FEWEST_INTERVALS or intervals.mean() <= 0:
        return 0.0
    counts = _spectrum(times, 16, 4_096)
    power = np.abs(np.fft.rfft(counts - counts.mean()))[1:] ** 2
    peak = power.max() / max(power.mean(), 1e-12)
    deviation = np.abs(intervals - np.median(intervals)).mean()
    even = max(0.0, 1 - intervals.std() / intervals.mean())
    return float(0.4 * even + 0.4 * peak / (peak + 10) + 0.2 * max(0.0, 1 - deviation / 10))


def _symmetry_and_spread(values: np.ndarray, empty: float) -> float:
    """Return the mean of one minus Bowley's skewness and of median minus MAD over median."""
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    skew = 0.0
    if third - first >= 10 and median not in (first, third):
        skew = abs((first + third - 2 * median) / (third - first))
    spread = np.median(np.abs(values - median))
    even = max(0.0, (median - spread) / median) if median >= 1 else empty
    return float((1 - skew + even) / 2)


def _histogram_and_duration(seconds: np.ndarray, window: float) -> tuple[float, float]:
    """Return RITA's histogram and duration scores over 24 bars of the observation."""
    length = max(window, seconds[-1] - seconds[0] + 1)
    bars = np.bincount(
        np.minimum((seconds - seconds[0]) / length * 24, 23).astype(int), minlength=24
    )
    used = int((bars > 0).sum())
    histogram = max(0.0, 1 - bars.std() / bars.mean())
    if used >= 11:
        step = np.ceil(bars.max() * 0.05)
        modes = np.sort(np.unique(np.floor(bars[bars > 0] / step), return_counts=True)[1])
        histogram = max(histogram, min(1.0, modes[-2:].sum() / max(used - 1, 1)))
    if used < 6:
        return histogram, 0.0
    coverage = min(1.0, (seconds[-1] - seconds[0]) / length)
    runs = "".join("x" if bar else " " for bar in np.concatenate((bars, bars))).split()
    return histogram, max(coverage, min(1.0, min(max(map(len, runs)), 24) / 12))


def rita(times: np.ndarray, sent: np.ndarray, window: float) -> float:
    """Score like RITA v5: a quarter each of timestamps, sizes, histogram and duration."""
    seconds = np.floor(times)
    intervals = np.diff(seconds)
    intervals = intervals[intervals > 0]
    if len(intervals) < FEWEST_INTERVALS:
        return 0.0
    histogram, duration = _histogram_and_duration(seconds, window)
    sizes = _symmetry_and_spread(sent.astype(float), 0.0)
    return 0.25 * (_symmetry_and_spread(intervals, 1.0) + sizes + histogram + duration)


def _truncated_cv(values: np.ndarray) -> float:
    """Return the coefficient of variation between the 10 % and 80 % quantiles."""
    values = np.sort(values[values > 0])
    if len(values) < 7:
        return 1.0
    kept = values[int(0.1 * len(values)) : int(0.8 * len(values)) + 1]
    return float(kept.std() / max(kept.mean(), 1e-9))


def elastic(times: np.ndarray, sent: np.ndarray, window: float) -> float:  # noqa: ARG001
    """Score like Elastic: 360 buckets, even counts or autocovariance at multiples of a lag."""
    span = max(window, times[-1] - times[0]) * 1.000001
    counts = np.bincount(((times - times[0]) / span * 360).astype(int), minlength=360).astype(float)
    used = np.flatnonzero(counts)
    active = counts[used[0] : used[-1] + 1]
    if len(active) < 12 or len(used) < 7:
        return 0.0
    even = max(0.0, 1 - _truncated_cv(counts) / 0.2) if len(used) > 0.5 * len(active) else 0.0
    centred = active - active.mean()
    size = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * size)) ** 2
    covariance = np.fft.irfft(power)[:size]
    covariance = (
        covariance / max(covariance[0], 1e-12) * size / np.maximum(size - np.arange(size), 1)
    )
    last = size - size // 6
    best = max((covariance[lag:last:lag].mean() for lag in range(2, size // 6 + 1)), default=0.0)
    return max(even, min(1.0, max(best, 0.0) / 1.4))


def baywatch(times: np.ndarray, sent: np.ndarray, window: float) -> float:  # noqa: ARG001
    """Score like the core of BAYWATCH: permuted periodogram, autocorrelation hill, interval test."""
    intervals = np.diff(times)
    if len(intervals) < FEWEST_INTERVALS:
        return 0.0
    counts = np.minimum(_spectrum(times, 64, 4_096), 1)
    centred = counts - counts.mean()
    bins = len(centred)
    power = np.abs(np.fft.rfft(centred)[1:]) ** 2
    # Seeded by the series itself: the same series always gets the same score.
    rng = np.random.default_rng(len(times))
    shuffled = np.stack([rng.permutation(centred) for _ in range(20)])
    threshold = np.sort((np.abs(np.fft.rfft(shuffled, axis=1)[:, 1:]) ** 2).max(axis=1))[18]
    lines = np.flatnonzero(power > threshold)
    if len(lines) == 0:
        return float(0.25 * power.max() / max(threshold, 1e-12))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * bins)) ** 2)[:bins]
    correlation /= max(correlation[0], 1e-12)
    strongest = lines[np.argsort(-power[lines])][:20] + 1
    width = (times[-1] - times[0]) / bins
    best = max(_verified(line, bins, width, correlation, intervals) for line in strongest)
    return min(1.0, 0.25 + 0.75 * min(1.0, best / 0.5))


def _verified(
    line: int, bins: int, width: float, correlation: np.ndarray, intervals: np.ndarray
) -> float:
    """Return the autocorrelation of a candidate period, less where the intervals disagree."""
    period = bins / line
    hill = correlation[int(0.85 * period) : int(1.15 * period) + 2]
    seconds = period * width
    near = intervals[(intervals > 0.5 * seconds) & (intervals < 1.5 * seconds)]
    if line < 3 or period < 2 or len(hill) == 0 or len(near) < FEWEST_INTERVALS:
        return 0.0
    error = max(near.std() / np.sqrt(len(near)), 1e-3 * seconds)
    agrees = abs(near.mean() - seconds) < 3 * error
    return float(max(hill.max(), 0.0) * (1.0 if agrees else 0.6))


PEERS: Final[dict[str, Scorer]] = {
    "documented base": documented,
    "RITA-like": rita,
    "Elastic-like": elastic,
    "BAYWATCH-like": baywatch,
}
