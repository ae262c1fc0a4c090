"""Score against jitter for several numbers of check-ins, beside random visits.

Many seeds make each point: the line is their median, the band holds the middle half.
Limit: clean beacons of one timing model (sleep 60 s, jitter as Cobalt Strike's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from docs.figures.svg import WIDTH, Picture, scale

from beacon_detect.analysis import SeriesBatch, Settings, analyze
from beacon_detect.analysis.severity import CUT_OFFS
from training import beacons

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

NAME = "scores.svg"
SLEEP = 60.0
JITTERS = np.arange(0, 95, 5)
"""Per cent of the sleep that may be taken off."""
LENGTHS = (10, 20, 50, 200)
"""Check-ins of a series."""
SEEDS = 100
RANDOM = 1_000
"""Random series of each length."""
_AXIS = "jitter (% of the 60 s sleep; each sleep is shortened at random by up to that)"
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 58, WIDTH - 104, 44, 290, 22


@dataclass(frozen=True, slots=True)
class Panel:
    """Scores of series of one length.

    Parameters
    ----------
    check_ins
        Of each series.
    beacons
        First quartile, median and third quartile at each jitter; shape ``(3, len(JITTERS))``.
    visits
        The same of random visits, and what 99 of 100 stay below.
    """

    check_ins: int
    beacons: Floats
    visits: Floats


def panels() -> list[Panel]:
    """Score everything in one batch."""
    scores = analyze(_batch(), Settings()).score
    made = []
    for length, part in zip(LENGTHS, np.split(scores, len(LENGTHS)), strict=True):
        by_jitter = part[RANDOM:].reshape(len(JITTERS), SEEDS)
        made.append(
            Panel(
                check_ins=length,
                beacons=np.quantile(by_jitter, (0.25, 0.5, 0.75), axis=1),
                visits=np.quantile(part[:RANDOM], (0.25, 0.5, 0.75, 0.99)),
            )
        )
    return made


def _batch() -> SeriesBatch:
    """Return the random series, then the beacons by jitter, for one length after the other."""
    sleeps: list[Floats] = []
    for length in LENGTHS:
        rng = np.random.default_rng((8, length))
        sleeps.extend(rng.exponential(SLEEP, (RANDOM, length)))
        for jitter in JITTERS.tolist():
            drawn = beacons.cobalt(rng, SLEEP, jitter / 100, SEEDS * length)
            sleeps.extend(drawn.reshape(SEEDS, length))
    return SeriesBatch.from_lists([np.rint(np.cumsum(x) * 1e9).astype(np.int64) for x in sleeps])


def draw() -> str:
    """Draw the picture."""
    picture = Picture(_BOTTOM + 84, "Score of a beacon against its jitter, by number of check-ins")
    up = scale(0, 1, _BOTTOM, _TOP)
    picture.y_axis((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), up, (_LEFT, _LEFT))
    picture.upright(18, (_TOP + _BOTTOM) / 2, "score", "soft small")
    middle = (_LEFT + _RIGHT) / 2
    picture.text(middle, _BOTTOM + 38, _AXIS, "soft small", "middle")
    width = (_RIGHT - _LEFT + _BETWEEN) / len(LENGTHS) - _BETWEEN
    for number, panel in enumerate(panels()):
        _draw_panel(picture, panel, _LEFT + number * (width + _BETWEEN), width)
    for cut, name in CUT_OFFS:
        picture.text(_RIGHT + 6, up(cut) + 4, f"{name} {cut:.2f}", "small")
    _legend(picture, _BOTTOM + 66)
    return picture.render()


def _draw_panel(picture: Picture, panel: Panel, left: float, width: float) -> None:
    right = left + width
    across, up = scale(0, 90, left, right), scale(0, 1, _BOTTOM, _TOP)
    picture.text((left + right) / 2, _TOP - 14, f"{panel.check_ins} check-ins", "strong", "middle")
    first, median, third, most = map(up, panel.visits.tolist())
    picture.rect(left, third, width, first - third, "haze")
    picture.line(left, median, right, median, "chance stroke")
    xs = [across(jitter) for jitter in JITTERS.tolist()]
    low, middle, high = ([up(v) for v in line] for line in panel.beacons.tolist())
    picture.band(xs, low, high, "tint")
    for cut, _ in CUT_OFFS:
        picture.line(left, up(cut), right, up(cut), "mark thin")
    picture.line(left, most, right, most, "chance dash")
    picture.path(zip(xs, middle, strict=True), "beacon stroke")
    picture.x_axis((0, 30, 60, 90), across, (left, right), _BOTTOM)
    picture.line(left, _TOP, left, _BOTTOM, "axis thin")


def _legend(picture: Picture, y: float) -> None:
    x = _LEFT
    picture.rect(x, y - 10, 26, 12, "tint")
    picture.line(x, y - 4, x + 26, y - 4, "beacon stroke")
    picture.text(x + 32, y, "beacons: median, middle half", "small")
    x += 222
    picture.rect(x, y - 10, 26, 12, "haze")
    picture.line(x, y - 4, x + 26, y - 4, "chance stroke")
    picture.text(x + 32, y, "random visits: the same", "small")
    x += 192
    picture.line(x, y - 4, x + 26, y - 4, "chance dash")
    picture.text(x + 32, y, "99 of 100 random series stay below", "small")
