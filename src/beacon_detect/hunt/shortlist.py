"""Series in pieces that are scored quickly, and after an interrupt the strongest few of them.

An interrupt must be answered within seconds, whatever is left to score. Then
the series whose intervals vary least are scored, which is what a list would
show first. Limit: by plain variation, which a beacon with missed or doubled
check-ins may not win.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import MIN_CHECK_INS, SeriesBatch
from beacon_detect.hunt.event_log import SeriesPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SLICE_EVENTS = 400_000
"""Events scored between two looks for an interrupt: half a second of work."""
FEW = 250
"""Series of a part that are scored after an interrupt."""
FEW_EVENTS = 100_000
"""Events they may have together."""
LAST_SECONDS = 0.5
"""How long parts are looked through after an interrupt."""


def until_stopped(parts: Iterator[SeriesPart], stopped: Callable[[], bool]) -> Iterator[SeriesPart]:
    """Yield the parts in slices; once ``stopped`` says so, the strongest series of what is left."""
    end = 0.0
    for part in parts:
        bounds = _bounds(part.batch.offsets)
        for low, high in pairwise(bounds):
            if stopped():
                end = end or time.monotonic() + LAST_SECONDS
                yield strongest(_some(part, np.arange(low, len(part.rows))))
                break
            yield _some(part, np.arange(low, high)) if len(bounds) > 2 else part
        if end and time.monotonic() > end:
            return


def _bounds(offsets: NDArray[np.int64]) -> list[int]:
    """Return series numbers that cut a part into slices of about equally many events."""
    slices = max(1, -(-int(offsets[-1]) // SLICE_EVENTS))
    wanted = np.arange(1, slices) * (offsets[-1] / slices)
    inner = np.searchsorted(offsets, wanted)
    cuts: list[int] = np.unique([0, *inner.tolist(), len(offsets) - 1]).tolist()
    return cuts


def strongest(part: SeriesPart) -> SeriesPart:
    """Return the few series of a part whose intervals vary least for their mean."""
    batch = part.batch
    sizes = np.diff(batch.offsets)
    variation = _variation(batch)
    order = np.argsort(np.where(sizes >= MIN_CHECK_INS, variation, np.inf), kind="stable")[:FEW]
    fits = np.cumsum(sizes[order]) <= FEW_EVENTS
    return _some(part, np.sort(order[fits & (sizes[order] >= MIN_CHECK_INS)]))


def _variation(batch: SeriesBatch) -> NDArray[np.float64]:
    """Return the coefficient of variation of the intervals of each series, infinite where none."""
    gaps = np.diff(batch.times, prepend=batch.times[:1]).astype(np.float64)
    starts = batch.offsets[:-1]
    sizes = np.diff(batch.offsets)
    filled = np.flatnonzero(sizes > 1)
    # The first event of a series has no interval.
    gaps[starts[sizes > 0]] = 0.0
    count = (sizes[filled] - 1).astype(np.float64)
    total = np.add.reduceat(gaps, starts[filled]) if len(filled) else count
    squares = np.add.reduceat(gaps * gaps, starts[filled]) if len(filled) else count
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean * mean, 0))
    variation = np.full(len(batch), np.inf)
    variation[filled] = spread / np.maximum(mean, 1.0)
    return variation


def _some(part: SeriesPart, chosen: NDArray[np.int64]) -> SeriesPart:
    """Return some series of a part, in order."""
    batch = part.batch
    sizes = np.diff(batch.offsets)[chosen]
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    begins = batch.offsets[:-1][chosen]
    events = np.repeat(begins - offsets[:-1], sizes) + np.arange(offsets[-1])
    columns = (np.take(c, events) for c in (batch.times, batch.bytes_out, batch.bytes_in))
    return SeriesPart(part.rows[chosen], SeriesBatch(offsets, *columns))
