"""Six kinds of traffic as the method reads them: episodes, check-ins, and what it explains.

An interval is explained when it lies in the densest window or near one of its multiples
(missed check-ins).  A tick stands for a check-in; it counts as explained when the interval
before it is.  Limit: two days and one draw of each kind; scores of many draws are in ``scores``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from docs.figures.svg import WIDTH, Picture, scale

from beacon_detect.analysis import Settings, list_episodes, severity
from beacon_detect.analysis.reference.folding import fold
from training import beacons, chance, impairments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator

    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.reference.check_ins import CheckIns

NAME = "check-ins.svg"
HOUR = 3_600.0
DAYS = 2
_SPAN = DAYS * 24 * HOUR
_LEFT, _RIGHT, _TOP, _ROW = 16, WIDTH - 16, 52, 74
_TICK = 24


@dataclass(frozen=True, slots=True)
class Traffic:
    """One row: a bold name, a few words on how it was made, and its events in seconds."""

    name: str
    words: str
    seconds: Floats


@dataclass(frozen=True, slots=True)
class Reading:
    """What the method sees in one episode, times in seconds.

    Parameters
    ----------
    first, last
        Where the episode begins and ends.
    explained, unexplained
        Check-ins by the interval before them; the first counts as the second does.
    missed
        Where check-ins are inferred missing.
    score, interval
        Of the episode.
    """

    first: float
    last: float
    explained: Floats
    unexplained: Floats
    missed: Floats
    score: float
    interval: float


def traffic() -> Iterator[Traffic]:
    """Yield the rows, each from a seed of its own."""
    rngs = [np.random.default_rng((6, row)) for row in range(6)]
    yield Traffic("Perfect beacon", "sleeps 60 min", _from(np.full(60, HOUR)))
    jittered = _from(beacons.sliver(rngs[1], HOUR, 0.15, 60))
    yield Traffic(
        "Jitter 30 %, a quarter missed",
        "sleeps 60 to 78 min",
        _cut(impairments.lose(rngs[1], jittered, 0.25)),
    )
    yield Traffic("Office beacon", "sleeps 27 to 33 min from 8 to 18 h", _office(rngs[2]))
    yield Traffic(
        "One-sided jitter, as Cobalt Strike's",
        "sleeps 30 to 60 min",
        _from(beacons.cobalt(rngs[3], HOUR, 0.5, 90)),
    )
    yield Traffic(
        "Random visits",
        "60 min apart on average",
        _cut(chance.poisson(rngs[4], HOUR, 90)),
    )
    pages = _cut(chance.page_loads(rngs[5], HOUR / 3, 800))
    yield Traffic("Page loads", f"{len(pages)} connections, a burst for each page", pages)


def _from(sleeps: Floats) -> Floats:
    """Return the check-ins of a loop that starts twenty minutes after midnight."""
    return _cut(np.concatenate(([0.0], np.cumsum(sleeps))) + HOUR / 3)


def _cut(seconds: Floats) -> Floats:
    return seconds[seconds < _SPAN]


def _office(rng: Generator) -> Floats:
    """Return a beacon on a machine that is on from eight to six."""
    always = _from(beacons.symmetric(rng, HOUR / 2, 0.1, 120))
    hour = always / HOUR % 24
    return always[(hour >= 8) & (hour < 18)]


def readings(seconds: Floats) -> list[Reading]:
    """Return what the method sees in each episode, the leading one first."""
    times = np.rint(seconds * 1e9).astype(np.int64)
    episodes, check_ins = list_episodes(times, Settings())
    return [
        _reading(
            times[episodes.first_event[i] : episodes.last_event[i] + 1],
            found,
            float(episodes.score[i]),
            float(episodes.interval[i]),
        )
        for i, found in enumerate(check_ins)
    ]


def _reading(times: Integers, found: CheckIns, score: float, interval: float) -> Reading:
    starts = np.asarray(found.starts * 1e-9, np.float64)
    multiples = fold(found).multiples
    fits = np.concatenate((multiples[:1], multiples)) > 0
    missed = [
        start + width * part / multiple
        for start, width, multiple in zip(
            starts.tolist(), found.intervals.tolist(), multiples.tolist(), strict=False
        )
        for part in range(1, multiple)
    ]
    return Reading(
        first=float(times[0]) * 1e-9,
        last=float(times[-1]) * 1e-9,
        explained=starts[fits],
        unexplained=starts[~fits],
        missed=np.array(missed),
        score=score,
        interval=interval,
    )


def draw() -> str:
    """Draw the picture."""
    rows = list(traffic())
    bottom = _TOP + _ROW * len(rows)
    picture = Picture(bottom + 44, "Check-ins of six kinds of traffic, as the method reads them")
    across = scale(0, DAYS * 24, _LEFT, _RIGHT)
    _legend(picture)
    for hour in range(0, DAYS * 24 + 1, 6):
        x = across(hour)
        picture.line(x, _TOP - 8, x, bottom, "rule thin")
        anchor = "start" if hour == 0 else "end" if hour == DAYS * 24 else "middle"
        picture.text(x, bottom + 16, f"{hour % 24:02d}:00", "soft small", anchor)
    picture.text(WIDTH / 2, bottom + 34, "time of day (hours), two days", "soft small", "middle")
    for number, row in enumerate(rows):
        _draw_row(picture, row, _TOP + _ROW * number)
    return picture.render()


def _draw_row(picture: Picture, row: Traffic, top: float) -> None:
    seen = readings(row.seconds)
    leading = seen[0]
    across = scale(0, _SPAN, _LEFT, _RIGHT)
    explained, total = len(leading.explained), len(leading.explained) + len(leading.unexplained)
    picture.text(_LEFT, top + 10, [(row.name, "strong"), (f"\u00a0 {row.words}", "soft small")])
    verdict = f"{leading.score:.2f} {severity(leading.score)}"
    kind = "beacon" if leading.score >= 0.7 else "chance"
    found = f"interval {leading.interval / 60:.0f} min, explains {explained} of {total}"
    picture.text(_RIGHT - 112, top + 10, found, "soft small", "end")
    picture.text(_RIGHT, top + 10, verdict, f"strong {kind}", "end")
    y = top + 20
    for reading in seen:
        picture.ticks([across(s) for s in reading.unexplained], y + 10, _TICK - 10, 2.4, "rest")
        picture.ticks([across(s) for s in reading.explained], y, _TICK, 2.4, "beacon")
        for second in reading.missed:
            picture.ring(across(second), y + _TICK / 2, "beacon ring")
        width = across(reading.last) - across(reading.first)
        picture.rect(across(reading.first), y + _TICK + 4, width, 3, "ink")


def _legend(picture: Picture) -> None:
    x, y = _LEFT, 12
    picture.ticks([x + 2], y, 16, 2.4, "beacon")
    picture.text(x + 10, y + 13, "explained check-in", "small")
    picture.ring(x + 158, y + 8, "beacon ring")
    picture.text(x + 168, y + 13, "missed check-in, inferred", "small")
    picture.ticks([x + 350], y + 3, 13, 2.4, "rest")
    picture.text(x + 358, y + 13, "unexplained", "small")
    picture.rect(x + 464, y + 7, 22, 3, "ink")
    picture.text(x + 492, y + 13, "episode", "small")
