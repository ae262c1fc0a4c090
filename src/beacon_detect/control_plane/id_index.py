"""Maps 64-bit ids to small dense slots, whole columns at a time.

A Python dict would cost about 100 bytes an id and one interpreter step a
lookup; this open-addressing table costs about 32 bytes and a few NumPy calls a
column. Ids cannot be removed one by one: build a new index of those to keep.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EMPTY = np.int32(-1)
_FEWEST_CELLS_LOG2 = 10


class IdIndex:
    """Slots 0, 1, 2, … for ids, first come first served. Not thread-safe."""

    def __init__(self, ids: NDArray[np.uint64] | None = None) -> None:
        """Make an index; ``ids`` (distinct) get the first slots in their order."""
        # Ids can be chosen by whoever sends traffic; a secret hash per process
        # keeps them from being aimed at one cell.
        self._seed = np.uint64(secrets.randbits(64))
        self._multiplier = np.uint64(secrets.randbits(64) | 1)
        self._count = 0
        self._ids = np.zeros(0, np.uint64)
        self._resize(_FEWEST_CELLS_LOG2)
        if ids is not None:
            self._append(ids)

    def __len__(self) -> int:
        """Count the ids."""
        return self._count

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The id of each slot (a view; do not write)."""
        return self._ids[: self._count]

    def slots(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the slot of each id, -1 where it was never added."""
        found = np.full(len(ids), _EMPTY, np.int32)
        rows = np.arange(len(ids))
        cells = self._home(ids)
        while rows.size:
            slots = self._slot_of_cell[cells]
            match = self._id_of_cell[cells] == ids
            hit = match & (slots != _EMPTY)
            found[rows[hit]] = slots[hit]
            on = ~match & (slots != _EMPTY)
            rows, ids = rows[on], ids[on]
            cells = (cells[on] + 1) & self._mask
        return found

    def add(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the slot of each id, giving new ones the next slots."""
        found = self.slots(ids)
        missing = found == _EMPTY
        if missing.any():
            fresh, inverse = np.unique(ids[missing], return_inverse=True)
            first = self._count
            self._append(fresh)
            found[missing] = (first + inverse).astype(np.int32)
        return found

    def _append(self, fresh: NDArray[np.uint64]) -> None:
        """Give unique ids that are not in the table the next slots."""
        total = self._count + len(fresh)
        if total > len(self._ids):
            grown = np.zeros(max(total, 2 * len(self._ids), 1024), np.uint64)
            grown[: self._count] = self.ids
            self._ids = grown
        self._ids[self._count : total] = fresh
        if 2 * total > len(self._slot_of_cell):
            self._resize((2 * total).bit_length())
            self._place(self._ids[:total], np.arange(total, dtype=np.int32))
        else:
            self._place(fresh, np.arange(self._count, total, dtype=np.int32))
        self._count = total

    def _resize(self, cells_log2: int) -> None:
        cells = 1 << cells_log2
        self._shift = np.uint64(64 - cells_log2)
        self._mask = np.int64(cells - 1)
        self._slot_of_cell = np.full(cells, _EMPTY, np.int32)
        self._id_of_cell = np.zeros(cells, np.uint64)

    def _home(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        with np.errstate(over="ignore"):
            return (((ids ^ self._seed) * self._multiplier) >> self._shift).astype(np.int64)

    def _place(self, ids: NDArray[np.uint64], slots: NDArray[np.int32]) -> None:
        """Put unique ids into free cells; of those that want the same cell one wins a round."""
        cells = self._home(ids)
        while ids.size:
            free = self._slot_of_cell[cells] == _EMPTY
            self._slot_of_cell[cells[free]] = slots[free]
            won = free & (self._slot_of_cell[cells] == slots)
            self._id_of_cell[cells[won]] = ids[won]
            on = ~won
            ids, slots = ids[on], slots[on]
            cells = (cells[on] + 1) & self._mask
