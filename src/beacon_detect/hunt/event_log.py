"""Times and sizes of the check-ins of every pair, as columns, within a bound.

20 bytes an event. When the log is long, every pair keeps its newest
:data:`MAX_SERIES` events, and where that is not enough for :data:`MAX_EVENTS`
in all, half as many, and so on; what is left out is counted. Limit: sizes
above 4 GiB count as 4 GiB (the totals of the pair are exact).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis import MIN_CHECK_INS, SeriesBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

MAX_SERIES = 16_384
"""Newest check-ins kept of a series: at one a minute, eleven days."""
MAX_EVENTS = 120_000_000
"""Events a log holds at most, of all pairs together (2.4 GB)."""
COMPACT_ROWS = 30_000_000
"""Rows added to a log before it is compacted (600 MB)."""
PART_ROWS = 4_000_000
"""Rows sorted at once; bounds the memory that sorting takes."""
HURRIED_ROWS = 500_000
"""The same after an interrupt, so that the first series come at once."""
PIECE_ROWS = 1_000_000
"""Rows that lie together; the chunks of a reader are much smaller, and looking through each takes its time."""
_MAX_SIZE = np.int64(0xFFFFFFFF)
_LONG_AGO = np.iinfo(np.int64).min


class Events(NamedTuple):
    """Some events: row of the pair table, time (ns), bytes."""

    rows: NDArray[np.int32]
    times: NDArray[np.int64]
    bytes_out: NDArray[np.uint32]
    bytes_in: NDArray[np.uint32]

    def take(self, places: NDArray[np.int64]) -> Events:
        """Return the events at some places."""
        return Events(
            np.take(self.rows, places), np.take(self.times, places),
            np.take(self.bytes_out, places), np.take(self.bytes_in, places),
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Iterable[Events]) -> Events:
        """Return the events of all parts."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """The series of some pairs: ``rows[i]`` is the pair of series ``i`` of the batch."""

    rows: NDArray[np.int64]
    batch: SeriesBatch


class EventLog:
    """Events of one kind of series, in the order of the input."""

    def __init__(self) -> None:
        self._parts: list[Events] = []
        self._fresh: list[Events] = []
        self._fresh_rows = 0
        self._since_compacted = 0
        self._held = 0
        self.limit = MAX_SERIES
        """Newest events kept of a pair when the log is next compacted."""
        self.dropped = 0
        """Oldest check-ins left out of very long series."""

    def __len__(self) -> int:
        return self._held

    def add(
        self,
        rows: NDArray[np.int32],
        times: NDArray[np.int64],
        bytes_out: NDArray[np.int64],
        bytes_in: NDArray[np.int64],
    ) -> None:
        """Append events of pairs (by row of the pair table)."""
        out, received = (np.minimum(c, _MAX_SIZE).astype(np.uint32) for c in (bytes_out, bytes_in))
        self._fresh.append(Events(rows, times, out, received))
        self._fresh_rows += len(rows)
        self._held += len(rows)
        self._since_compacted += len(rows)
        if self._fresh_rows >= PIECE_ROWS:
            self._settle()
        if self._since_compacted > COMPACT_ROWS or self._held > MAX_EVENTS:
            self._compact()

    def parts(self) -> list[Events]:
        """Return all events, a part after the other."""
        self._settle()
        return self._parts

    def _settle(self) -> None:
        if self._fresh:
            self._parts.append(Events.joined(self._fresh))
            self._fresh, self._fresh_rows = [], 0

    def _compact(self) -> None:
        """Leave the oldest events of long series out, a part at a time: nothing is copied whole."""
        parts = self.parts()
        counts = _counts(parts)
        if self._held > MAX_EVENTS:
            # Some room, so that it is not the next chunk that finds the log full again.
            while self.limit > 1 and np.minimum(counts, self.limit).sum() > MAX_EVENTS * 3 // 4:
                self.limit //= 2
        self._since_compacted = 0
        if not (counts > self.limit).any():
            return
        cut, left = _cuts(parts, counts, self.limit)
        for i in range(len(parts) - 1, -1, -1):
            parts[i] = _newer(parts[i], cut, left)
        kept = sum(len(part.rows) for part in parts)
        self.dropped += self._held - kept
        self._held = kept

    def relabel(self, labels: NDArray[np.int32]) -> None:
        """Give every pair another number; the events of pairs labelled -1 are forgotten."""
        parts = self.parts()
        for i, part in enumerate(parts):
            changed = part._replace(rows=np.take(labels, part.rows))
            kept = changed.rows >= 0
            parts[i] = changed if kept.all() else changed.take(np.flatnonzero(kept))
        self._held = sum(len(part.rows) for part in parts)

    def scorable(self, minimum: int = MIN_CHECK_INS) -> tuple[int, int]:
        """Return how many series have at least ``minimum`` events, and their events."""
        counts = _counts(self.parts())
        chosen = counts[counts >= minimum]
        return len(chosen), int(chosen.sum())

    def series(
        self, minimum: int = MIN_CHECK_INS, hurry: Callable[[], bool] = lambda: False
    ) -> Iterator[SeriesPart]:
        """Yield the series with at least ``minimum`` events, some pairs at a time.

        While ``hurry`` says so, fewer at a time.
        """
        return _series(self.parts(), minimum, None, hurry)

    def of_pairs(self, rows: NDArray[np.int64]) -> dict[int, tuple[NDArray[np.int64], ...]]:
        """Return times, bytes out and bytes in of some pairs, in time order."""
        wanted = np.unique(rows)
        chosen = [part.take(np.flatnonzero(np.isin(part.rows, wanted))) for part in self.parts()]
        if not chosen:
            return {}
        events = Events.joined(chosen)
        events = events.take(np.lexsort((events.times, events.rows)))
        low, high = (np.searchsorted(events.rows, wanted, side) for side in ("left", "right"))
        return {
            pair: tuple(column[start:stop].astype(np.int64) for column in events[1:])
            for pair, start, stop in zip(wanted.tolist(), low.tolist(), high.tolist(), strict=True)
        }

    def times_at(self, rows: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which (pair, time) are in the log, or older than all that is kept of a long series."""
        wanted = np.unique(rows)
        chosen = [part.take(np.flatnonzero(np.isin(part.rows, wanted))) for part in self.parts()]
        if not chosen:
            return np.zeros(len(rows), np.bool_)
        held = Events.joined(chosen)
        found: NDArray[np.bool_] = np.isin(_keys(rows, times), _keys(held.rows, held.times))
        if self.dropped:
            at, own = np.searchsorted(wanted, held.rows), np.searchsorted(wanted, rows)
            oldest = np.full(len(wanted), np.iinfo(np.int64).max)
            np.minimum.at(oldest, at, held.times)
            long = np.bincount(at, minlength=len(wanted)) >= self.limit
            found |= long[own] & (times < oldest[own])
        return found


