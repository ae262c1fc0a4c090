"""Bytes of single bursts from the cumulative counters that burst records carry.

A burst record is written when the burst begins and counts its connection so
far, so what lies between two bursts of a connection is the earlier one's;
as sizes of a series that is the same, one place later. Limit: the counters of
at most :data:`MAX_CONNECTIONS` connections are remembered; of more, the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CONNECTIONS = 2_000_000


class BurstSizes:
    """The last counters of every connection that had a burst."""

    def __init__(self) -> None:
        self._ids = np.zeros(0, np.uint64)
        self._counters = np.zeros((0, 3), np.int64)

    def own(
        self,
        ids: NDArray[np.uint64],
        time: NDArray[np.int64],
        bytes_out: NDArray[np.int64],
        bytes_in: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bytes out and in since the burst before; all of them for the first.

        Parameters
        ----------
        ids
            Connection of each burst.
        time
            Begin of each burst, ns.
        bytes_out, bytes_in
            Cumulative bytes of the connection.
        """
        order = np.lexsort((time, ids))
        key = ids[order]
        counters = np.stack([time, bytes_out, bytes_in], axis=1)[order]
        first = np.append(True, np.diff(key) != 0)
        before = np.zeros_like(counters)
        before[1:] = counters[:-1]
        before[first] = self._known(key[first])
        # A counter that went back is another connection under the same id.
        grown = np.maximum(counters - before, 0)[:, 1:]
        sizes = np.empty_like(grown)
        sizes[order] = grown
        last = np.append(np.diff(key) != 0, True)
        self._remember(key[last], counters[last])
        return sizes[:, 0], sizes[:, 1]

    def _known(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        if not len(self._ids):
            return np.zeros((len(ids), 3), np.int64)
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where((self._ids[at] == ids)[:, None], self._counters[at], 0)

    def _remember(self, ids: NDArray[np.uint64], counters: NDArray[np.int64]) -> None:
        kept = ~np.isin(self._ids, ids)
        ids = np.concatenate([self._ids[kept], ids])
        counters = np.concatenate([self._counters[kept], counters])
        if len(ids) > MAX_CONNECTIONS:
            newest = np.argpartition(counters[:, 0], -MAX_CONNECTIONS)[-MAX_CONNECTIONS:]
            ids, counters = ids[newest], counters[newest]
        order = np.argsort(ids)
        self._ids, self._counters = ids[order], counters[order]
