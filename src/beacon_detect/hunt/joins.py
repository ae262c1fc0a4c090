"""Names to pairs by the connection they were seen in, whichever of the two is read first.

Zeek gives every connection a ``uid`` and repeats it in all its logs; this is
where they meet. Limit: the newest :data:`MAX_CONNECTIONS` connections and
:data:`MAX_WAITING` names are remembered, so two logs of a very long run should
be read at the same pace (as rotated files are); a name with addresses of its own
is used even without its connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CONNECTIONS = 8_000_000
"""Connections remembered (16 bytes each), at least half as many always."""
MAX_WAITING = 1_000_000
"""Names that wait for their connection (21 bytes each)."""


_Run = tuple["NDArray[np.uint64]", "NDArray[np.uint64]"]
"""Connection ids and the pair of each."""


class _Generation:
    """Connections that came in about the same time.

    Sorted runs, of which the smaller are merged into the larger ones, so that
    a lookup between any two additions stays cheap; nothing is sorted before the
    first lookup, which most inputs never ask for.
    """

    def __init__(self) -> None:
        self._fresh: list[_Run] = []
        self._runs: list[_Run] = []
        self.held = 0

    def add(self, connection: NDArray[np.uint64], pairs: NDArray[np.uint64]) -> None:
        self._fresh.append((connection, pairs))
        self.held += len(connection)

    def runs(self) -> list[_Run]:
        """Return all runs, older ones first."""
        if self._fresh:
            self._runs.append(_sorted(self._fresh))
            self._fresh = []
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) > len(self._runs[-2][0]):
            self._runs[-2:] = [_sorted(self._runs[-2:])]
        return self._runs


class ConnectionPairs:
    """Connection id -> pair id, of the newest connections.

    Two generations, so that the oldest can be forgotten at once.
    """

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        self._most = most
        self._newer, self._older = _Generation(), _Generation()

    def add(self, connection: NDArray[np.uint64], pairs: NDArray[np.uint64]) -> None:
        """Remember the pair of each connection."""
        if not len(connection):
            return
        self._newer.add(connection, pairs)
        if self._newer.held >= self._most // 2:
            self._older, self._newer = self._newer, _Generation()

    def find(self, connection: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the pair of each connection, and which are known."""
        pairs, known = np.zeros(len(connection), np.uint64), np.zeros(len(connection), bool)
        for ids, values in (*self._older.runs(), *self._newer.runs()):  # newer ones overwrite
            at = np.maximum(np.searchsorted(ids, connection, "right") - 1, 0)
            found = ids[at] == connection
            pairs[found], known = values[at[found]], known | found
        return pairs, known


def _sorted(runs: list[_Run]) -> _Run:
    ids = np.concatenate([run[0] for run in runs])
    order = np.argsort(ids, kind="stable")
    return ids[order], np.concatenate([run[1] for run in runs])[order]


class Joins:
    """Connections that names may come for, and names that wait for their connection."""

    def __init__(self) -> None:
        self._connections = ConnectionPairs()
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int32]]] = []
        self._homeless: list[NDArray[np.bool_]] = []
        self._lost = 0

    @property
    def unplaced(self) -> int:
        """Names without addresses whose connection did not come."""
        return self._lost + sum(int(rows.sum()) for rows in self._homeless)

    @property
    def waiting_codes(self) -> list[NDArray[np.int32]]:
        """Codes of the names that wait for their connection."""
        return [codes for _, _, codes in self._waiting]

    def recode(self, codes: NDArray[np.int32]) -> None:
        """Give the names that wait other codes: ``codes[old]``."""
        self._waiting = [(ids, times, codes[old]) for ids, times, old in self._waiting]

    def pairs_of(
        self,
        connection: NDArray[np.uint64],
        ids: NDArray[np.uint64],
        times: NDArray[np.int64],
        codes: NDArray[np.int32],
        placed: NDArray[np.bool_],
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return the pair of each name and the rows that have one; the others wait.

        Parameters
        ----------
        connection
            Connection of each name, 0 where unknown.
        ids
            Pair by the name's own addresses.
        times, codes
            What is kept of a name that waits: ns, and the code of its text.
        placed
            Which names have addresses of their own.
        """
        pairs, known = self._connections.find(connection)
        known &= connection != 0
        late = np.flatnonzero(~known & (connection != 0) & (codes >= 0))
        if len(late):
            self._waiting.append((connection[late], times[late], codes[late]))
            self._homeless.append(~placed[late])
            self._bound()
        return np.where(known, pairs, ids), np.flatnonzero(known | placed)

    def _bound(self) -> None:
        held = sum(len(rows) for rows in self._homeless)
        while held > MAX_WAITING and len(self._homeless) > 1:
            held -= len(self._homeless[0])
            self._waiting.pop(0)
            self._lost += int(self._homeless.pop(0).sum())

    def add(
        self, connection: NDArray[np.uint64], pairs: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int32]]:
        """Remember connections; return pair, time and code of the names that waited for them."""
        self._connections.add(connection, pairs)
        if not self._waiting:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int32)
        ids, times, codes = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
        homeless = np.concatenate(self._homeless)
        place = _places(ids, connection)
        came = place >= 0
        left = ~came
        self._waiting = [(ids[left], times[left], codes[left])] if left.any() else []
        self._homeless = [homeless[left]] if left.any() else []
        return pairs[place[came]], times[came], codes[came]


def _places(wanted: NDArray[np.uint64], among: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where each value is found among others, or -1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow's hash table: five times as fast as sorting both.
    found = pc.fill_null(pc.index_in(pa.array(wanted), value_set=pa.array(among)), -1)
    places: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places
