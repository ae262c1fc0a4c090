"""The analyzer's memory: recent check-in times and sizes of every series, in bounded space.

New events go to a tail in order of arrival; now and then (and before each
pass) the tail is merged into flat columns ordered by series and time. A pass
takes only the series that got events since the last one, and never reads the
disk. Groups of pairs (see ``groups``) are merged from here, and have a mark of
their own for what is new. Where the bound is met, the longest series lose
their oldest events first: noise cannot push a slow beacon out. Whatever is
dropped is counted. Limit: sizes saturate at 4 GiB an event; times are series times.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.types import SeriesBatch
from beacon_detect.control_plane import ragged
from beacon_detect.control_plane.columns import numbers
from beacon_detect.control_plane.id_index import IdIndex
from beacon_detect.records import Kind, Origin

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MIN_TAIL_EVENTS = 100_000
"""Tail that is worth a merge; larger working sets wait for a quarter of their size."""

EVICTION_SLACK = 8
"""An eviction frees one eighth more than it must, so that the next one is not due at once."""

_KINDS = 2
_MAX_SIZE = np.iinfo(np.uint32).max


_PASS, _GROUPS = np.uint8(1), np.uint8(2)
"""Who has not yet been given the newest events of a series, as bits."""


class SeriesKind(IntEnum):
    """Which events make the series; stored in finding ids, so fixed for ever."""

    CONNECTIONS = 0
    """The connections of a pair."""
    BURSTS = 1
    """The bursts inside the connections of a pair."""
    NAME = 2
    """All activity between a source and a destination name, whatever the address."""
    PROCESS = 3
    """All activity of a program of a host towards a destination name."""


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """Series taken for analysis: whose they are, and their events as one ragged batch."""

    pair_ids: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    batch: SeriesBatch

    def __len__(self) -> int:
        """Count the series."""
        return len(self.pair_ids)


@dataclass(frozen=True, slots=True)
class WorkingSetCounters:
    """Size of the working set and what was dropped from it, by reason, since the start."""

    events: int
    pairs: int
    dirty: int
    dropped: dict[str, int]


@dataclass(slots=True)
class _Events:
    """Equally long columns of events."""

    times: NDArray[np.int64]
    bytes_out: NDArray[np.uint32]
    bytes_in: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> _Events:
        return _Events(self.times[rows], self.bytes_out[rows], self.bytes_in[rows])

    def batch(self, offsets: NDArray[np.int64]) -> SeriesBatch:
        """Return the events in the form of the detection core."""
        return SeriesBatch(
            offsets,
            self.times,
            self.bytes_out.astype(np.int64),
            self.bytes_in.astype(np.int64),
        )


@dataclass(slots=True)
class _Tail:
    """Events not merged yet, in order of arrival, with the series of each."""

    slots: list[NDArray[np.int64]]
    events: list[_Events]
    count: int = 0

    def add(self, slots: NDArray[np.int64], events: _Events) -> None:
        if not len(slots):
            return
        self.slots.append(slots)
        self.events.append(events)
        self.count += len(slots)

    def join(self) -> tuple[NDArray[np.int64], _Events]:
        """Return all of it as (series, events)."""
        return np.concatenate(self.slots), _Events(
            np.concatenate([events.times for events in self.events]),
            np.concatenate([events.bytes_out for events in self.events]),
            np.concatenate([events.bytes_in for events in self.events]),
        )


class WorkingSet:
    """Recent events of all series; safe to use from several threads."""

    def __init__(self, *, max_events: int, series_length: int) -> None:
        """Make an empty set.

        Parameters
        ----------
        max_events
            Most events held in all.
        series_length
            Most events held of one series; the newest stay.
        """
        self._max_events = max_events
        self._series_length = series_length
        self._lock = threading.Lock()
        self._index = IdIndex()
        self._offsets = np.zeros(1, np.int64)
        self._merged = _no_events()
        self._tail = _Tail([], [])
        self._sizes = _Tail([], [])
        self._due = np.zeros(0, np.uint8)
        self._dropped: Counter[str] = Counter()

    def add(self, pair_ids: NDArray[np.uint64], table: pa.Table) -> None:
        """Add the check-ins among the records of ``table``; other records add their sizes.

        Parameters
        ----------
        pair_ids
            Pair of each record.
        table
            Columns kind, origin, series_time, duration, bytes_out and bytes_in at least.
        """
        kind = numbers(table, "kind")
        burst = kind == Kind.BURST
        opened = ((kind == Kind.START) | (kind == Kind.CONNECTION)) & (
            numbers(table, "origin") == Origin.OPENED
        )
        # The final size of a check-in is in the record that ends its connection.
        sized = (kind == Kind.END) | (kind == Kind.UPDATE)
        times = numbers(table, "series_time")
        columns = _Events(
            np.where(sized, times - numbers(table, "duration"), times),
            _saturated(numbers(table, "bytes_out")),
            _saturated(numbers(table, "bytes_in")),
        )
        check_ins, sizes = np.flatnonzero(burst | opened), np.flatnonzero(sized)
        with self._lock:
            slots = self._index.add(pair_ids[check_ins]).astype(np.int64) * _KINDS
            slots += burst[check_ins]
            self._mark(slots)
            self._tail.add(slots, columns.take(check_ins))
            owners = self._index.slots(pair_ids[sizes]).astype(np.int64)
            known = owners >= 0
            self._sizes.add(owners[known] * _KINDS, columns.take(sizes[known]))
            if max(self._tail.count, self._sizes.count) >= self._merge_due():
                self._merge()

    def take_dirty(self, min_events: int, max_events: int | None = None) -> SeriesGroup:
        """Return the series that got events since they were last taken.

        Parameters
        ----------
        min_events
            Series with fewer events stay behind until they have as many.
        max_events
            Stop after the series that reaches this many events in all; call
            again for the rest. A bound on memory, not on the work.
        """
        with self._lock:
            self._merge()
            lengths = np.diff(self._offsets)
            due = (self._due & _PASS) != 0
            chosen = np.flatnonzero(due & (lengths >= max(1, min_events)))
            if max_events is not None and chosen.size:
                enough = int(np.searchsorted(np.cumsum(lengths[chosen]), max_events))
                chosen = chosen[: enough + 1]
            self._due[chosen] &= ~_PASS
            return self._group(chosen)

    def take_touched(self) -> NDArray[np.uint64]:
        """Return the pairs that got events since this was last asked, each once."""
        with self._lock:
            touched = (self._due & _GROUPS) != 0
            self._due &= ~_GROUPS
            pairs = touched.reshape(-1, _KINDS).any(axis=1)
            ids: NDArray[np.uint64] = self._index.ids[pairs]
            return ids

    def touch(self, pair_ids: NDArray[np.uint64]) -> None:
        """Let the next :meth:`take_touched` return these pairs again."""
        with self._lock:
            slots = self._index.slots(pair_ids).astype(np.int64)
            self._due[slots[slots >= 0] * _KINDS] |= _GROUPS

    def sizes(self, pair_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return how many events are held of each pair, of both kinds together."""
        with self._lock:
            self._merge()
            lengths = np.append(np.diff(self._offsets), [0] * _KINDS).reshape(-1, _KINDS)
            # Pairs that are not known have slot -1, which is the row of zeros at the end.
            held: NDArray[np.int64] = lengths.sum(axis=1)[self._index.slots(pair_ids)]
            return held

    def gather(self, pair_ids: NDArray[np.uint64]) -> SeriesGroup:
        """Return the series that are held of these pairs, pair by pair, in the order given."""
        with self._lock:
            self._merge()
            slots = self._index.slots(pair_ids).astype(np.int64)
            slots = slots[slots >= 0, None] * _KINDS + np.arange(_KINDS)
            return self._group(slots.reshape(-1))

    def put_back(self, group: SeriesGroup) -> None:
        """Make the series of ``group`` due again, because their analysis failed."""
        with self._lock:
            owners = self._index.slots(group.pair_ids).astype(np.int64)
            known = owners >= 0
            self._due[owners[known] * _KINDS + group.kinds[known]] |= _PASS

    def series(self, pair_id: int, kind: SeriesKind) -> SeriesBatch:
        """Return the events of one series of a pair (a batch of one, empty when there are none)."""
        if kind >= _KINDS:
            raise ValueError(f"{kind!r} is no series of a pair")
        with self._lock:
            self._merge()
            slot = int(self._index.slots(np.array([pair_id], np.uint64))[0]) * _KINDS + kind
            return self._group(np.array([slot] if slot >= 0 else [], np.int64)).batch

    def resize(self, *, series_length: int) -> None:
        """Change how many events of a series are kept."""
        with self._lock:
            self._series_length = series_length
            self._merge()
            self._trim()

    def forget(self, before_ns: int) -> None:
        """Drop events older than ``before_ns`` (series time) and pairs without events."""
        with self._lock:
            self._merge()
            self._keep(self._merged.times >= before_ns, "retention")
            lengths = np.diff(self._offsets).reshape(-1, _KINDS)
            used = lengths.any(axis=1)
            self._index = IdIndex(self._index.ids[used])
            self._due = self._due.reshape(-1, _KINDS)[used].reshape(-1)
            self._offsets = ragged.offsets_of(lengths[used].reshape(-1))

    @property
    def counters(self) -> WorkingSetCounters:
        """Sizes and drops."""
        with self._lock:
            return WorkingSetCounters(
                events=len(self._merged) + self._tail.count,
                pairs=len(self._index),
                dirty=int(((self._due & _PASS) != 0).sum()),
                dropped=dict(self._dropped),
            )

    def _merge_due(self) -> int:
        room = max(1, self._max_events - len(self._merged))
        return min(max(MIN_TAIL_EVENTS, len(self._merged) // 4), room)

    def _mark(self, slots: NDArray[np.int64]) -> None:
        missing = len(self._index) * _KINDS - len(self._due)
        if missing > 0:
            # Doubling would cost less, but one byte a series is copied in no time.
            self._due = np.concatenate([self._due, np.zeros(missing, np.uint8)])
        self._due[slots] = _PASS | _GROUPS

    def _group(self, slots: NDArray[np.int64]) -> SeriesGroup:
        lengths = self._offsets[slots + 1] - self._offsets[slots]
        rows = ragged.positions(self._offsets[slots], lengths)
        kinds = (slots % _KINDS).astype(np.uint8)
        batch = self._merged.take(rows).batch(ragged.offsets_of(lengths))
        for column in (batch.bytes_out, batch.bytes_in):
            _make_own(column, batch.offsets, kinds == SeriesKind.BURSTS)
        return SeriesGroup(self._index.ids[slots // _KINDS], kinds, batch)

    def _merge(self) -> None:
        """Move the tail into the ordered columns and bring sizes to their check-ins."""
        if self._tail.count:
            slots, events = self._tail.join()
            self._tail = _Tail([], [])
            self._merge_events(slots, events)
            self._sort()
        if self._sizes.count:
            self._merge_sizes(*self._sizes.join())
            self._sizes = _Tail([], [])
        self._trim()

    def _merge_events(self, slots: NDArray[np.int64], events: _Events) -> None:
        """Place each new event after the older ones of its series, in order of arrival."""
        series = len(self._index) * _KINDS
        old_lengths = np.zeros(series, np.int64)
        old_lengths[: len(self._offsets) - 1] = np.diff(self._offsets)
        new_lengths = np.bincount(slots, minlength=series)
        offsets = ragged.offsets_of(old_lengths + new_lengths)
        old_rows = ragged.positions(offsets[:-1], old_lengths)
        new_rows = ragged.positions(offsets[:-1] + old_lengths, new_lengths)
        order = np.argsort(slots, kind="stable")
        for name in ("times", "bytes_out", "bytes_in"):
            old, new = getattr(self._merged, name), getattr(events, name)
            column = np.empty(offsets[-1], old.dtype)
            column[old_rows] = old
            column[new_rows] = new[order]
            setattr(self._merged, name, column)
        self._offsets = offsets

    def _sort(self) -> None:
        """Put series in which events arrived out of order back in order."""
        bad = ragged.disordered(self._merged.times, self._offsets)
        if not bad.size:
            return
        lengths = self._offsets[bad + 1] - self._offsets[bad]
        rows = ragged.positions(self._offsets[bad], lengths)
        order = np.lexsort((self._merged.times[rows], np.repeat(bad, lengths)))
        sorted_events = self._merged.take(rows[order])
        self._merged.times[rows] = sorted_events.times
        self._merged.bytes_out[rows] = sorted_events.bytes_out
        self._merged.bytes_in[rows] = sorted_events.bytes_in

    def _merge_sizes(self, slots: NDArray[np.int64], sizes: _Events) -> None:
        """Write the sizes of connections to the check-ins that opened them, matched by time."""
        known = slots < len(self._offsets) - 1
        slots, sizes = slots[known], sizes.take(known)
        rows = ragged.find(
            self._merged.times, self._offsets[slots], self._offsets[slots + 1], sizes.times
        )
        found = rows >= 0
        rows, sizes = rows[found], sizes.take(found)
        # Counters only grow, so the largest report is the last, in whatever order they came.
        np.maximum.at(self._merged.bytes_out, rows, sizes.bytes_out)
        np.maximum.at(self._merged.bytes_in, rows, sizes.bytes_in)

    def _trim(self) -> None:
        """Enforce both bounds, the oldest events of the longest series first."""
        self._cap(self._series_length, "series_length")
        excess = len(self._merged) - self._max_events
        if excess <= 0:
            return
        budget = self._max_events - self._max_events // EVICTION_SLACK
        lengths = np.diff(self._offsets)
        cap = ragged.fair_cap(lengths, budget)
        if cap > 0:
            self._cap(cap, "working_set_full")
            return
        # More series than events allowed: only the most recently active keep one.
        self._cap(1, "working_set_full")
        keep = np.zeros(len(self._merged), np.bool_)
        keep[np.argpartition(self._merged.times, -budget)[-budget:]] = True
        self._keep(keep, "working_set_full")

    def _cap(self, length: int, reason: str) -> None:
        lengths = np.diff(self._offsets)
        over = np.maximum(lengths - length, 0)
        if over.any():
            keep = np.ones(len(self._merged), np.bool_)
            keep[ragged.positions(self._offsets[:-1], over)] = False
            self._keep(keep, reason)

    def _keep(self, keep: NDArray[np.bool_], reason: str) -> None:
        """Drop the events not to be kept and count them."""
        kept_before = ragged.offsets_of(keep)
        self._dropped[reason] += len(keep) - int(kept_before[-1])
        self._offsets = kept_before[self._offsets]
        self._merged = self._merged.take(keep)


def _no_events() -> _Events:
    return _Events(np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint32))


def _make_own(
    counters: NDArray[np.int64], offsets: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> None:
    """Turn the cumulative counters of the ``chosen`` series into what was added since the last.

    A burst record counts its connection so far. A counter that fell is that of
    another connection and counts whole; where several connections of a pair
    burst in turn, sizes are therefore only an estimate.
    """
    lengths = np.diff(offsets)
    series = np.flatnonzero(chosen & (lengths > 1))
    rows = ragged.positions(offsets[series] + 1, lengths[series] - 1)
    grown = counters[rows] - counters[rows - 1]
    counters[rows] = np.where(grown < 0, counters[rows], grown)


def _saturated(sizes: NDArray[np.int64]) -> NDArray[np.uint32]:
    return np.clip(sizes, 0, _MAX_SIZE).astype(np.uint32)
