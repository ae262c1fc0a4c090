"""The intervals of one beacon as a histogram: densest window, its multiples, and chance.

Of all random (exponential) laws the one drawn puts the most into the densest window; its
area there is the "at most" of the evidence sentence.  Limit: one beacon, one seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from docs.figures.svg import WIDTH, Picture, scale

from beacon_detect.analysis import Settings
from beacon_detect.analysis.explanation import Histogram, SeriesExplanation, explain_series
from beacon_detect.hunt.report.charts import nice_steps
from training import beacons, impairments

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "intervals.svg"
SLEEP, JITTER, MISSED, STRAY, CHECK_INS = 60.0, 0.15, 0.3, 0.06, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, WIDTH - 16, 64, 326
_LONGEST = 280.0
"""Intervals shown, seconds."""
_ACROSS = scale(0, _LONGEST, _LEFT, _RIGHT)
_NAMES = ("densest window", "one missed", "two missed", "three missed")
_LEGEND = (
    (62, "beacon", "explained: near one or more sleeps"),
    (318, "rest", "unexplained"),
    (440, "chance", "the random visits that fill the window most"),
)


@dataclass(frozen=True, slots=True)
class Chance:
    """The exponential law with the largest share in a window; seconds."""

    mean: float

    @classmethod
    def fitting(cls, low: float, high: float) -> Chance:
        """Return it for ``[low, high)``: its mean is ``(high - low) / ln(high / low)``."""
        return cls((high - low) / math.log(high / low))

    def share(self, low: float, high: float) -> float:
        """Return the share of intervals between two lengths."""
        return math.exp(-low / self.mean) - math.exp(-high / self.mean)


def example() -> SeriesExplanation:
    """Explain a beacon that misses three check-ins in ten, with a few unrelated connections."""
    rng = np.random.default_rng(7)
    seconds = np.cumsum(beacons.symmetric(rng, SLEEP, JITTER, CHECK_INS))
    seen = impairments.contaminate(rng, impairments.lose(rng, seconds, MISSED), STRAY)
    times = np.rint(seen * 1e9).astype(np.int64)
    silent = np.zeros(len(times), np.int64)
    return explain_series(times, silent, silent, Settings())


def draw() -> str:
    """Draw the picture."""
    found = example()
    bars, row = found.histogram, found.episodes
    picture = Picture(_BOTTOM + 84, "Intervals of a beacon with jitter and missed check-ins")
    top = float(bars.counts.max()) * 1.08
    up = scale(0, top, _BOTTOM, _TOP)
    _windows(picture, found)
    picture.y_axis(nice_steps(top, 5), up, (_LEFT, _RIGHT))
    _bars(picture, bars, up)
    low, high = float(row.window_low[0]), float(row.window_high[0])
    law, half = Chance.fitting(low, high), float(bars.edges[-1] - bars.edges[-2]) / 2
    places = np.linspace(half, _LONGEST, 120).tolist()
    heights = [len(found.intervals) * law.share(x - half, x + half) for x in places]
    picture.path(
        [(_ACROSS(x), up(height)) for x, height in zip(places, heights, strict=True)],
        "chance stroke",
    )
    picture.x_axis(range(0, int(_LONGEST) + 1, 30), _ACROSS, (_LEFT, _RIGHT), _BOTTOM)
    middle = (_LEFT + _RIGHT) / 2
    picture.text(middle, _BOTTOM + 38, "time between check-ins (s)", "soft small", "middle")
    picture.upright(20, (_TOP + _BOTTOM) / 2, f"intervals in a bar of {2 * half:.2g} s")
    _words(picture, found)
    return picture.render()


def _windows(picture: Picture, found: SeriesExplanation) -> None:
    """Shade the densest window and what is read as its multiples."""
    bars = found.histogram
    for multiple, name in enumerate(_NAMES, start=1):
        inside = np.flatnonzero(bars.multiples == multiple)
        if not len(inside):
            continue
        left = _ACROSS(float(bars.edges[inside[0]]))
        right = min(_ACROSS(float(bars.edges[inside[-1] + 1])), _RIGHT)
        look, words = ("tint", "strong beacon") if multiple == 1 else ("faint", "beacon")
        picture.rect(left, _TOP, right - left, _BOTTOM - _TOP, look)
        picture.text((left + right) / 2, _TOP - 8, name, words, "middle")


def _bars(picture: Picture, bars: Histogram, up: Callable[[float], float]) -> None:
    """Draw the explained intervals of each bar, and the others on top of them."""
    for i in np.flatnonzero(bars.counts).tolist():
        left, right = (_ACROSS(float(edge)) for edge in bars.edges[i : i + 2])
        count, explained = int(bars.counts[i]), int(bars.explained[i])
        if right > _RIGHT:
            break
        if explained:
            picture.rect(
                left + 0.5, up(explained), right - left - 1, up(0) - up(explained), "beacon"
            )
        if count > explained:
            height = up(explained) - up(count)
            picture.rect(left + 0.5, up(count), right - left - 1, height, "rest")


def _words(picture: Picture, found: SeriesExplanation) -> None:
    row = found.episodes
    most = math.floor(row.chance_share[0] * row.intervals[0])
    picture.text(_LEFT, 24, [
        (f"{int(row.window_count[0])} of {int(row.intervals[0])} intervals", "strong beacon"),
        (" lie in the densest window; ", ""),
        (f"random visits put at most {most} there on average", "strong chance"),
    ])  # fmt: skip
    for x, look, words in _LEGEND:
        if look == "chance":
            picture.line(x, _BOTTOM + 62, x + 22, _BOTTOM + 62, "chance stroke")
        else:
            picture.rect(x, _BOTTOM + 56, 22, 12, look)
        picture.text(x + 28, _BOTTOM + 66, words, "small")
