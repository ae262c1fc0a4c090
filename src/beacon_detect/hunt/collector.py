"""Chunks of records to what the analysis needs: a log of check-ins for every pair.

Memory grows with pairs and check-ins, not with the bytes read: 20 bytes for a
connection, and when the log is long, every pair keeps its newest
:data:`MAX_SERIES` only. Limit: sizes above 4 GiB count as 4 GiB in the series
(the totals of the pair are exact).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis import MIN_CHECK_INS, SeriesBatch
from beacon_detect.hunt.burst_sizes import BurstSizes
from beacon_detect.hunt.names import Names, packed
from beacon_detect.hunt.pair_table import PairTable
from beacon_detect.records import Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Chunk

MAX_SERIES = 16_384
"""Newest check-ins kept of a series: at one a minute, eleven days."""
COMPACT_ROWS = 30_000_000
"""Rows added to a log before it is compacted (600 MB)."""
PART_ROWS = 4_000_000
"""Rows sorted at once; bounds the memory that sorting takes."""
_MAX_SIZE = np.int64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """The series of some pairs: ``rows[i]`` is the pair of series ``i`` of the batch."""

    rows: NDArray[np.int64]
    batch: SeriesBatch


class EventLog:
    """Times and sizes of one kind of series, in the order of the input."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._fresh = 0
        self.dropped = 0
        """Oldest check-ins left out of very long series."""

    def __len__(self) -> int:
        return sum(len(part[0]) for part in self._parts)

    def add(
        self,
        rows: NDArray[np.int32],
        times: NDArray[np.int64],
        bytes_out: NDArray[np.int64],
        bytes_in: NDArray[np.int64],
    ) -> None:
        """Append events of pairs (by row of the pair table)."""
        sizes = [
            np.minimum(column, _MAX_SIZE).astype(np.uint32) for column in (bytes_out, bytes_in)
        ]
        self._parts.append((rows, times, *sizes))
        self._fresh += len(rows)
        if self._fresh > COMPACT_ROWS:
            self._compact()

    def _compact(self) -> None:
        kept: list[tuple[NDArray[Any], ...]] = []
        for rows, times, out, received in self._sorted_parts(minimum=1):
            place = np.arange(len(rows))
            last = np.append(np.flatnonzero(np.diff(rows)), len(rows) - 1)
            from_end = np.repeat(last, np.diff(last, prepend=-1)) - place
            keep = from_end < MAX_SERIES
            self.dropped += int(len(keep) - keep.sum())
            kept.append((rows[keep], times[keep], out[keep], received[keep]))
        self._parts, self._fresh = kept, 0

    def _sorted_parts(self, minimum: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield the log a range of pairs at a time, sorted by pair and time."""
        if not self._parts:
            return
        counts = self._counts()
        pairs = len(counts)
        wanted = counts >= minimum
        ends = np.cumsum(np.where(wanted, counts, 0))
        low = 0
        while low < pairs:
            before = ends[low - 1] if low else 0
            high = max(int(np.searchsorted(ends, before + PART_ROWS, "right")), low + 1)
            chosen = [self._choose(part, low, high, wanted) for part in self._parts]
            columns = [np.concatenate(column) for column in zip(*chosen, strict=True)]
            low = high
            if len(columns[0]):
                order = _order(columns[0], columns[1])
                yield tuple(np.take(column, order) for column in columns)

    @staticmethod
    def _choose(
        part: tuple[NDArray[Any], ...], low: int, high: int, wanted: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], ...]:
        rows = part[0]
        chosen = np.flatnonzero((rows >= low) & (rows < high) & np.take(wanted, rows))
        return tuple(np.take(column, chosen) for column in part)

    def scorable(self, minimum: int = MIN_CHECK_INS) -> tuple[int, int]:
        """Return how many series have at least ``minimum`` events, and their events."""
        counts = self._counts()
        chosen = counts[counts >= minimum]
        return len(chosen), int(chosen.sum())

    def _counts(self) -> NDArray[np.int64]:
        """Return the events of each pair."""
        pairs = max((int(part[0].max(initial=-1)) for part in self._parts), default=-1) + 1
        counts = np.zeros(pairs, np.int64)
        for part in self._parts:
            counts += np.bincount(part[0], minlength=pairs)
        return counts

    def series(self, minimum: int = MIN_CHECK_INS) -> Iterator[SeriesPart]:
        """Yield the series with at least ``minimum`` events, some pairs at a time."""
        for rows, times, out, received in self._sorted_parts(minimum):
            starts = np.append(0, np.flatnonzero(np.diff(rows)) + 1)
            offsets = np.append(starts, len(rows)).astype(np.int64)
            batch = SeriesBatch(offsets, times, out.astype(np.int64), received.astype(np.int64))
            yield SeriesPart(rows[starts].astype(np.int64), batch)

    def relabelled(self, labels: NDArray[np.int32]) -> EventLog:
        """Return the events under other numbers, without those of pairs labelled -1.

        Parameters
        ----------
        labels
            New number of each pair, by row of the pair table.
        """
        other = EventLog()
        for rows, *rest in self._parts:
            columns = (np.take(labels, rows), *rest)
            kept = np.flatnonzero(columns[0] >= 0)
            if len(kept) < len(rows):
                columns = tuple(np.take(column, kept) for column in columns)
            other._parts.append(columns)
        return other

    def take_over(self, other: EventLog) -> None:
        """Append the events of another log."""
        self._parts += other._parts

    def of_pairs(self, rows: NDArray[Any]) -> dict[int, tuple[NDArray[Any], ...]]:
        """Return times, bytes out and bytes in of some pairs, in time order."""
        found: dict[int, tuple[NDArray[Any], ...]] = {}
        wanted = np.unique(rows)
        chosen = [np.flatnonzero(np.isin(part[0], wanted)) for part in self._parts]
        if not chosen:
            return found
        columns = [
            np.concatenate(
                [np.take(part[i], at) for part, at in zip(self._parts, chosen, strict=True)]
            )
            for i in range(4)
        ]
        order = np.lexsort((columns[1], columns[0]))
        pairs, *rest = (np.take(column, order) for column in columns)
        bounds = np.searchsorted(pairs, np.append(wanted, wanted[-1:] + 1))
        for pair, low in zip(wanted.tolist(), bounds[:-1].tolist(), strict=True):
            high = int(np.searchsorted(pairs, pair, "right"))
            found[pair] = tuple(column[low:high] for column in rest)
        return found

    def times_at(self, rows: NDArray[Any], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which (pair, time) are in the log."""
        wanted = np.unique(rows)
        keys: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        for part in self._parts:
            chosen = np.isin(part[0], wanted)
            keys.append(_keys(part[0][chosen], part[1][chosen]))
        return np.isin(_keys(rows, times), np.concatenate(keys))


def _keys(rows: NDArray[Any], times: NDArray[np.int64]) -> NDArray[np.uint64]:
    from beacon_detect.records import hash_words

    return hash_words(rows.astype(np.int64), times)


def _order(rows: NDArray[Any], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order by pair and time."""
    order: NDArray[np.int64] = np.argsort(rows, kind="stable")
    in_time = np.diff(np.take(times, order)) >= 0
    in_pair = np.diff(np.take(rows, order)) > 0
    # Logs are mostly in time order already, and then one stable sort by pair is enough.
    return order if (in_time | in_pair).all() else np.lexsort((times, rows))


class Collector:
    """Takes the chunks of all files; gives pairs, names and series."""

    def __init__(self, since_ns: int | None = None, until_ns: int | None = None) -> None:
        self.pairs = PairTable()
        self.names = Names()
        self.logs = {"connections": EventLog(), "bursts": EventLog()}
        self.records = 0
        """Records read, of every kind."""
        self.outside = 0
        """Records before ``since`` or after ``until``."""
        self.midstream = 0
        """Connections whose start was not seen: counted, but no check-ins."""
        self._since = since_ns
        self._until = until_ns
        self._sizes = BurstSizes()
        self._open: list[tuple[NDArray[Any], ...]] = []

    @property
    def dropped_check_ins(self) -> int:
        """Oldest check-ins left out of very long series."""
        return sum(log.dropped for log in self.logs.values())

    def add(self, chunk: Chunk) -> None:
        """Take one chunk of a reader."""
        if chunk.names is not None:
            self.names.add(chunk.names)
        if chunk.records is not None and chunk.records.num_rows:
            self._add_records(chunk.records, joins=chunk.joins)

    def _add_records(self, table: pa.Table, *, joins: bool) -> None:
        self.records += table.num_rows
        columns = {name: table[name].to_numpy() for name in _NUMBERS}
        columns |= {"src": packed(table["src"]), "dst": packed(table["dst"])}
        inside = self._inside(columns["time"])
        if inside is not None:
            self.outside += table.num_rows - len(inside)
            columns = {name: np.take(column, inside, axis=0) for name, column in columns.items()}
            table = table.select(["name"]).take(inside)
            if not len(inside):
                return
        keys = (columns["src"], columns["dst"], columns["dst_port"], columns["protocol"])
        rows = self.pairs.rows(*keys)
        self._add_names(table["name"], rows, columns["time"])
        if joins:
            self.names.add_connections(columns["connection_id"], self.pairs.column("ids")[rows])
        kind = columns["kind"]
        if kind[0] == Kind.CONNECTION and (kind == Kind.CONNECTION).all():
            self._add_kind(Kind.CONNECTION, rows, columns)
            return
        for value in np.unique(kind):
            chosen = np.flatnonzero(kind == value)
            picked = {name: np.take(columns[name], chosen) for name in _NUMBERS}
            self._add_kind(Kind(value), rows[chosen], picked)

    def _inside(self, time: NDArray[np.int64]) -> NDArray[np.int64] | None:
        if self._since is None and self._until is None:
            return None
        inside = np.ones(len(time), bool)
        if self._since is not None:
            inside &= time >= self._since
        if self._until is not None:
            inside &= time < self._until
        return np.flatnonzero(inside)

    def _add_names(
        self, names: pa.ChunkedArray, rows: NDArray[np.int32], time: NDArray[np.int64]
    ) -> None:
        if any(len(chunk.dictionary) > 1 or chunk.dictionary[0].as_py() for chunk in names.chunks):
            self.names.add_columns(self.pairs.column("ids")[rows], time, names)

    def _add_kind(self, kind: Kind, rows: NDArray[np.int32], columns: dict[str, Any]) -> None:
        if kind == Kind.UPDATE:
            self._open.append((rows, columns["time"], columns["bytes_out"], columns["bytes_in"]))
            return
        events = (rows, columns["time"], columns["bytes_out"], columns["bytes_in"])
        self.pairs.count(*events, bursts=kind == Kind.BURST)
        if kind == Kind.BURST:
            self.logs["bursts"].add(rows, columns["time"], *self._sizes.own(columns["connection_id"], *events[1:]))  # fmt: skip
            return
        opened = columns["origin"] == Origin.OPENED
        if not opened.all():
            self.midstream += int(len(opened) - opened.sum())
            chosen = np.flatnonzero(opened)
            events = tuple(np.take(column, chosen) for column in events)  # type: ignore[assignment]
        self.logs["connections"].add(*events)

    def finish(self) -> None:
        """Count connections that were still open, once, unless their end is in the input too."""
        if not self._open:
            return
        columns = [np.concatenate(column) for column in zip(*self._open, strict=True)]
        self._open = []
        # Of several reports on one open connection the one with the most bytes is the newest.
        order = np.lexsort((columns[2], columns[1], columns[0]))
        rows, times = columns[0][order], columns[1][order]
        newest = np.append((np.diff(rows) != 0) | (np.diff(times) != 0), np.True_)
        kept = order[newest]
        ended = self.logs["connections"].times_at(columns[0][kept], columns[1][kept])
        events = [column[kept[~ended]] for column in columns]
        self.pairs.count(*events, bursts=False)
        self.logs["connections"].add(*events)


_NUMBERS = (
    "kind",
    "connection_id",
    "time",
    "dst_port",
    "protocol",
    "bytes_out",
    "bytes_in",
    "origin",
)
