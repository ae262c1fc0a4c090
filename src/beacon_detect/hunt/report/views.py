"""What the pictures of one finding show: its check-ins, their sizes and intervals.

The check-ins are those the analysis scored (same collapse of bursts), computed
again for the few pairs of a report. Limits: the newest :data:`MAX_EVENTS` events;
the leading episode is that of the calibrated score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import Settings, list_episodes
from beacon_detect.analysis.reference.check_ins import Collapse
from beacon_detect.hunt.groups import merged_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from beacon_detect.hunt.collector import Collector
    from beacon_detect.hunt.ranking import Row

MAX_EVENTS = 5_000


@dataclass(frozen=True, slots=True)
class View:
    """The numbers behind the pictures of one finding."""

    times: NDArray[np.float64]
    """Check-ins, epoch seconds."""
    bytes_out: NDArray[np.int64]
    bytes_in: NDArray[np.int64]
    intervals: NDArray[np.float64]
    """Seconds between check-ins; where pauses are regular, pauses and the usual time of a check-in."""
    leading: NDArray[np.float64]
    """The same of the leading episode alone: what came before or after it hides its period."""


def views(collector: Collector, rows: Sequence[Row]) -> list[View]:
    """Return the view of each row."""
    found: dict[tuple[int, str], tuple[NDArray[np.int64], ...]] = {}
    for name, log in collector.logs.items():
        pairs = np.array([row.pair for row in rows if row.series == name], np.int64)
        if len(pairs):
            found |= {(pair, name): columns for pair, columns in log.of_pairs(pairs).items()}
    names = [row for row in rows if row.series == "name"]
    for i, columns in merged_events(collector, [row.members for row in names]).items():
        found[names[i].pair, "name"] = columns
    newest = [tuple(column[-MAX_EVENTS:] for column in found[row.pair, row.series]) for row in rows]
    return [_view(*columns) for columns in newest]


def _view(times: NDArray[np.int64], out: NDArray[np.int64], received: NDArray[np.int64]) -> View:
    _, check_ins = list_episodes(times, Settings())
    collapse = check_ins[0].collapse if check_ins else Collapse()
    at, sizes = collapse.firsts_and_sizes(times)
    intervals = collapse.intervals(times)

    def of_each(values: NDArray[np.int64]) -> NDArray[np.int64]:
        upto = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
        return np.asarray(upto[at + sizes] - upto[at])

    return View(
        times=times[at] / 1e9,
        bytes_out=of_each(out),
        bytes_in=of_each(received),
        intervals=intervals,
        leading=check_ins[0].intervals if check_ins else intervals,
    )


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
