"""How many bytes of each open connection are counted already.

UPDATE, BURST and END records carry counters since the connection's start;
adding them up would count the same bytes again and again. This table says by
how much each record's connection grew. Limit: at most :data:`MAX_TRACKED`
connections; the bytes of further ones are counted once they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.control_plane.columns import numbers
from beacon_detect.control_plane.id_index import IdIndex
from beacon_detect.records import Kind, hash_words

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_TRACKED = 500_000
"""Open connections tracked at once: about 30 MB."""


class OpenConnections:
    """Bytes counted so far of connections that reported while open. Not thread-safe."""

    def __init__(self) -> None:
        self._index = IdIndex()
        self._bytes_out = np.zeros(0, np.int64)
        self._bytes_in = np.zeros(0, np.int64)
        self._last_seen = np.zeros(0, np.int64)
        self._ended = np.zeros(0, np.bool_)

    def __len__(self) -> int:
        """Count the connections tracked."""
        return len(self._index)

    def growth(
        self,
        pair_ids: NDArray[np.uint64],
        kind: NDArray[np.uint8],
        last_seen: NDArray[np.int64],
        table: pa.Table,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return rows of ``table`` and the bytes out and in that each adds to its pair."""
        bytes_out, bytes_in = numbers(table, "bytes_out"), numbers(table, "bytes_in")
        # The pair is part of the key: senders of their own make may reuse connection ids.
        keys = hash_words(numbers(table, "connection_id"), pair_ids)
        reports = np.flatnonzero((kind == Kind.UPDATE) | (kind == Kind.BURST))
        ends = np.flatnonzero(kind == Kind.END)
        self._track(keys[reports])
        report_slots, end_slots = self._index.slots(keys[reports]), self._index.slots(keys[ends])
        rows = np.concatenate([reports[report_slots >= 0], ends[end_slots >= 0]])
        slots = np.concatenate([report_slots[report_slots >= 0], end_slots[end_slots >= 0]])
        self._ended[end_slots[end_slots >= 0]] = True
        np.maximum.at(self._last_seen, slots, last_seen[rows])
        touched, first = np.unique(slots, return_index=True)
        grown = [
            _raise(counted, touched, slots, counters[rows])
            for counted, counters in (
                (self._bytes_out, bytes_out),
                (self._bytes_in, bytes_in),
            )
        ]
        whole = np.concatenate([np.flatnonzero(kind == Kind.CONNECTION), ends[end_slots < 0]])
        return (
            np.concatenate([rows[first], whole]),
            np.concatenate([grown[0], bytes_out[whole]]),
            np.concatenate([grown[1], bytes_in[whole]]),
        )

    def forget(self, before_ns: int) -> None:
        """Drop connections that ended, or were last seen before ``before_ns`` (wall ns)."""
        keep = ~self._ended & (self._last_seen >= before_ns)
        self._index = IdIndex(self._index.ids[keep])
        self._bytes_out, self._bytes_in = self._bytes_out[keep], self._bytes_in[keep]
        self._last_seen, self._ended = self._last_seen[keep], self._ended[keep]

    def _track(self, keys: NDArray[np.uint64]) -> None:
        """Start tracking new connections while there is room."""
        new = np.unique(keys[self._index.slots(keys) < 0])[: MAX_TRACKED - len(self)]
        if not new.size:
            return
        self._index.add(new)
        for name in ("_bytes_out", "_bytes_in", "_last_seen", "_ended"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(len(new), column.dtype)]))


def _raise(
    counted: NDArray[np.int64],
    touched: NDArray[np.int32],
    slots: NDArray[np.int32],
    counters: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Raise ``counted`` to the counters reported; return by how much, per touched slot."""
    before = counted[touched]
    np.maximum.at(counted, slots, counters)
    return counted[touched] - before
