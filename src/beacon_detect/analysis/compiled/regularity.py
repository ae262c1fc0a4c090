"""Compiled twin of ``reference.regularity``.

The periodogram is taken by summing the few events of each segment instead of a
fast transform over its mostly empty bins: the same numbers, ten times cheaper.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.jit import jit, reorderable
from beacon_detect.analysis.compiled.workspace import LINES, WAVES
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
    SECOND_NS,
    SEGMENT_BINS,
    SEGMENT_STEP,
    SPECTRUM_CHECK_INS,
    SPECTRUM_GAP_LIMIT,
    SPECTRUM_LOWEST,
)

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.workspace import Histogram, Workspace

HANN = np.hanning(SEGMENT_BINS + 1)[:-1]
LINE_NUMBERS = np.arange(SPECTRUM_LOWEST, SPECTRUM_LOWEST + LINES)
TURNS = 2 * np.pi * np.outer(np.arange(SEGMENT_BINS), LINE_NUMBERS) / SEGMENT_BINS
SEGMENT_WAVES = np.zeros((SEGMENT_BINS + 1, WAVES))
"""What an event adds at each place of a segment: weighted cosines, the squared weight, weighted sines.

The last row is zero and stands for no event.
"""
SEGMENT_WAVES[:-1, :LINES] = HANN[:, None] * np.cos(TURNS)
SEGMENT_WAVES[:-1, LINES] = HANN**2
SEGMENT_WAVES[:-1, LINES + 1 : -1] = HANN[:, None] * np.sin(TURNS)
PHASE_COSINES = np.cos(2 * np.pi * np.arange(PHASES + 1) / PHASES)
PHASE_SINES = np.sin(2 * np.pi * np.arange(PHASES + 1) / PHASES)


@jit
def fill_residuals(folded: Floats, interval: float, places: Integers) -> None:
    """Write the trimming bin of each folded interval."""
    for i in range(len(folded)):
        residual = abs(folded[i] / interval - 1) * RESIDUAL_BINS
        places[i] = min(int(residual), RESIDUAL_BINS)


@jit
def last_kept_bin(places: Integers, residuals: Integers) -> int:
    """Return the residual bin at which ``KEPT_SHARE`` of the intervals are reached."""
    residuals[:] = 0
    for i in range(len(places)):
        residuals[places[i]] += 1
    below, last = 0, 0
    while last < RESIDUAL_BINS:
        below += residuals[last]
        if below >= KEPT_SHARE * len(places):
            break
        last += 1
    return last


@jit
def keep_up_to(folded: Floats, places: Integers, last: int, kept: Floats) -> int:
    """Write the intervals in bins up to the last; return how many there are."""
    count = 0
    for i in range(len(folded)):
        kept[count] = folded[i]
        count += places[i] <= last
    return count


@reorderable
def total_and_range(values: Floats) -> tuple[float, float, float]:
    """Return the sum, the smallest and the largest."""
    total, smallest, largest = 0.0, values[0], values[0]
    for i in range(len(values)):
        total += values[i]
        smallest = min(smallest, values[i])
        largest = max(largest, values[i])
    return total, smallest, largest


@reorderable
def deviations(values: Floats, mean: float) -> tuple[float, float]:
    """Return the sums of the squared and of the absolute deviations."""
    squares, absolute = 0.0, 0.0
    for i in range(len(values)):
        deviation = values[i] - mean
        squares += deviation * deviation
        absolute += abs(deviation)
    return squares, absolute


@jit
def dispersion(
    folded: Floats, interval: float, gap: float, residuals: Integers, h: Histogram
) -> tuple[float, float, float, float]:
    """Return (interval, deviation, cv, jitter) of the folded intervals, the worst tenth left out."""
    fill_residuals(folded, interval, h.places)
    last = last_kept_bin(h.places[: len(folded)], residuals)
    kept = keep_up_to(folded, h.places, last, h.values)
    total, smallest, largest = total_and_range(h.values[:kept])
    mean = total / kept
    squares, absolute = deviations(h.values[:kept], mean)
    inflation = mean / max(mean - gap, 0.05 * mean)
    cv = math.sqrt(squares / kept) / mean * inflation
    jitter = (largest - smallest) / (2 * mean) * len(folded) / kept
    return mean, absolute / kept * inflation, cv, jitter


@jit
def add_segment(
    bins: Integers, first: int, last: int, origin: int, sums: Floats, power: Floats
) -> float:
    """Add the power of the events ``first <= i < last`` of one segment to each line.

    All lines of an event are added at once, from one row of the table, and four
    events at a time: a sum in memory is slower than the addition.  Returns the
    power a Poisson process has on average: the sum of the squared weights.
    """
    for wave in range(WAVES):
        sums[wave] = 0.0
    for i in range(first, last, 4):
        one = SEGMENT_WAVES[bins[i] - origin]
        two = SEGMENT_WAVES[bins[i + 1] - origin if i + 1 < last else SEGMENT_BINS]
        three = SEGMENT_WAVES[bins[i + 2] - origin if i + 2 < last else SEGMENT_BINS]
        four = SEGMENT_WAVES[bins[i + 3] - origin if i + 3 < last else SEGMENT_BINS]
        for wave in range(WAVES):
            sums[wave] += (one[wave] + two[wave]) + (three[wave] + four[wave])
    # The squared weight stands where a line would; what it adds there is not looked at.
    for line in range(LINES + 1):
        power[line] += sums[line] ** 2 + sums[LINES + 1 + line] ** 2
    return float(sums[LINES])


@jit
def bin_events(intervals: Floats, interval: float, bins: Integers) -> None:
    """Write the spectrum bin of each check-in, long gaps cut short."""
    position = 0.0
    bins[0] = 0
    for i in range(len(intervals)):
        position += min(intervals[i] / interval, SPECTRUM_GAP_LIMIT)
        bins[i + 1] = int(position * BINS_PER_INTERVAL + 0.5)


@jit
def events_before(bins: Integers, first: int, events: int, bound: int) -> int:
    """Return the first event from ``first`` on that lies at bin ``bound`` or later."""
    while first < events and bins[first] < bound:
        first += 1
    return first


@jit
def first_strongest(power: Floats) -> int:
    """Return the strongest line, the first of those that are equal but for rounding."""
    strongest = 0.0
    for line in range(LINES):
        strongest = max(strongest, power[line])
    line = 0
    while power[line] < EQUAL_POWER * strongest:
        line += 1
    return line


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
    middle = events_before(w.bins, 0, events, SEGMENT_STEP)
    for origin in range(0, highest - SEGMENT_BINS + 1, SEGMENT_STEP):
        # The second half of a segment is the first half of the next.
        last = events_before(w.bins, middle, events, origin + SEGMENT_BINS)
        level += add_segment(w.bins, first, last, origin, w.sums, w.power)
        first, middle = middle, last
        segments += 1
    line = first_strongest(w.power)
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


@reorderable
def refine_period(intervals: Floats, period: float) -> float:
    """Return the mean period of the intervals within a quarter of a multiple of ``period``."""
    total, multiples = 0.0, 0.0
    for i in range(len(intervals)):
        ratio = intervals[i] / period
        multiple = np.floor(ratio + 0.5)
        within = (multiple >= 1) & (multiple <= SPECTRUM_GAP_LIMIT)
        near = within & (abs(ratio - multiple) < 0.25)
        # Whole nanoseconds add up exactly in any order.
        total += np.rint(intervals[i] * SECOND_NS) * near
        multiples += multiple * near
    return total / SECOND_NS / multiples if multiples > 0 else period


@reorderable
def coherence(intervals: Floats, period: float) -> float:
    """Return ``|mean exp(2 pi i x / period)|`` over the intervals within the gap limit."""
    real, imaginary, kept = 0.0, 0.0, 0
    for i in range(len(intervals)):
        turns = intervals[i] / period
        near = intervals[i] <= SPECTRUM_GAP_LIMIT * period
        phase = int((turns - np.floor(turns)) * PHASES + 0.5)
        real += PHASE_COSINES[phase] * near
        imaginary += PHASE_SINES[phase] * near
        kept += near
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
