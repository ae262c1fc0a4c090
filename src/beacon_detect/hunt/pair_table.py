"""Every pair seen in the input as a row of growing columns.

Rows are found by the pair's 64-bit id with a binary search over sorted copies,
a chunk at a time: a large one of the old pairs and a small one of the new, so
that a new pair does not move all others. Limit: about 140 bytes a pair, all in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from beacon_detect.context.side_by_side import NEVER, count_beside, share_beside
from beacon_detect.records import pair_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_ROWS = 1024
_NEW_IDS = 1 << 15
_NEW_SHARE = 32
"""New ids are put among the old when there are this many, and a 32nd of the old."""
_NEVER = np.iinfo(np.int64).max
_COLUMNS: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "ids": (np.uint64, (), 0),
    "src": (np.uint8, (16,), 0),
    "dst": (np.uint8, (16,), 0),
    "dst_port": (np.uint16, (), 0),
    "protocol": (np.uint8, (), 0),
    "first_seen": (np.int64, (), _NEVER),
    "last_seen": (np.int64, (), -_NEVER),
    "connections": (np.int64, (), 0),
    "bursts": (np.int64, (), 0),
    "bytes_out": (np.int64, (), 0),
    "bytes_in": (np.int64, (), 0),
    "finished": (np.int64, (), 0),
    "beside": (np.int64, (), 0),
    "timed": (np.bool_, (), 0),
    "last_start": (np.int64, (), 0),
    "last_end": (np.int64, (), int(NEVER)),
}
"""Column -> dtype, shape of one value, value of a new row; the last five as in ``side_by_side``."""


class _Index(NamedTuple):
    """Ids, ascending, and the row of each."""

    ids: NDArray[np.uint64]
    rows: NDArray[np.int32]

    @classmethod
    def empty(cls) -> _Index:
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int32))

    def joined(self, other: _Index) -> _Index:
        at = np.searchsorted(self.ids, other.ids)
        return _Index(np.insert(self.ids, at, other.ids), np.insert(self.rows, at, other.rows))

    def relabelled(self, rows: NDArray[np.int32]) -> _Index:
        """Return the index of the rows under new numbers, without those numbered -1."""
        renamed = rows[self.rows]
        kept = renamed >= 0
        return _Index(self.ids[kept], renamed[kept])


class PairTable:
    """Columns of all pairs; ``len()`` is their number."""

    def __init__(self) -> None:
        self._size = 0
        self._columns = {
            name: np.full((_FIRST_ROWS, *shape), fill, kind)
            for name, (kind, shape, fill) in _COLUMNS.items()
        }
        self._old, self._new = _Index.empty(), _Index.empty()
        self._durations = False
        """Whether any connection had a duration yet; many logs have none."""

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> NDArray[Any]:
        """Return a view of one column, a row for each pair."""
        return self._columns[name][: self._size]

    def rows(
        self,
        src: NDArray[np.uint8],
        dst: NDArray[np.uint8],
        dst_port: NDArray[np.uint16],
        protocol: NDArray[np.uint8],
    ) -> NDArray[np.int32]:
        """Return each record's row; pairs that are new get one."""
        import pyarrow as pa

        # Arrow's hash table finds the distinct ids five times faster than a sort would.
        encoded = pa.array(pair_ids(src, dst, dst_port, protocol)).dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        ids = encoded.dictionary.to_numpy(zero_copy_only=False)
        places, known = self._find(ids)
        if not known.all():
            first = np.zeros(len(ids), np.int64)
            first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
            fresh = np.flatnonzero(~known)
            at = first[fresh]
            places[fresh] = self._append(ids[fresh], src[at], dst[at], dst_port[at], protocol[at])
        rows: NDArray[np.int32] = np.take(places, codes)
        return rows

    def _find(self, ids: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        rows, known = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.bool_)
        # In order, so that the search goes through memory in order, too.
        order = np.argsort(ids)
        wanted = ids[order]
        for index in (self._old, self._new):
            if not len(index.ids):
                continue
            at = np.minimum(np.searchsorted(index.ids, wanted), len(index.ids) - 1)
            found = index.ids[at] == wanted
            rows[order[found]] = index.rows[at[found]]
            known[order[found]] = True
        return rows, known

    def _append(self, ids: NDArray[np.uint64], *keys: NDArray[Any]) -> NDArray[np.int32]:
        start, end = self._size, self._size + len(ids)
        if end > len(self._columns["ids"]):
            self._grow(end)
        for name, values in zip(_COLUMNS, (ids, *keys), strict=False):
            self._columns[name][start:end] = values
        self._size = end
        rows = np.arange(start, end, dtype=np.int32)
        order = np.argsort(ids)
        self._new = self._new.joined(_Index(ids[order], rows[order]))
        if len(self._new.ids) > max(_NEW_IDS, len(self._old.ids) // _NEW_SHARE):
            self._old, self._new = self._old.joined(self._new), _Index.empty()
        return rows

    def _grow(self, needed: int) -> None:
        size = max(needed, 2 * len(self._columns["ids"]))
        for name, (kind, shape, fill) in _COLUMNS.items():
            column = np.full((size, *shape), fill, kind)
            column[: self._size] = self._columns[name][: self._size]
            self._columns[name] = column

    def keep(self, kept: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Forget the other pairs; return the new row of every old one, -1 where it is forgotten."""
        rows = np.full(self._size, -1, np.int32)
        size = int(kept.sum())
        rows[kept] = np.arange(size, dtype=np.int32)
        for name, (_, _, fill) in _COLUMNS.items():
            column = self._columns[name]
            column[:size] = column[: self._size][kept]
            column[size : self._size] = fill
        self._old, self._new = self._old.relabelled(rows), self._new.relabelled(rows)
        self._size = size
        return rows

    def count(
        self,
        rows: NDArray[np.int32],
        time: NDArray[np.int64],
        bytes_out: NDArray[np.int64],
        bytes_in: NDArray[np.int64],
        *,
        bursts: bool,
    ) -> None:
        """Add records to the totals of their pairs; a burst's bytes are its connection's."""
        np.minimum.at(self._columns["first_seen"], rows, time)
        np.maximum.at(self._columns["last_seen"], rows, time)
        np.add.at(self._columns["bursts" if bursts else "connections"], rows, 1)
        if not bursts:
            np.add.at(self._columns["bytes_out"], rows, bytes_out)
            np.add.at(self._columns["bytes_in"], rows, bytes_in)

    def count_beside(
        self, rows: NDArray[np.int32], time: NDArray[np.int64], duration: NDArray[np.int64]
    ) -> None:
        """Count which finished connections were side by side; 0 where a duration is not known."""
        columns = self._columns
        lasted = duration > 0
        self._durations = self._durations or bool(lasted.any())
        if not self._durations:
            np.add.at(columns["finished"], rows, 1)
            return
        columns["timed"][rows[lasted]] = True
        found = count_beside(rows, time, time + duration, self._last)
        columns["finished"][found.owners] += found.connections
        columns["beside"][found.owners] += found.beside
        columns["last_start"][found.owners] = found.starts
        columns["last_end"][found.owners] = found.ends

    def _last(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._columns["last_start"][rows], self._columns["last_end"][rows]

    def side_by_side(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return which share of the pairs' connections is side by side, NaN where nobody knows."""
        beside, finished, timed = (self._columns[n][rows] for n in ("beside", "finished", "timed"))
        return share_beside(beside, finished, timed)
