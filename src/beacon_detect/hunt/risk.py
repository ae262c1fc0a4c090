"""From timing to risk in a hunt: what the files know around the scored pairs, put to the rules.

The same rules as on the server, over the same counts. Files know less: no
program, and no more history than they hold, so the rules that would need it are
silent. Limit: "now" is the end of the input, for first seen is counted back from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.context import Assessment, Facts, assess
from beacon_detect.context.crowd import crowd_of
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.context import ContextSettings
    from beacon_detect.control_plane.whitelist import Networks
    from beacon_detect.hunt.pair_table import PairTable


SILENCE = 7 * 86_400 * SECOND
"""So long without any traffic (ns), and nobody was watching."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The pairs to weigh, as columns of equal length."""

    places: NDArray[np.int64]
    """Rows of the pair table."""
    src: Sequence[str]
    dst: Sequence[str]
    names: Sequence[str]
    """Name of each destination, empty where none is known."""
    size_regularity: NDArray[np.float64]
    """0 to 1."""
    parallel: NDArray[np.float64]
    """Connections at one check-in; 1 for bursts inside open connections."""
    side_by_side: NDArray[np.float64]
    """Share of the connections that began beside one still open; NaN for other series, and
    where nobody knows."""


def weigh(
    candidates: Candidates,
    scores: NDArray[np.float64],
    pairs: PairTable,
    internal: Networks,
    settings: ContextSettings,
    names: NDArray[np.int32] | None = None,
) -> list[Assessment]:
    """Return risk and reasons of each pair.

    Parameters
    ----------
    candidates
        The pairs to weigh.
    scores
        Their timing scores, 0 to 1.
    pairs
        Every pair of the input.
    internal
        The operator's networks.
    settings
        Which rules speak.
    names
        A number for the name of every pair, -1 where none is known.
    """
    if not settings.enabled:
        return [Assessment(score, ()) for score in scores.tolist()]
    known = facts_of(candidates, pairs, internal, names)
    return [assess(score, facts, settings) for score, facts in zip(scores.tolist(), known, strict=True)]  # fmt: skip


def _watched_since(first: NDArray[np.int64], last: NDArray[np.int64]) -> int:
    """Return since when there was no week without any traffic (ns).

    Captures of different years in one hunt, or one packet stamped 1970, are no
    decades of watching.
    """
    order = np.argsort(first)
    begins, ends = first[order], np.maximum.accumulate(last[order])
    after = np.flatnonzero(begins[1:] - ends[:-1] > SILENCE)
    return int(begins[after[-1] + 1 if len(after) else 0])


def facts_of(
    candidates: Candidates,
    pairs: PairTable,
    internal: Networks,
    names: NDArray[np.int32] | None = None,
) -> Iterator[Facts]:
    """Yield what the input knows around each pair, one at a time: there may be very many."""
    if not len(candidates.places):
        return
    src, dst, first = (pairs.column(name) for name in ("src", "dst", "first_seen"))
    places = candidates.places
    # Numbers of names begin at 0, which the count takes for no name.
    named = None if names is None else (names + 1).astype(np.uint64)
    asked = None if named is None else named[places]
    crowd = crowd_of(
        dst[places], src, dst, first, internal.contain, wanted_names=asked, names=named
    )
    now = int(pairs.column("last_seen").max())
    begin = _watched_since(first, pairs.column("last_seen"))
    watched = (now - begin) / SECOND
    # What was seen before is no newer than the watching, and nobody knows since when it is there.
    ages = (now - np.maximum(crowd.first_seen, begin)) / SECOND
    columns = zip(
        candidates.src, candidates.dst, candidates.names,
        pairs.column("dst_port")[places].tolist(), pairs.column("protocol")[places].tolist(),
        internal.contain(src[places]).tolist(), internal.contain(dst[places]).tolist(),
        crowd.sources.tolist(), ages.tolist(),
        # Many logs carry no sizes; all zero is not "all alike".
        np.where(pairs.column("bytes_out")[places] > 0, candidates.size_regularity, np.nan).tolist(),
        candidates.parallel.tolist(), candidates.side_by_side.tolist(), strict=True,
    )  # fmt: skip
    for row in columns:
        src_text, dst_text, name, port, protocol, inside, to_inside, sources, age, alike, parallel, beside = row  # fmt: skip
        yield Facts(
            src=src_text, dst=dst_text, name=name, dst_port=port, protocol=protocol,
            src_internal=inside, dst_internal=to_inside,
            sources=sources, hosts=crowd.hosts, age=age, watched=watched,
            connections_per_check_in=parallel, side_by_side=None if math.isnan(beside) else beside,
            size_regularity=None if math.isnan(alike) else alike,
        )  # fmt: skip
