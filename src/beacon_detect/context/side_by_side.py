"""Connections that one pair has open beside each other: columns of records in, counts out.

The one count behind parallel connections, for the server's records and for a
hunt's. A connection is side by side when it and the one of the same pair that
started before it were open at the same time and started within :data:`WITHIN` of
each other. Records come a part at a time; of each pair only the connection that
started last is remembered, and because the test knows no order, records that
arrive a little late are compared all the same. Limit: only with their neighbours
in the order of start, so a part that comes much later than it should counts too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WITHIN = 2 * SECOND
"""Connections that start further apart (ns) were not opened together: a poller whose requests
last longer than its interval opens one at a time."""
NEVER = np.iinfo(np.int64).min
"""When the last connection of a pair ended that had none: nothing is open beside it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What some records say, a row for each owner."""

    owners: NDArray[np.int64]
    """Ascending, each once."""
    connections: NDArray[np.int64]
    """How many it has among the records."""
    beside: NDArray[np.int64]
    """How many of them were side by side."""
    starts: NDArray[np.int64]
    """Start and end (ns) of the connection that started last; of several, the one that ended last."""
    ends: NDArray[np.int64]


def count_beside(
    owners: NDArray[np.integer],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    last: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Counted:
    """Count the connections that are side by side.

    Parameters
    ----------
    owners
        Whose each connection is, shape ``(n,)``, not negative. Owner and row are sorted
        as one number: below 2**40 while n is below 2**24.
    starts, ends
        ns on one clock. A connection without a duration is beside nothing.
    last
        Given owners, returns start and end of the connection of each that started
        last in the records before; an end of :data:`NEVER` where there was none.
    """
    if not len(owners):
        return Counted(*(np.zeros(0, np.int64) for _ in range(5)))
    owners, starts, ends = _in_order(owners, starts, ends)
    first = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    known = owners[first]
    before, until = np.empty_like(starts), np.empty_like(ends)
    before[1:], until[1:] = starts[:-1], ends[:-1]
    before[first], until[first] = last(known)
    together = np.maximum(starts, before) < np.minimum(ends, until)
    together &= np.abs(starts - before) < WITHIN
    beyond = np.append(first[1:], len(starts))
    # A sum of flags for each owner; without the type NumPy would only ask whether there is one.
    beside = np.add.reduceat(together, first, dtype=np.int64)
    return Counted(known, beyond - first, beside, starts[beyond - 1], ends[beyond - 1])


def _in_order(
    owners: NDArray[np.integer], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns by owner, start and end."""
    # Owner, start (as fine as there is room) and row as one number: to sort values, once, takes
    # half the time of sorting places by start and by owner.
    rows = len(owners).bit_length()
    since = (starts - starts.min()).view(np.uint64)
    span = int(since.max()).bit_length()
    fine = min(span, 64 - rows - int(owners.max()).bit_length())
    key = owners.astype(np.uint64)
    key <<= np.uint64(fine)
    key |= since >> np.uint64(span - fine)
    key <<= np.uint64(rows)
    key |= np.arange(len(key), dtype=np.uint64)
    key.sort()
    order = (key & np.uint64((1 << rows) - 1)).view(np.int64)
    key >>= np.uint64(rows)
    starts, ends = starts[order], ends[order]
    alike = key[1:] == key[:-1]
    late = (starts[1:] < starts[:-1]) | ((starts[1:] == starts[:-1]) & (ends[1:] < ends[:-1]))
    if (alike & late).any():
        near = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
        exact = near[np.lexsort((ends[near], starts[near], key[near]))]
        starts[near], ends[near] = starts[exact], ends[exact]
    key >>= np.uint64(fine)
    return key.view(np.int64), starts, ends


def share_beside(
    beside: NDArray[np.int64], finished: NDArray[np.int64], timed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return which share of each pair's connections is side by side, NaN where nobody knows.

    Parameters
    ----------
    beside, finished
        Its connections that are side by side, and all that are finished.
    timed
        Whether any of them has a duration: logs without durations hold zeros.
    """
    share: NDArray[np.float64] = np.where(timed, beside / np.maximum(finished, 1), np.nan)
    return share
