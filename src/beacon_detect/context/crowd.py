"""How many internal hosts talk to each destination, and since when: columns of pairs in, columns out.

The one count behind prevalence and first seen, for the server's pairs and for a
hunt's. A destination with a name is the name: all its addresses together, but not
what else an address serves. Limit: a host is an address; one behind several
addresses counts as several.
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
    *,
    wanted_names: NDArray[np.uint64] | None = None,
    names: NDArray[np.uint64] | None = None,
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
    wanted_names, names
        A number for the name of each destination asked about and of each pair, 0 where
        none is known. A named destination has the pairs of its name, and those without
        a name to an address where the name was seen; where no pair has its name, those
        of its address.
    """
    talkers = address_ids(src)
    sources, first = np.unique(talkers, return_index=True)
    hosts = sources[internal(src[first])]
    known = np.zeros(len(src), np.uint64) if names is None else names
    asked = np.zeros(len(wanted), np.uint64) if wanted_names is None else wanted_names
    asked = np.where(np.isin(asked, known), asked, np.uint64(0))
    places, place_of = np.unique(
        np.where(asked != 0, asked, address_ids(wanted)), return_inverse=True
    )
    seen = np.full(len(places), np.iinfo(np.int64).max)
    if not len(places):
        return Crowd(len(hosts), np.zeros(0, np.int64), seen)
    at, rows = _visits(places, address_ids(dst), known)
    np.minimum.at(seen, at, first_seen[rows])
    counted = np.isin(talkers[rows], hosts)
    host = np.searchsorted(hosts, talkers[rows[counted]])
    # A pair of numbers as one: both are below the number of pairs, far from 2**31 each.
    both = np.unique(at[counted] * max(len(hosts), 1) + host)
    counts = np.bincount(both // max(len(hosts), 1), minlength=len(places))
    return Crowd(len(hosts), counts[place_of], seen[place_of])


def _visits(
    places: NDArray[np.uint64], addresses: NDArray[np.uint64], names: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of ``places`` (ascending addresses and names) each pair visits, as (place, pair)."""
    by_address = _found(places, addresses)
    by_name = _found(places, names)
    named, unnamed = by_name[1], np.flatnonzero(names == 0)
    # Where a name was seen, pairs without one may well be the name's.
    seen_at = np.unique(np.stack([addresses[named], by_name[0].astype(np.uint64)]), axis=1)
    first = np.searchsorted(seen_at[0], addresses[unnamed])
    count = np.searchsorted(seen_at[0], addresses[unnamed], side="right") - first
    rows = np.repeat(unnamed, count)
    steps = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    guessed = seen_at[1][np.repeat(first, count) + steps].astype(np.int64)
    return (
        np.concatenate([by_address[0], by_name[0], guessed]),
        np.concatenate([by_address[1], named, rows]),
    )


def _found(
    places: NDArray[np.uint64], ids: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (place, row) of the ids that are among ``places``; 0 never is."""
    at = np.minimum(np.searchsorted(places, ids), len(places) - 1)
    rows = np.flatnonzero((places[at] == ids) & (ids != 0))
    return at[rows], rows
