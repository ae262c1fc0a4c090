"""The periodogram of a jittered beacon beside that of random visits and the line of chance.

The analysis reads eleven lines of this curve, from events put into bins; here it is drawn
for every period between them, from the events as they are.  Limit: one draw of each.

References
----------
Welch, IEEE Trans. Audio Electroacoustics 15 (1967), section II.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from docs.figures.svg import WIDTH, Picture, scale

from beacon_detect.analysis.constants import (
    BINS_PER_INTERVAL,
    SEGMENT_BINS,
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.reference.regularity import false_alarm
from training import beacons

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

NAME = "periodogram.svg"
SLEEP, JITTER, INTERVALS = 60.0, 0.3, 100
RATE = 0.01
"""The line is one that so many random series reach."""
SEGMENT = SLEEP * SEGMENT_BINS / BINS_PER_INTERVAL
"""Seconds of a segment: eight intervals."""
PERIODS = SEGMENT / np.linspace(SPECTRUM_LOWEST, SPECTRUM_HIGHEST, 201)
"""Seconds, from the longest: those that the analysis searches."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, WIDTH - 16, 24, 264
_MARKED = (40, 45, 60, 90, 120, 180, 240)
"""Periods named on the axis, seconds."""


def power(seconds: Floats) -> Floats:
    """Return the Welch-averaged power of events at each of ``PERIODS``; 1 is the mean of Poisson's.

    Parameters
    ----------
    seconds
        Event times, ascending from 0.
    """
    total, poisson = np.zeros(len(PERIODS)), 0.0
    for start in segments(seconds):
        inside = seconds[(seconds >= start) & (seconds < start + SEGMENT)] - start
        hann = np.sin(np.pi * inside / SEGMENT) ** 2
        turns = np.exp(2j * np.pi * inside[None, :] / PERIODS[:, None])
        total += np.abs(turns @ hann) ** 2
        poisson += float((hann**2).sum())
    relative: Floats = total / poisson
    return relative


def segments(seconds: Floats) -> Floats:
    """Return where the half-overlapping segments begin."""
    return np.arange(0.0, max(float(seconds[-1]) - SEGMENT, 1.0), SEGMENT / 2)


def chance_line(count: int) -> float:
    """Return the power that ``RATE`` of random series reach at some period, by bisection."""
    low, high = 1.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if false_alarm(middle, count) > RATE else (low, middle)
    return high


def series() -> tuple[Floats, Floats]:
    """Return a beacon and random visits, equally many and as often; seconds."""
    rng = np.random.default_rng(3)
    sleeps = beacons.symmetric(rng, SLEEP, JITTER, INTERVALS), rng.exponential(SLEEP, INTERVALS)
    beacon, visits = (np.concatenate(([0.0], np.cumsum(x))) for x in sleeps)
    return beacon, visits


def draw() -> str:
    """Draw the picture."""
    beacon, visits = series()
    line = chance_line(len(segments(beacon)))
    strong = power(beacon)
    picture = Picture(_BOTTOM + 52, "Periodogram of a beacon with jitter and of random visits")
    highest = int(np.argmax(strong))
    across = scale(math.log(PERIODS[-1]), math.log(PERIODS[0]), _LEFT, _RIGHT)
    up = scale(0, max(float(strong[highest]), line) * 1.1, _BOTTOM, _TOP)
    picture.y_axis(range(int(strong[highest] * 1.1) + 1), up, (_LEFT, _RIGHT))
    picture.x_axis(_MARKED, lambda period: across(math.log(period)), (_LEFT, _RIGHT), _BOTTOM)
    middle = (_LEFT + _RIGHT) / 2
    picture.text(middle, _BOTTOM + 38, "period (s), logarithmic", "soft small", "middle")
    picture.upright(20, (_TOP + _BOTTOM) / 2, "power (1: mean of random events)")
    xs = [across(math.log(period)) for period in PERIODS.tolist()]
    picture.path(zip(xs, map(up, power(visits).tolist()), strict=True), "chance stroke")
    picture.line(_LEFT, up(line), _RIGHT, up(line), "chance dash")
    picture.path(zip(xs, map(up, strong.tolist()), strict=True), "beacon stroke")
    low, high = (SLEEP * (1 + side * JITTER) for side in (-1, 1))
    x, y = xs[highest] + 60, up(float(strong[highest])) + 6
    picture.text(x, y, f"beacon, sleeps {low:.0f} to {high:.0f} s", "strong beacon")
    words = f"at most {RATE * 100:.0f} of 100 random series have so strong a line anywhere"
    picture.text(_RIGHT, up(line) + 18, words, "chance", "end")
    picture.text(_RIGHT, up(1) - 8, "as many random visits", "strong chance", "end")
    return picture.render()
