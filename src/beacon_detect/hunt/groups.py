"""One name behind many addresses in a hunt: merged, scored, and told where it says more.

The same idea and the same rule as on the server (``control_plane.groups``): pairs
of one source with one destination name are one series too, so that a beacon
which rotates over addresses is one row. Limit: files know no processes, and a
pair has one name, the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import MIN_CHECK_INS
from beacon_detect.analysis.grouping import NO_GROUP
from beacon_detect.context.crowd import address_ids
from beacon_detect.control_plane.findings import silence_limits
from beacon_detect.control_plane.groups import CLEARLY, Rivals, says_more
from beacon_detect.hunt.event_log import merged_series
from beacon_detect.records import hash_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.hunt.collector import Collector
    from beacon_detect.hunt.event_log import SeriesPart

LEAST_SCORE = 0.5
"""Score below which a group is never told."""


@dataclass(frozen=True, slots=True)
class NameGroups:
    """Pairs of one source and one name, where there are several, with enough events together."""

    labels: NDArray[np.int32]
    """Group of each pair, by row of the pair table; ``NO_GROUP`` for most."""
    count: int

    @classmethod
    def of(cls, collector: Collector) -> NameGroups:
        """Find the groups."""
        names = name_codes(collector)
        named = np.flatnonzero(names >= 0)
        keys = hash_words(address_ids(collector.pairs.column("src")[named]), names[named])
        _, number, pairs = np.unique(keys, return_inverse=True, return_counts=True)
        events = collector.pairs.column("connections") + collector.pairs.column("bursts")
        total = np.bincount(number, weights=events[named], minlength=len(pairs))
        wanted = (pairs > 1) & (total >= MIN_CHECK_INS)
        numbers = np.where(wanted, np.cumsum(wanted) - 1, NO_GROUP).astype(np.int32)
        labels = np.full(len(names), NO_GROUP, np.int32)
        labels[named] = numbers[number]
        return cls(labels, int(wanted.sum()))

    def series(
        self, collector: Collector, hurry: Callable[[], bool] = lambda: False
    ) -> Iterator[SeriesPart]:
        """Yield the series of the groups, connections and bursts alike."""
        return merged_series(collector.logs.values(), self.labels, hurry=hurry)

    def members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs of all groups (rows of the pair table) and the group of each."""
        rows = np.flatnonzero(self.labels != NO_GROUP)
        return rows, self.labels[rows].astype(np.int64)


def merged_events(
    collector: Collector, members: Sequence[Sequence[int]]
) -> dict[int, tuple[NDArray[np.int64], ...]]:
    """Return times, bytes out and bytes in of some pairs taken together, by position in ``members``.

    Parameters
    ----------
    collector
        What was read.
    members
        Rows of the pair table that belong together; no row twice.
    """
    labels = np.full(len(collector.pairs), NO_GROUP, np.int32)
    for number, rows in enumerate(members):
        labels[list(rows)] = number
    found = {}
    for part in merged_series(collector.logs.values(), labels, minimum=1):
        columns = (part.batch.times, part.batch.bytes_out, part.batch.bytes_in)
        for i, number in enumerate(part.rows.tolist()):
            low, high = part.batch.offsets[i : i + 2]
            found[number] = tuple(column[low:high] for column in columns)
    return found


def name_codes(collector: Collector) -> NDArray[np.int32]:
    """Return a number for the name of every pair of the input, -1 where none is known."""
    keys = (collector.pairs.column(name) for name in ("src", "dst", "dst_port", "protocol"))
    return collector.names.codes(*keys)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Which groups are told, and which pairs they explain."""

    told: NDArray[np.bool_]
    """Of each group."""
    covered: NDArray[np.bool_]
    """Of each scored pair."""


def judge(
    groups: NameGroups,
    collector: Collector,
    scores: NDArray[np.float64],
    pairs: NDArray[np.int64],
    pair_scores: NDArray[np.float64],
    intervals: NDArray[np.float64],
) -> Verdicts:
    """Return which groups say more than their pairs.

    Parameters
    ----------
    groups
        The groups.
    collector
        Every pair.
    scores
        Score of each group, 0 where it has none.
    pairs, pair_scores, intervals
        The pairs that were scored (rows of the pair table), their scores and intervals (s).
    """
    label = groups.labels[pairs]
    own = np.flatnonzero(label != NO_GROUP)
    group = label[own]
    last = collector.pairs.column("last_seen")
    newest = np.full(groups.count, np.iinfo(np.int64).min)
    np.maximum.at(newest, groups.labels[groups.members()[0]], last[groups.members()[0]])
    # Who moved away has fallen silent, and is no rival of where the beacon went.
    limit = silence_limits(intervals[own])
    rival = np.where(last[pairs[own]] >= newest[group] - limit, pair_scores[own], 0.0)
    best = np.zeros(groups.count)
    np.maximum.at(best, group, rival)
    several = np.bincount(group[rival >= LEAST_SCORE], minlength=groups.count) > 1
    told = (scores >= LEAST_SCORE) & says_more(scores, Rivals(best, several))
    covered = np.zeros(len(pairs), np.bool_)
    covered[own] = told[group] & (pair_scores[own] < scores[group] + CLEARLY)
    return Verdicts(told, covered)