def merged_series(
    logs: Iterable[EventLog],
    labels: NDArray[np.int32],
    minimum: int = MIN_CHECK_INS,
    hurry: Callable[[], bool] = lambda: False,
) -> Iterator[SeriesPart]:
    """Yield series of the events of several logs under other numbers than their pairs'.

    Parameters
    ----------
    logs
        Where the events are; they are not copied.
    labels
        Number of each pair, by row of the pair table; pairs labelled -1 are left out.
    minimum
        Fewest events of a series.
    hurry
        While it says so, fewer series are yielded at a time.
    """
    return _series([part for log in logs for part in log.parts()], minimum, labels, hurry)


def _series(
    parts: Sequence[Events],
    minimum: int,
    labels: NDArray[np.int32] | None,
    hurry: Callable[[], bool],
) -> Iterator[SeriesPart]:
    counts = _counts(parts, labels)
    for events in _sorted_parts(parts, counts, counts >= minimum, labels, hurry):
        starts = np.append(0, np.flatnonzero(np.diff(events.rows)) + 1)
        offsets = np.append(starts, len(events.rows)).astype(np.int64)
        sizes = (column.astype(np.int64) for column in (events.bytes_out, events.bytes_in))
        yield SeriesPart(
            events.rows[starts].astype(np.int64), SeriesBatch(offsets, events.times, *sizes)
        )


