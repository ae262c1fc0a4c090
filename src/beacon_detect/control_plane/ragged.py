"""Arithmetic on ragged arrays: many series of different lengths in one flat column.

Series ``i`` is ``flat[offsets[i]:offsets[i + 1]]``. Pure NumPy, no Python loop
over series, so that a hundred thousand of them cost a few array operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def offsets_of(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return the ``(n + 1,)`` offsets of series with these lengths."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def positions(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the flat positions of slices, one after the other, each counting up from its start."""
    offsets = offsets_of(lengths)
    flat = np.arange(offsets[-1], dtype=np.int64)
    flat += np.repeat(starts - offsets[:-1], lengths)
    return flat


def disordered(flat: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the series in which some value is smaller than the one before it."""
    falls = flat[1:] < flat[:-1]
    borders = offsets[1:-1]
    borders = borders[(borders > 0) & (borders < len(flat))]
    falls[borders - 1] = False
    return np.unique(np.searchsorted(offsets, np.flatnonzero(falls), side="right") - 1)


def find(
    flat: NDArray[np.int64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    wanted: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return, row by row, the position of ``wanted`` in ``flat[first:end]`` (ascending), or -1.

    A binary search of all rows at once; of equal values the first is found.
    """
    low, high = first.copy(), end.copy()
    while (open_rows := np.flatnonzero(low < high)).size:
        middle = (low[open_rows] + high[open_rows]) >> 1
        below = flat[middle] < wanted[open_rows]
        low[open_rows[below]] = middle[below] + 1
        high[open_rows[~below]] = middle[~below]
    inside = low < end
    hit = np.zeros(len(wanted), np.bool_)
    hit[inside] = flat[low[inside]] == wanted[inside]
    return np.where(hit, low, -1)


def fair_cap(lengths: NDArray[np.int64], budget: int) -> int:
    """Return the largest cap for which the capped lengths sum to at most ``budget``."""
    ascending = np.sort(lengths)
    # With the i shortest series kept whole, the rest share what is left of the budget.
    whole = offsets_of(ascending)[:-1]
    sharing = np.arange(len(ascending), 0, -1)
    caps = (budget - whole) // sharing
    fits = np.flatnonzero(caps < ascending)
    return int(max(0, caps[fits[0]])) if fits.size else int(ascending[-1]) if len(ascending) else 0
