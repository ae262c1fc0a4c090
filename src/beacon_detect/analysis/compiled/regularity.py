"""Compiled twin of ``reference.regularity``.

The periodogram is taken by summing the few events of each segment instead of a
fast transform over its mostly empty bins: the same numbers, ten times cheaper.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.workspace import LINES
from beacon_detect.analysis.constants import (
    BINS_PER_INTERVAL,
    COHERENCE_SHARPNESS,
    CV_SHARPNESS,
    EQUAL_POWER,
    EVIDENCE_FULL,
    EVIDENCE_NONE,
    JITTER_CEILING,
    JITTER_FLOOR,
    JITTER_SHARPNESS,
    KEPT_SHARE,
    PHASES,
    RESIDUAL_BINS,
    SEGMENT_BINS,
    SEGMENT_STEP,
    SPECTRUM_CHECK_INS,
    SPECTRUM_GAP_LIMIT,
    SPECTRUM_LOWEST,
)

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Workspace

HANN = np.hanning(SEGMENT_BINS + 1)[:-1]
COSINES = np.cos(2 * np.pi * np.arange(SEGMENT_BINS) / SEGMENT_BINS)
SINES = np.sin(2 * np.pi * np.arange(SEGMENT_BINS) / SEGMENT_BINS)
PHASE_COSINES = np.cos(2 * np.pi * np.arange(PHASES) / PHASES)
PHASE_SINES = np.sin(2 * np.pi * np.arange(PHASES) / PHASES)


@jit
def residual_bin(folded: float, interval: float) -> int:
    """Return the trimming bin of one folded interval."""
    return min(int(abs(folded / interval - 1) * RESIDUAL_BINS), RESIDUAL_BINS)


@jit
def last_kept_bin(folded: Floats, interval: float, residuals: Integers) -> int:
    """Return the residual bin at which ``KEPT_SHARE`` of the intervals are reached."""
    residuals[:] = 0
    for x in folded:
        residuals[residual_bin(x, interval)] += 1
    below, last = 0, 0
    while last < RESIDUAL_BINS:
        below += residuals[last]
        if below >= KEPT_SHARE * len(folded):
            break
        last += 1
    return last


@jit
def dispersion(
    folded: Floats, interval: float, gap: float, residuals: Integers
) -> tuple[float, float, float, float]:
    """Return (interval, deviation, cv, jitter) of the folded intervals, the worst tenth left out."""
    last = last_kept_bin(folded, interval, residuals)
    kept, total, smallest, largest = 0, 0.0, np.inf, 0.0
    for x in folded:
        if residual_bin(x, interval) <= last:
            kept += 1
            total += x
            smallest = min(smallest, x)
            largest = max(largest, x)
    mean = total / kept
    squares, absolute = 0.0, 0.0
    for x in folded:
        if residual_bin(x, interval) <= last:
            squares += (x - mean) ** 2
            absolute += abs(x - mean)
    inflation = mean / max(mean - gap, 0.05 * mean)
    cv = math.sqrt(squares / kept) / mean * inflation
    jitter = (largest - smallest) / (2 * mean) * len(folded) / kept
    return mean, absolute / kept * inflation, cv, jitter


@jit
def add_segment(bins: Integers, first: int, last: int, origin: int, power: Floats) -> float:
    """Add the power of the events ``first <= i < last`` of one segment to each line.

    Returns the power a Poisson process has on average: the sum of the squared weights.
    """
    level = 0.0
    for i in range(first, last):
        level += HANN[bins[i] - origin] ** 2
    for line in range(LINES):
        real, imaginary = 0.0, 0.0
        for i in range(first, last):
            place = bins[i] - origin
            turn = (place * (line + SPECTRUM_LOWEST)) % SEGMENT_BINS
            real += HANN[place] * COSINES[turn]
            imaginary += HANN[place] * SINES[turn]
        power[line] += real * real + imaginary * imaginary
    return level


@jit
def bin_events(intervals: Floats, interval: float, bins: Integers) -> None:
    """Write the spectrum bin of each check-in, long gaps cut short."""
    position = 0.0
    bins[0] = 0
    for i in range(len(intervals)):
        position += min(intervals[i] / interval, SPECTRUM_GAP_LIMIT)
        bins[i + 1] = int(position * BINS_PER_INTERVAL + 0.5)


@jit
def strongest_line(intervals: Floats, interval: float, w: Workspace) -> tuple[float, float, float]:
    """Return (period, power, false alarm) of the strongest line of the averaged periodogram.

    The period is in seconds, the power relative to a Poisson process.
    """
    recent = intervals[max(len(intervals) - SPECTRUM_CHECK_INS, 0) :]
    bin_events(recent, interval, w.bins)
    w.power[:] = 0.0
    events = len(recent) + 1
    highest = max(w.bins[events - 1] + 1, SEGMENT_BINS)
    first, segments, level = 0, 0, 0.0
    for origin in range(0, highest - SEGMENT_BINS + 1, SEGMENT_STEP):
        while first < events and w.bins[first] < origin:
            first += 1
        last = first
        while last < events and w.bins[last] < origin + SEGMENT_BINS:
            last += 1
        level += add_segment(w.bins, first, last, origin, w.power)
        segments += 1
    # The first of lines that are equal but for rounding.
    line = int(np.argmax(w.power >= EQUAL_POWER * w.power.max()))
    power = w.power[line] / max(level, 1e-12)
    width = interval * SEGMENT_BINS / BINS_PER_INTERVAL / (line + SPECTRUM_LOWEST)
    return refine_period(recent, width), power, false_alarm(power, segments)


@jit
def false_alarm(power: float, segments: int) -> float:
    """Return a bound on the probability that Poisson events show so strong a line anywhere.

    The mean of s independent exponential powers exceeds z > 1 with probability
    at most ``exp(-s (z - 1 - ln z))`` (Chernoff); half of the overlapping
    segments count as independent, and the bound is summed over the lines.
    """
    if power <= 1:
        return 1.0
    independent = (segments + 1) // 2
    return min(1.0, LINES * math.exp(-independent * (power - 1 - math.log(power))))


@jit
def refine_period(intervals: Floats, period: float) -> float:
    """Return the mean period of the intervals within a quarter of a multiple of ``period``."""
    total, multiples = 0.0, 0.0
    for x in intervals:
        ratio = x / period
        multiple = math.floor(ratio + 0.5)
        if abs(ratio - multiple) < 0.25 and 1 <= multiple <= SPECTRUM_GAP_LIMIT:
            total += x
            multiples += multiple
    return total / multiples if multiples > 0 else period


@jit
def coherence(intervals: Floats, period: float) -> float:
    """Return ``|mean exp(2 pi i x / period)|`` over the intervals within the gap limit."""
    real, imaginary, kept = 0.0, 0.0, 0
    for x in intervals:
        if x <= SPECTRUM_GAP_LIMIT * period:
            turns = x / period
            phase = int((turns - math.floor(turns)) * PHASES + 0.5) % PHASES
            real += PHASE_COSINES[phase]
            imaginary += PHASE_SINES[phase]
            kept += 1
    return math.sqrt(real * real + imaginary * imaginary) / kept if kept else 0.0


@jit
def confidence(evidence: float) -> float:
    """Return how far the evidence, nats, lies between chance and certainty."""
    return min(max((evidence - EVIDENCE_NONE) / (EVIDENCE_FULL - EVIDENCE_NONE), 0.0), 1.0)


@jit
def cv_score(cv: float, threshold: float) -> float:
    """Return the CV score: one half at the threshold."""
    return float(1 / (1 + (cv / threshold) ** CV_SHARPNESS))


@jit
def periodicity_score(resultant: float) -> float:
    """Return the periodicity score of a coherence: one half at one half."""
    if resultant <= 0:
        return 0.0
    return float(1 / (1 + max(1 / resultant - 1, 0.0) ** COHERENCE_SHARPNESS))


@jit
def jitter_score(deviation: float, interval: float, threshold: float) -> float:
    """Return the jitter score of a mean deviation, seconds."""
    tolerated = min(max(threshold, JITTER_FLOOR * interval), JITTER_CEILING * interval)
    return float(1 / (1 + (deviation / tolerated) ** JITTER_SHARPNESS))
