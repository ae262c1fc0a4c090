"""The newest name known for each pair, from DNS answers, TLS, HTTP and name columns.

A name seen in the pair's own connections wins over a DNS answer for its
address. A name that tells its connection is the name of that connection's pair,
whichever of the two comes first (:mod:`joins`). Limit: one name a pair, at most
:data:`MAX_NAMES` pairs with one, and :data:`MAX_TEXTS` different names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.hunt.joins import Joins
from beacon_detect.records import pair_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

MAX_NAMES = 4_000_000
MAX_TEXTS = 2_000_000
"""Different names kept (some 200 bytes each)."""
FIRST_SWEEP = 500_000
"""Different names before those that no pair has any more are forgotten."""


class Names:
    """Pair id -> newest name; ids with port and protocol 0 stand for any."""

    def __init__(self) -> None:
        self._ids = np.zeros(0, np.uint64)
        self._codes = np.zeros(0, np.int32)
        self._times = np.zeros(0, np.int64)
        self._texts: list[str] = []
        self._known: dict[str, int] = {}
        self._sweep_at = FIRST_SWEEP
        self._joins = Joins()
        self.dropped = 0
        """Names beyond the bound."""

    @property
    def unplaced(self) -> int:
        """Names whose connection is not in the input, or too far away in it."""
        return self._joins.unplaced

    def add(self, table: pa.Table) -> None:
        """Take a table of :func:`beacon_detect.readers.columns.name_schema`."""
        if not table.num_rows:
            return
        dst, times = packed(table["dst"]), table["time"].to_numpy()
        ids = pair_ids(
            packed(table["src"]), dst, table["dst_port"].to_numpy(), table["protocol"].to_numpy()
        )
        codes = self._codes_of(table["name"])
        connection = table["connection_id"].to_numpy()
        if not connection.any():
            self._add_codes(ids, times, codes)
            return
        placed = np.logical_or.reduce(dst, axis=1)
        ids, known = self._joins.pairs_of(connection, ids, times, codes, placed)
        self._add_codes(ids[known], times[known], codes[known])

    def add_columns(
        self, ids: NDArray[np.uint64], times: NDArray[np.int64], names: pa.ChunkedArray
    ) -> None:
        """Take names of pairs by id; empty names are left out."""
        self._add_codes(ids, times, self._codes_of(names))

    def add_connections(self, connection: NDArray[np.uint64], pairs: NDArray[np.uint64]) -> None:
        """Take the pairs of connections that names may refer to."""
        self._add_codes(*self._joins.add(connection, pairs))

    def _codes_of(self, names: pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the code of each name, -1 for empty ones."""
        column = names.unify_dictionaries().combine_chunks()
        if not len(column):
            return np.zeros(0, np.int32)
        if len(self._texts) >= self._sweep_at:
            self._sweep()
        texts = column.dictionary.to_pylist()
        codes = np.array([self._code(text) for text in texts], np.int32)
        found: NDArray[np.int32] = codes[column.indices.to_numpy(zero_copy_only=False)]
        return found

    def _add_codes(
        self, ids: NDArray[np.uint64], times: NDArray[np.int64], codes: NDArray[np.int32]
    ) -> None:
        given = np.flatnonzero(codes >= 0)
        if not len(given):
            return
        ids, times, codes = ids[given], times[given], codes[given]
        order = np.lexsort((times, ids))
        newest = order[np.append(np.diff(ids[order]) != 0, np.True_)]
        self._merge(ids[newest], times[newest], codes[newest])

    def _merge(
        self, ids: NDArray[np.uint64], times: NDArray[np.int64], codes: NDArray[np.int32]
    ) -> None:
        """Take one name an id, ids ascending: newer ones replace, new ones go in between."""
        at = np.searchsorted(self._ids, ids)
        known = np.zeros(len(ids), bool)
        if len(self._ids):
            known = self._ids[np.minimum(at, len(self._ids) - 1)] == ids
        newer = known.copy()
        newer[known] = times[known] >= self._times[at[known]]
        self._times[at[newer]] = times[newer]
        self._codes[at[newer]] = codes[newer]
        fresh = np.flatnonzero(~known)
        room = max(MAX_NAMES - len(self._ids), 0)
        self.dropped += max(len(fresh) - room, 0)
        fresh = fresh[:room]
        self._ids = np.insert(self._ids, at[fresh], ids[fresh])
        self._times = np.insert(self._times, at[fresh], times[fresh])
        self._codes = np.insert(self._codes, at[fresh], codes[fresh])

    def code_of(self, text: str) -> int:
        """Return the number of a name as :meth:`codes` gives it; one that no pair has where unknown."""
        return self._known.get(_plain(text), len(self._texts))

    def _code(self, text: str) -> int:
        text = _plain(text)
        if not text:
            return -1
        if text not in self._known:
            if len(self._texts) >= MAX_TEXTS:
                self.dropped += 1
                return -1
            self._known[text] = len(self._texts)
            self._texts.append(text)
        return self._known[text]

    def _sweep(self) -> None:
        """Forget the texts of names that were replaced: whoever tunnels by DNS makes millions."""
        used = np.zeros(len(self._texts), np.bool_)
        used[self._codes] = True
        for codes in self._joins.waiting_codes:
            used[codes] = True
        kept = np.flatnonzero(used)
        codes = np.full(len(used), -1, np.int32)
        codes[kept] = np.arange(len(kept), dtype=np.int32)
        self._codes = codes[self._codes]
        self._joins.recode(codes)
        self._texts = [self._texts[i] for i in kept.tolist()]
        self._known = {text: code for code, text in enumerate(self._texts)}
        # Where nearly all are in use, sweeping at every chunk would free next to nothing.
        full = len(kept) > MAX_TEXTS * 9 // 10
        self._sweep_at = MAX_TEXTS + 1 if full else min(max(FIRST_SWEEP, 2 * len(kept)), MAX_TEXTS)

    def of(
        self,
        src: NDArray[np.uint8],
        dst: NDArray[np.uint8],
        dst_port: NDArray[np.uint16],
        protocol: NDArray[np.uint8],
    ) -> Sequence[str]:
        """Return the name of each pair, empty where none is known."""
        codes = self.codes(src, dst, dst_port, protocol)
        return [self._texts[code] if code >= 0 else "" for code in codes.tolist()]

    def codes(
        self,
        src: NDArray[np.uint8],
        dst: NDArray[np.uint8],
        dst_port: NDArray[np.uint16],
        protocol: NDArray[np.uint8],
    ) -> NDArray[np.int32]:
        """Return a number for the name of each pair, -1 where none is known."""
        none = np.zeros(len(dst_port), np.uint8)
        own = self._find(pair_ids(src, dst, dst_port, protocol))
        answered = self._find(pair_ids(src, dst, none, none))
        return np.where(own >= 0, own, answered)

    def _find(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        if not len(self._ids):
            return np.full(len(ids), -1, np.int32)
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[at] == ids, self._codes[at], np.int32(-1))


def _plain(text: str) -> str:
    # Names of hosts know no case, and resolvers are asked in mixed case on purpose.
    return text.lower().rstrip(".")


def packed(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """Return the ``(n, 16)`` bytes of a fixed-size binary column, without a copy where possible."""
    array = column.combine_chunks()
    buffer = array.buffers()[1]
    flat = np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)
    start = array.offset * 16
    return flat[start : start + 16 * len(array)].reshape(-1, 16)
