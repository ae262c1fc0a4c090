"""What the pictures of one finding show: its check-ins, their sizes, intervals and spectrum.

The check-ins are those the analysis scored (same collapse of bursts), computed
again for the few pairs of a report. Limit: the newest :data:`MAX_EVENTS` events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.grouping import NO_GROUP
from beacon_detect.analysis.reference.check_ins import find_check_ins
from beacon_detect.hunt.event_log import merged_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from beacon_detect.hunt.collector import Collector
    from beacon_detect.hunt.ranking import Row

MAX_EVENTS = 5_000
FALSE_ALARM = 0.01
"""Chance that random arrivals cross the line anywhere in the picture."""
SPECTRUM_POINTS = 400
_LONGEST, _SHORTEST = 1.6, 0.12
"""Periods shown, in intervals."""


@dataclass(frozen=True, slots=True)
class View:
    """The numbers behind the pictures of one finding."""

    times: NDArray[np.float64]
    """Check-ins, epoch seconds."""
    bytes_out: NDArray[np.int64]
    bytes_in: NDArray[np.int64]
    intervals: NDArray[np.float64]
    """Seconds between check-ins."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How much the intervals agree with each period, and what chance would reach."""

    periods: NDArray[np.float64]
    """Seconds."""
    strength: NDArray[np.float64]
    """``|mean exp(2 pi i x / T)|`` over the intervals x: 1 where all are multiples of T."""
    false_alarm: NDArray[np.float64]
    """Exponential intervals with the same mean stay below it but for :data:`FALSE_ALARM`."""


def views(collector: Collector, rows: Sequence[Row]) -> list[View]:
    """Return the view of each row."""
    found: dict[tuple[int, str], tuple[NDArray[np.int64], ...]] = {}
    for name, log in collector.logs.items():
        pairs = np.array([row.pair for row in rows if row.series == name], np.int64)
        if len(pairs):
            found |= {(pair, name): columns for pair, columns in log.of_pairs(pairs).items()}
    found |= _of_names(collector, [row for row in rows if row.series == "name"])
    return [_view(*found[row.pair, row.series]) for row in rows]


def _of_names(
    collector: Collector, rows: Sequence[Row]
) -> dict[tuple[int, str], tuple[NDArray[np.int64], ...]]:
    """Return the events of the rows of names, merged over the pairs behind each."""
    if not rows:
        return {}
    labels = np.full(len(collector.pairs), NO_GROUP, np.int32)
    for number, row in enumerate(rows):
        labels[list(row.members)] = number
    found = {}
    for part in merged_series(collector.logs.values(), labels, minimum=1):
        columns = (part.batch.times, part.batch.bytes_out, part.batch.bytes_in)
        for i, number in enumerate(part.rows.tolist()):
            low, high = part.batch.offsets[i : i + 2]
            found[rows[number].pair, "name"] = tuple(column[low:high] for column in columns)
    return found


def _view(times: NDArray[np.int64], out: NDArray[np.int64], received: NDArray[np.int64]) -> View:
    times, out, received = times[-MAX_EVENTS:], out[-MAX_EVENTS:], received[-MAX_EVENTS:]
    collapsed = find_check_ins(times)
    starts = times if collapsed is None else collapsed.starts
    at = np.searchsorted(times, starts)
    # Events at the same instant: the first of them begins the check-in.
    at[0] = 0
    return View(
        times=starts / 1e9,
        bytes_out=np.add.reduceat(out.astype(np.int64), at),
        bytes_in=np.add.reduceat(received.astype(np.int64), at),
        intervals=np.diff(starts) / 1e9,
    )


def spectrum(intervals: NDArray[np.float64], interval: float) -> Spectrum:
    """Return the periodogram of intervals around the one that was found.

    Under the null (exponential intervals, mean m) the strength at period T
    tends to ``|1 / (1 - 2 pi i m / T)|``, the characteristic function. n times
    the squared distance from it is about exponential, so the highest of k
    independent lines goes ``sqrt(ln(k / p) / n)`` beyond it with probability p.

    Parameters
    ----------
    intervals
        Seconds.
    interval
        The interval that was found, seconds.
    """
    periods = np.geomspace(_SHORTEST * interval, _LONGEST * interval, SPECTRUM_POINTS)
    phases = np.exp(2j * math.pi * intervals[None, :] / periods[:, None])
    strength = np.abs(phases.mean(axis=1))
    chance = 1 / np.sqrt(1 + (2 * math.pi * intervals.mean() / periods) ** 2)
    margin = math.log(SPECTRUM_POINTS / 4 / FALSE_ALARM) / len(intervals)
    return Spectrum(periods, strength, np.minimum(chance + math.sqrt(margin), 1.0))


MAX_RASTER_ROWS = 36
INTERVALS_A_ROW = 4


@dataclass(frozen=True, slots=True)
class Raster:
    """Check-ins as points: row, and place in the row from 0 to 1."""

    length: float
    """Seconds of a row, a multiple of the interval: regular check-ins stand in columns."""
    intervals: int
    """Intervals of a row."""
    start: float
    """Epoch seconds at which the first row begins."""
    rows: int
    row: NDArray[np.int64]
    place: NDArray[np.float64]


def raster(times: NDArray[np.float64], interval: float) -> Raster:
    """Fold the times into rows of a few intervals, so that regularity is seen."""
    span = float(times[-1] - times[0])
    fitting = math.ceil((span + interval) / (interval * (MAX_RASTER_ROWS - 1)))
    intervals = max(INTERVALS_A_ROW, fitting)
    length = intervals * interval
    # Half an interval of room, so that the first column is not split by its own jitter.
    start = float(times[0]) - interval / 2
    row = ((times - start) // length).astype(np.int64)
    return Raster(
        length, intervals, start, int(row[-1]) + 1, row, (times - start) % length / length
    )
