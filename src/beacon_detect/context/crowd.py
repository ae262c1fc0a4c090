"""How many internal hosts talk to each destination, and since when: columns of pairs in, columns out.

The one count behind prevalence and first seen, for the server's pairs and for a
hunt's. Limit: a host is an address; one behind several addresses counts as several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.records import address_words, hash_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Crowd:
    """What all pairs in sight say about some destinations."""

    hosts: int
    """Internal sources in all."""
    sources: NDArray[np.int64]
    """Internal sources of each destination."""
    first_seen: NDArray[np.int64]
    """When any source first talked to each destination; the largest number when none did."""


def address_ids(addresses: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return one number for each of ``(n, 16)`` addresses."""
    return hash_words(*address_words(addresses))


def crowd_of(
    wanted: NDArray[np.uint8],
    src: NDArray[np.uint8],
    dst: NDArray[np.uint8],
    first_seen: NDArray[np.int64],
    internal: Callable[[NDArray[np.uint8]], NDArray[np.bool_]],
) -> Crowd:
    """Count the sources of destinations over all pairs.

    Parameters
    ----------
    wanted
        Destinations asked about, shape ``(m, 16)``; the answer is in their order.
    src, dst
        Addresses of every pair, shape ``(n, 16)``.
    first_seen
        First sight of every pair, shape ``(n,)``.
    internal
        Tells which addresses are in the operator's networks.
    """
    talkers = address_ids(src)
    sources, first = np.unique(talkers, return_index=True)
    hosts = sources[internal(src[first])]
    places, place_of = np.unique(address_ids(wanted), return_inverse=True)
    seen = np.full(len(places), np.iinfo(np.int64).max)
    if not len(places):
        return Crowd(len(hosts), np.zeros(0, np.int64), seen)
    destinations = address_ids(dst)
    at = np.minimum(np.searchsorted(places, destinations), len(places) - 1)
    rows = np.flatnonzero(places[at] == destinations)
    np.minimum.at(seen, at[rows], first_seen[rows])
    counted = rows[np.isin(talkers[rows], hosts)]
    host = np.searchsorted(hosts, talkers[counted])
    # A pair of numbers as one: both are below the number of pairs, far from 2**31 each.
    both = np.unique(at[counted] * max(len(hosts), 1) + host)
    counts = np.bincount(both // max(len(hosts), 1), minlength=len(places))
    return Crowd(len(hosts), counts[place_of], seen[place_of])
