"""Series that belong together, merged into one: whoever rotates destinations keeps one rhythm.

A beacon dealt over many addresses leaves a thin series at each of them, and
none may be regular; side by side in the order of time they are the beacon
again.  Pure array operations over all series at once.  Limit: what is merged
is taken at its word; unrelated traffic in a group hides the rhythm in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.types import SeriesBatch

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Integers

NO_GROUP = -1
"""Key of a series that belongs to no group."""


def group_series(batch: SeriesBatch, keys: Integers, groups: int) -> SeriesBatch:
    """Merge series by key; every group's events in the order of time.

    Events of one moment are put in the order of their sizes, so that the result
    does not depend on the order of the series.

    Parameters
    ----------
    batch
        The series.
    keys
        Group of each series, ``0`` to ``groups - 1`` or :data:`NO_GROUP`; shape ``(len(batch),)``.
    groups
        Number of groups.

    Returns
    -------
    SeriesBatch
        One series for each group, in the order of the keys; empty where it has no events.
    """
    owners = np.repeat(keys, np.diff(batch.offsets))
    order = _by_time(owners, batch.times, groups)
    order = order[np.searchsorted(owners[order], 0) :]
    tied = _tied(owners[order], batch.times[order])
    if tied.size:
        rows = order[tied]
        columns = (batch.bytes_in, batch.bytes_out, batch.times, owners)
        order[tied] = rows[np.lexsort([column[rows] for column in columns])]
    offsets = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(owners[order], minlength=groups), out=offsets[1:])
    return SeriesBatch(offsets, batch.times[order], batch.bytes_out[order], batch.bytes_in[order])


def _by_time(owners: Integers, times: Integers, groups: int) -> Integers:
    """Return the order of events by group, then time."""
    first = int(times.min(initial=0))
    span = int(times.max(initial=0)) - first + 1
    if span * (groups + 1) >= np.iinfo(np.int64).max:
        return np.lexsort((times, owners))
    # One key instead of two; a stable sort finds the runs, which the series are, and is
    # five times as fast.
    return np.argsort(owners * span + (times - first), kind="stable")


def _tied(owners: Integers, times: Integers) -> Integers:
    """Return the places of ordered events that share their moment with another of their group."""
    same = (np.diff(times) == 0) & (np.diff(owners) == 0)
    tied: Integers = np.flatnonzero(np.append(same, False) | np.append(False, same))
    return tied[tied < len(times)]


def keep_newest(batch: SeriesBatch, most: int) -> SeriesBatch:
    """Return the series with at most their newest ``most`` events.

    Parameters
    ----------
    batch
        The series.
    most
        Events to keep of each, at least 1.
    """
    lengths = np.diff(batch.offsets)
    kept = np.minimum(lengths, most)
    if (kept == lengths).all():
        return batch
    offsets = np.zeros(len(batch) + 1, np.int64)
    np.cumsum(kept, out=offsets[1:])
    rows = np.arange(offsets[-1]) + np.repeat(batch.offsets[1:] - offsets[1:], kept)
    return SeriesBatch(offsets, batch.times[rows], batch.bytes_out[rows], batch.bytes_in[rows])
