"""The three documented scores, measured on folded check-ins, in plain NumPy.

CV says how even the intervals are, periodicity how well the events follow the
strongest spectral line, jitter how large the deviations are in seconds.  All are
trimmed or bounded, because real beacons have operators and outages.  Limit: a
weighted sum separates worse than a fitted table; it is the readable baseline.

References
----------
.. [1] Welch, "The use of fast Fourier transform for the estimation of power
   spectra", IEEE Trans. Audio Electroacoustics 15 (1967), section II.
.. [2] Mardia and Jupp, "Directional Statistics" (2000), section 2.3: the mean
   resultant length, here called coherence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.reference.folding import total_seconds

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats
    from beacon_detect.analysis.reference.folding import Folded


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Spread of the folded intervals, the worst tenth left out.

    Parameters
    ----------
    interval, deviation
        Mean and mean absolute deviation, seconds.
    cv
        Standard deviation over mean, corrected for the dead time of the collapse.
    jitter
        Half the range over the mean.
    """

    interval: float
    deviation: float
    cv: float
    jitter: float


def dispersion(folded: Folded, gap: float) -> Dispersion:
    """Measure the spread of folded intervals.

    Parameters
    ----------
    folded
        Intervals folded over missed check-ins.
    gap
        Collapse gap, seconds: no interval can be shorter, so chance looks more
        regular by ``interval / (interval - gap)`` and is corrected by it.
    """
    residual = np.abs(folded.intervals / folded.interval - 1)
    bins = np.minimum((residual * RESIDUAL_BINS).astype(np.int64), RESIDUAL_BINS)
    below = np.cumsum(np.bincount(bins, minlength=RESIDUAL_BINS + 1))
    last = int(np.argmax(below >= KEPT_SHARE * len(residual)))
    kept = folded.intervals[bins <= last]
    mean = float(kept.mean())
    inflation = mean / max(mean - gap, 0.05 * mean)
    kept_share = len(kept) / len(residual)
    return Dispersion(
        interval=mean,
        deviation=float(np.abs(kept - mean).mean()) * inflation,
        cv=float(kept.std()) / mean * inflation,
        jitter=float(kept.max() - kept.min()) / (2 * mean) / kept_share,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """The strongest spectral line: its period in seconds, power over Poisson's, and false alarm."""

    period: float
    power: float
    false_alarm: float


def spectrum_segments(intervals: Floats, interval: float) -> tuple[Floats, float]:
    """Return the segments that a spectrum is averaged over, and the power of chance.

    Parameters
    ----------
    intervals
        Seconds between check-ins, missed ones not folded; the newest ``SPECTRUM_CHECK_INS`` count.
    interval
        The folded interval, which sets the width of the bins.

    Returns
    -------
    tuple
        Events a bin under the Hann window, shape ``(segments, SEGMENT_BINS)``, and the power that a
        Poisson process has on average at any line: the sum of its events' squared weights.
    """
    recent = intervals[-SPECTRUM_CHECK_INS:]
    position = np.concatenate(([0.0], np.cumsum(np.minimum(recent / interval, SPECTRUM_GAP_LIMIT))))
    bins = (position * BINS_PER_INTERVAL + 0.5).astype(np.int64)
    events = np.bincount(bins, minlength=SEGMENT_BINS).astype(float)
    segments = np.lib.stride_tricks.sliding_window_view(events, SEGMENT_BINS)[::SEGMENT_STEP]
    hann = np.hanning(SEGMENT_BINS + 1)[:-1]
    return segments * hann, max(float((segments * hann**2).sum()), 1e-12)


def strongest_line(intervals: Floats, interval: float) -> Line:
    """Return the strongest line of the Welch-averaged periodogram.

    Parameters
    ----------
    intervals
        Seconds between check-ins, missed ones not folded.
    interval
        The folded interval, which sets the width of the bins.
    """
    segments, poisson = spectrum_segments(intervals, interval)
    power = np.abs(np.fft.rfft(segments, axis=1)) ** 2
    searched = power.sum(axis=0)[SPECTRUM_LOWEST : SPECTRUM_HIGHEST + 1]
    # The first of lines that are equal but for rounding.
    line = int(np.argmax(searched >= EQUAL_POWER * searched.max()))
    relative = float(searched[line] / poisson)
    period = interval * SEGMENT_BINS / BINS_PER_INTERVAL / (line + SPECTRUM_LOWEST)
    return Line(
        refine_period(intervals[-SPECTRUM_CHECK_INS:], period),
        relative,
        false_alarm(relative, len(segments)),
    )


def false_alarm(power: float, segments: int) -> float:
    """Return a bound on the probability that Poisson events show so strong a line anywhere.

    The mean of s independent exponential powers exceeds z > 1 with probability
    at most ``exp(-s (z - 1 - ln z))`` (Chernoff 1952); half of the overlapping
    segments count as independent, and the bound is summed over the lines.
    """
    if power <= 1:
        return 1.0
    independent = (segments + 1) // 2
    lines = SPECTRUM_HIGHEST - SPECTRUM_LOWEST + 1
    return float(min(1.0, lines * np.exp(-independent * (power - 1 - np.log(power)))))


def refine_period(intervals: Floats, period: float) -> float:
    """Return the mean period of the intervals within a quarter of a multiple of ``period``."""
    ratio = intervals / period
    multiple = np.floor(ratio + 0.5)
    near = (np.abs(ratio - multiple) < 0.25) & (multiple >= 1) & (multiple <= SPECTRUM_GAP_LIMIT)
    if not near.any():
        return period
    return total_seconds(intervals[near]) / float(multiple[near].sum())


def coherence(intervals: Floats, period: float) -> float:
    """Return ``|mean exp(2 pi i x / period)|``: 1 when every interval is a multiple of the period.

    Intervals beyond the gap limit are left out: a silence holds no phase.
    """
    kept = intervals[intervals <= SPECTRUM_GAP_LIMIT * period]
    if len(kept) == 0:
        return 0.0
    turns = kept / period
    phase = np.floor((turns - np.floor(turns)) * PHASES + 0.5) % PHASES
    return float(np.abs(np.exp(2j * np.pi * phase / PHASES).mean()))


def confidence(evidence: float) -> float:
    """Return how far the evidence of the window lies between chance and certainty, 0 to 1.

    Few intervals are even by chance; without this factor eight Poisson events
    in a hundred look like a beacon.

    Parameters
    ----------
    evidence
        Nats: number of intervals times the divergence of their best window.
    """
    return min(max((evidence - EVIDENCE_NONE) / (EVIDENCE_FULL - EVIDENCE_NONE), 0.0), 1.0)


def cv_score(cv: float, threshold: float) -> float:
    """Return ``1 / (1 + (cv / threshold) ** 4)``: 1 for a perfect beacon, one half at the threshold."""
    return float(1 / (1 + (cv / threshold) ** CV_SHARPNESS))


def periodicity_score(resultant: float) -> float:
    """Return ``1 / (1 + ((1 - R) / R) ** 2)`` of the coherence R."""
    if resultant <= 0:
        return 0.0
    return float(1 / (1 + max(1 / resultant - 1, 0.0) ** COHERENCE_SHARPNESS))


def jitter_score(deviation: float, interval: float, threshold: float) -> float:
    """Return the jitter score of a mean deviation.

    Parameters
    ----------
    deviation, interval
        Seconds.
    threshold
        Seconds tolerated, held between two fractions of the interval.
    """
    tolerated = min(max(threshold, JITTER_FLOOR * interval), JITTER_CEILING * interval)
    return float(1 / (1 + (deviation / tolerated) ** JITTER_SHARPNESS))
