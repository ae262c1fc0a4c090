"""Chunks of records to what the analysis needs: a log of check-ins for every pair.

Memory grows with pairs and check-ins, not with the bytes read: about 140 bytes a
pair, 20 a connection, and the connections within a bound (:mod:`event_log`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.hunt.burst_sizes import BurstSizes
from beacon_detect.hunt.event_log import EventLog
from beacon_detect.hunt.names import Names, packed
from beacon_detect.hunt.pair_table import PairTable
from beacon_detect.records import Kind, Origin

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Chunk


MAX_PAIRS = 12_000_000
"""Pairs held at most (some 200 bytes each): a capture of scans may have any number."""
OPEN_REPORTS = 4_000_000
"""Reports on open connections before all but the newest of each are forgotten (28 bytes each)."""


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
        self.forgotten = 0
        """Pairs that were forgotten because there were too many."""
        self._since = since_ns
        self._until = until_ns
        self._sizes = BurstSizes()
        self._open: list[tuple[NDArray[Any], ...]] = []
        self._reports = 0
        """Reports on open connections since old ones were last forgotten."""

    @property
    def dropped_check_ins(self) -> int:
        """Oldest check-ins left out of very long series."""
        return sum(log.dropped for log in self.logs.values())

    @property
    def kept_check_ins(self) -> int:
        """Newest check-ins that are kept of a very long series."""
        return min(log.limit for log in self.logs.values())

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
        self._add_kinds(rows, columns)
        if len(self.pairs) > MAX_PAIRS:
            # Nobody holds on to numbers of rows between two chunks.
            self._forget()

    def _add_kinds(self, rows: NDArray[np.int32], columns: dict[str, Any]) -> None:
        kind = columns["kind"]
        if kind[0] == Kind.CONNECTION and (kind == Kind.CONNECTION).all():
            self._add_kind(Kind.CONNECTION, rows, columns)
            return
        for value in np.unique(kind):
            chosen = np.flatnonzero(kind == value)
            picked = {name: np.take(columns[name], chosen) for name in _NUMBERS}
            self._add_kind(Kind(value), rows[chosen], picked)

    def _forget(self) -> None:
        """Forget half of the pairs: those with the fewest connections, the longest silent first."""
        events = self.pairs.column("connections") + self.pairs.column("bursts")
        for rows, *_ in self._open:
            np.add.at(events, rows, 1)
        order = np.lexsort((self.pairs.column("last_seen"), events))
        kept = np.zeros(len(order), np.bool_)
        kept[order[-(MAX_PAIRS // 2) :]] = True
        self.forgotten += int(len(kept) - kept.sum())
        labels = self.pairs.keep(kept)
        for log in self.logs.values():
            log.relabel(labels)
        self._open = [_relabelled(reports, labels) for reports in self._open]

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
            self._reports += len(rows)
            if self._reports > OPEN_REPORTS:
                self._open = [_newest(self._open)]
                self._reports = 0
            return
        events = (rows, columns["time"], columns["bytes_out"], columns["bytes_in"])
        self.pairs.count(*events, bursts=kind == Kind.BURST)
        if kind == Kind.BURST:
            self.logs["bursts"].add(rows, columns["time"], *self._sizes.own(columns["connection_id"], *events[1:]))  # fmt: skip
            return
        duration = columns["duration"]
        opened = columns["origin"] == Origin.OPENED
        if not opened.all():
            self.midstream += int(len(opened) - opened.sum())
            chosen = np.flatnonzero(opened)
            events = tuple(np.take(column, chosen) for column in events)  # type: ignore[assignment]
            duration = duration[chosen]
        self.pairs.count_beside(*events[:2], duration)
        self.logs["connections"].add(*events)

    def finish(self) -> None:
        """Count connections that were still open, once, unless their end is in the input too."""
        if not self._open:
            return
        columns, self._open = _newest(self._open), []
        ended = self.logs["connections"].times_at(columns[0], columns[1])
        events = [column[~ended] for column in columns]
        self.pairs.count(*events, bursts=False)
        self.logs["connections"].add(*events)


def _relabelled(
    reports: tuple[NDArray[Any], ...], labels: NDArray[np.int32]
) -> tuple[NDArray[Any], ...]:
    rows = np.take(labels, reports[0])
    kept = rows >= 0
    return (rows[kept], *(column[kept] for column in reports[1:]))


def _newest(reports: list[tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
    """Return of several reports on one open connection the one with the most bytes."""
    columns = [np.concatenate(column) for column in zip(*reports, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    rows, times = columns[0][order], columns[1][order]
    newest = np.append((np.diff(rows) != 0) | (np.diff(times) != 0), np.True_)
    return tuple(column[order[newest]] for column in columns)


_NUMBERS = (
    "kind",
    "connection_id",
    "time",
    "dst_port",
    "protocol",
    "duration",
    "bytes_out",
    "bytes_in",
    "origin",
)
