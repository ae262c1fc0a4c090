"""The periodogram to look at: power against period, with the line that chance stays below.

It is the spectrum that :func:`strongest_line` searches, made of the same bins and
segments, and read between the searched lines as well, so that a curve can be drawn.
Limits: periods of 2/3 to 4 intervals; the newest ``SPECTRUM_CHECK_INS`` intervals; the
line is a bound and lies a little high, and below about 24 intervals it is out of reach.

References
----------
.. [1] Welch, "The use of fast Fourier transform for the estimation of power
   spectra", IEEE Trans. Audio Electroacoustics 15 (1967), section II.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from beacon_detect.analysis.constants import (
    BINS_PER_INTERVAL,
    SEGMENT_BINS,
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.reference.regularity import false_alarm, spectrum_segments

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

CHANCE: Final = 0.01
"""At most this share of random series crosses the chance line anywhere."""
CLOCK_POWER: Final = 2 / 3 * SEGMENT_BINS / BINS_PER_INTERVAL
"""Power of a clock at its interval: the square of the sum of its Hann weights over the sum of their squares."""
POINTS_PER_LINE: Final = 20
"""Points of the curve from one searched line to the next: it bends within about one line (taste)."""
_LINES: Final = np.arange(SPECTRUM_LOWEST * POINTS_PER_LINE, SPECTRUM_HIGHEST * POINTS_PER_LINE + 1)


@dataclass(frozen=True, slots=True)
class Periodogram:
    """Power against period.

    Parameters
    ----------
    periods
        Seconds, descending.
    power
        Welch-averaged power at each period; 1 is the mean of a Poisson process.
    chance_line
        Power that at most a share ``CHANCE`` of Poisson series reaches at any period.
    """

    periods: Floats
    power: Floats
    chance_line: float


def periodogram(intervals: Floats, interval: float) -> Periodogram:
    """Return the Welch-averaged periodogram of a series.

    Parameters
    ----------
    intervals
        Seconds between check-ins, missed ones not folded; those beyond
        ``SPECTRUM_GAP_LIMIT`` intervals count as that long.
    interval
        The interval that was found, seconds, above 0. It sets bins, segments and periods.

    Returns
    -------
    Periodogram
        ``POINTS_PER_LINE`` points a line; every ``POINTS_PER_LINE``-th is one that
        the analysis searches.
    """
    segments, poisson = spectrum_segments(intervals, interval)
    # Zeros behind a segment add no power: they only read its spectrum at more places.
    spectra = np.fft.rfft(segments, n=SEGMENT_BINS * POINTS_PER_LINE, axis=1)[:, _LINES]
    segment_seconds = interval * SEGMENT_BINS / BINS_PER_INTERVAL
    return Periodogram(
        periods=segment_seconds * POINTS_PER_LINE / _LINES,
        power=(np.abs(spectra) ** 2).sum(axis=0) / poisson,
        chance_line=_chance_line(len(segments)),
    )


def _chance_line(segments: int) -> float:
    """Return the power whose false alarm is ``CHANCE``, by bisection: the bound falls with power."""
    low, high = 1.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if false_alarm(middle, segments) > CHANCE else (low, middle)
    return high
