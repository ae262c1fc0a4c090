"""The periodogram of a jittered beacon beside that of random visits and the line of chance.

The analysis searches eleven lines of this curve. Limit: one draw of each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from docs.figures.svg import WIDTH, Picture, scale

from beacon_detect.analysis.periodogram import CHANCE, periodogram
from training import beacons

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

NAME = "periodogram.svg"
SLEEP, JITTER, INTERVALS = 60.0, 0.3, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, WIDTH - 16, 24, 264
_MARKED = (40, 45, 60, 90, 120, 180, 240)
"""Periods named on the axis, seconds."""


def series() -> tuple[Floats, Floats]:
    """Return the intervals of a beacon and of random visits, equally many and as long; seconds."""
    rng = np.random.default_rng(3)
    return beacons.symmetric(rng, SLEEP, JITTER, INTERVALS), rng.exponential(SLEEP, INTERVALS)


def draw() -> str:
    """Draw the picture."""
    beacon, visits = (periodogram(intervals, SLEEP) for intervals in series())
    line, strong, periods = beacon.chance_line, beacon.power, beacon.periods.tolist()
    picture = Picture(_BOTTOM + 52, "Periodogram of a beacon with jitter and of random visits")
    highest = int(np.argmax(strong))
    across = scale(math.log(periods[-1]), math.log(periods[0]), _LEFT, _RIGHT)
    up = scale(0, max(float(strong[highest]), line) * 1.1, _BOTTOM, _TOP)
    picture.y_axis(range(int(strong[highest] * 1.1) + 1), up, (_LEFT, _RIGHT))
    picture.x_axis(_MARKED, lambda period: across(math.log(period)), (_LEFT, _RIGHT), _BOTTOM)
    middle = (_LEFT + _RIGHT) / 2
    picture.text(middle, _BOTTOM + 38, "period (s), logarithmic", "soft small", "middle")
    picture.upright(20, (_TOP + _BOTTOM) / 2, "power (1: mean of random events)")
    xs = [across(math.log(period)) for period in periods]
    picture.path(zip(xs, map(up, visits.power.tolist()), strict=True), "chance stroke")
    picture.line(_LEFT, up(line), _RIGHT, up(line), "chance dash")
    picture.path(zip(xs, map(up, strong.tolist()), strict=True), "beacon stroke")
    low, high = (SLEEP * (1 + side * JITTER) for side in (-1, 1))
    x, y = xs[highest] + 60, up(float(strong[highest])) + 6
    picture.text(x, y, f"beacon, sleeps {low:.0f} to {high:.0f} s", "strong beacon")
    words = f"at most {CHANCE * 100:.0f} of 100 random series has so strong a line anywhere"
    picture.text(_RIGHT, up(line) + 18, words, "chance", "end")
    picture.text(_RIGHT, up(1) - 8, "as many random visits", "strong chance", "end")
    return picture.render()