def _counts(parts: Sequence[Events], labels: NDArray[np.int32] | None = None) -> NDArray[np.int64]:
    """Return the events of each pair."""
    if labels is None:
        pairs = max((int(part.rows.max(initial=-1)) for part in parts), default=-1) + 1
    else:
        pairs = int(labels.max(initial=-1)) + 1
    counts = np.zeros(pairs + 1, np.int64)
    for part in parts:
        rows = part.rows if labels is None else np.take(labels, part.rows)
        counts += np.bincount(rows + 1, minlength=pairs + 1)
    return counts[1:]


def _sorted_parts(
    parts: Sequence[Events],
    counts: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    labels: NDArray[np.int32] | None = None,
    hurry: Callable[[], bool] = lambda: False,
) -> Iterator[Events]:
    """Yield the events of wanted pairs a range of pairs at a time, sorted by pair and time."""
    ends = np.cumsum(np.where(wanted, counts, 0))
    low, pairs = 0, len(counts)
    while low < pairs and ends[-1] > (ends[low - 1] if low else 0):
        before = ends[low - 1] if low else 0
        most = HURRIED_ROWS if hurry() else PART_ROWS
        high = max(int(np.searchsorted(ends, before + most, "right")), low + 1)
        chosen = [_choose(part, low, high, wanted, labels) for part in parts]
        low = high
        events = Events.joined(chosen)
        if len(events.rows):
            yield events.take(_order(events.rows, events.times))


def _choose(
    part: Events,
    low: int,
    high: int,
    wanted: NDArray[np.bool_],
    labels: NDArray[np.int32] | None,
) -> Events:
    rows = part.rows if labels is None else np.take(labels, part.rows)
    chosen = np.flatnonzero((rows >= low) & (rows < high))
    chosen = chosen[np.take(wanted, np.take(rows, chosen))]
    return part._replace(rows=rows).take(chosen)


def _cuts(
    parts: Sequence[Events], counts: NDArray[np.int64], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return of each pair the time of its ``limit``-th newest event, and how many events of just that time are kept."""
    cut = np.full(len(counts), _LONG_AGO)
    left = np.zeros(len(counts), np.int64)
    for events in _sorted_parts(parts, counts, counts > limit):
        ends = np.append(np.flatnonzero(np.diff(events.rows)) + 1, len(events.rows))
        pairs = events.rows[ends - 1]
        cut[pairs] = events.times[ends - limit]
        newer = events.times > cut[events.rows]
        left[pairs] = limit - np.add.reduceat(newer, np.append(0, ends[:-1]), dtype=np.int64)
    return cut, left


def _newer(part: Events, cut: NDArray[np.int64], left: NDArray[np.int64]) -> Events:
    """Return the events after the cut, and of those at the cut as many as are left."""
    border = np.take(cut, part.rows)
    keep = part.times > border
    tied = np.flatnonzero(part.times == border)
    if len(tied):
        pairs = part.rows[tied]
        order = np.argsort(pairs, kind="stable")
        _, starts, sizes = np.unique(pairs[order], return_index=True, return_counts=True)
        place = np.arange(len(tied)) - np.repeat(starts, sizes)
        kept = order[place < left[pairs[order]]]
        keep[tied[kept]] = True
        np.subtract.at(left, pairs[kept], 1)
    return part if keep.all() else part.take(np.flatnonzero(keep))


def _keys(rows: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.uint64]:
    from beacon_detect.records import hash_words

    return hash_words(rows.astype(np.int64), times)


def _order(rows: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order by pair and time."""
    order: NDArray[np.int64] = np.argsort(rows, kind="stable")
    in_time = np.diff(np.take(times, order)) >= 0
    in_pair = np.diff(np.take(rows, order)) > 0
    # Logs are mostly in time order already, and then one stable sort by pair is enough.
    return order if (in_time | in_pair).all() else np.lexsort((times, rows))
