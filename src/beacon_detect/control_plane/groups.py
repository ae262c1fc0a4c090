"""Groups of pairs: one name behind many addresses is one destination, and one series.

Content networks, round robin and fast flux spread a beacon over addresses, so
that no pair shows its rhythm. Pairs of one source (or of one program of a
host) with one destination name are therefore merged, out of the events that
the working set holds anyway. A group is told only where it says more than its
pairs do (:func:`says_more`), and pairs that it explains are not told beside it
(:class:`Cover`). Limit: a pair has one name and one process, the newest;
where an address serves several names, their traffic is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.grouping import group_series, keep_newest
from beacon_detect.control_plane import ragged
from beacon_detect.control_plane.working_set import SeriesGroup, SeriesKind
from beacon_detect.records import address_words, hash_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.pairs import PairColumns, PairSummary
    from beacon_detect.control_plane.working_set import WorkingSet

    Hidden = Callable[[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16]], NDArray[np.bool_]]

GROUP_KINDS = (SeriesKind.NAME, SeriesKind.PROCESS)
"""In the order in which they are looked at: of two that say the same, the name is told."""

GROUP_SERIES = frozenset(kind.name.lower() for kind in GROUP_KINDS)
"""What findings of groups have as their ``series``."""

MAX_GROUP_PAIRS = 1024
MAX_GROUP_EVENTS = 200_000
"""Most pairs and events that are merged into one series, the newest pairs first."""

CLEARLY = 0.1
"""A difference of scores that counts: the width of a severity."""


def group_keys(columns: PairColumns, kind: SeriesKind) -> NDArray[np.uint64]:
    """Return the key of the group that each pair belongs to, 0 where it belongs to none.

    Fixed for ever: ids of findings depend on it. A ``NAME`` group is a source
    address and a name; a ``PROCESS`` group a sensor, a container, a program
    (its path; its process name where no path is known) and a name.
    """
    name, text = columns.name, columns.keys
    if kind == SeriesKind.NAME:
        keys = hash_words(*address_words(columns.src), text[name])
        return np.where(name != 0, keys, np.uint64(0))
    program = np.where(columns.executable != 0, columns.executable, columns.process)
    keys = hash_words(text[columns.sensor], text[columns.container], text[program], text[name])
    return np.where((name != 0) & (program != 0), keys, np.uint64(0))


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of one kind, with their pairs as a ragged array."""

    kind: SeriesKind
    keys: NDArray[np.uint64]
    """Ascending."""
    offsets: NDArray[np.int64]
    """The pairs of group ``i`` are ``members[offsets[i]:offsets[i + 1]]``."""
    members: NDArray[np.int64]
    """Rows of the pair columns, the newest pair of a group first."""

    def __len__(self) -> int:
        """Count the groups."""
        return len(self.keys)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The group of each of ``members``."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def of(self, group: int) -> NDArray[np.int64]:
        """Return the rows of the pairs of one group."""
        return self.members[self.offsets[group] : self.offsets[group + 1]]

    def take(self, chosen: NDArray[np.int64]) -> Groups:
        """Return some of the groups, given by ascending position."""
        lengths = np.diff(self.offsets)[chosen]
        rows = ragged.positions(self.offsets[chosen], lengths)
        return replace(
            self,
            keys=self.keys[chosen],
            offsets=ragged.offsets_of(lengths),
            members=self.members[rows],
        )

    def keep(self, members: NDArray[np.bool_]) -> Groups:
        """Return the groups with some of their pairs only."""
        kept = ragged.offsets_of(members)
        return replace(self, offsets=kept[self.offsets], members=self.members[members])


def find_groups(columns: PairColumns, touched: NDArray[np.uint64], hidden: Hidden) -> list[Groups]:
    """Return the groups of more than one pair that have a touched one, a :class:`Groups` a kind.

    Parameters
    ----------
    columns
        Every pair in sight.
    touched
        Ids of the pairs with new events.
    hidden
        Given sources, destinations and ports, says which pairs are whitelisted; they
        belong to no group.
    """
    if not len(touched) or not (columns.name != 0).any():
        return []
    new = np.isin(columns.ids, touched)
    keys = {kind: group_keys(columns, kind) for kind in GROUP_KINDS}
    found = [_groups_of(kind, keys[kind], new, columns, hidden) for kind in GROUP_KINDS]
    by_name, by_process = found
    return [by_name, _without_twins(by_process, by_name, keys[SeriesKind.NAME])]


def _groups_of(
    kind: SeriesKind,
    keys: NDArray[np.uint64],
    new: NDArray[np.bool_],
    columns: PairColumns,
    hidden: Hidden,
) -> Groups:
    rows = np.flatnonzero((keys != 0) & np.isin(keys, np.unique(keys[new])))
    rows = rows[~hidden(columns.src[rows], columns.dst[rows], columns.dst_port[rows])]
    rows = rows[np.lexsort((columns.ids[rows], -columns.last_seen[rows], keys[rows]))]
    distinct, lengths = np.unique(keys[rows], return_counts=True)
    groups = Groups(kind, distinct, ragged.offsets_of(lengths), rows)
    return groups.take(np.flatnonzero(lengths > 1))


def _without_twins(groups: Groups, others: Groups, keys: NDArray[np.uint64]) -> Groups:
    """Leave out the groups that have exactly the pairs of one of ``others``."""
    if not len(groups) or not len(others):
        return groups
    first = keys[groups.members[groups.offsets[:-1]]]
    one = np.logical_and.reduceat(keys[groups.members] == first[groups.owners], groups.offsets[:-1])
    at = np.minimum(np.searchsorted(others.keys, first), len(others) - 1)
    known = others.keys[at] == first
    twin = one & known & (np.diff(groups.offsets) == np.diff(others.offsets)[at])
    return groups.take(np.flatnonzero(~twin))


def with_events(groups: Groups, events: NDArray[np.int64], least: int) -> Groups:
    """Return the groups that are worth a merge, within the bounds on their size.

    Parameters
    ----------
    groups
        What :func:`find_groups` found.
    events
        How many events are held of each of ``groups.members``.
    least
        Groups with fewer events are left out, and so are those in which only one
        pair has any.
    """
    used = groups.keep(events > 0)
    sizes = events[events > 0]
    before = ragged.offsets_of(sizes)
    rank = np.arange(len(sizes)) - used.offsets[:-1][used.owners]
    earlier = before[:-1] - before[used.offsets[:-1]][used.owners]
    inside = (rank < MAX_GROUP_PAIRS) & (earlier < MAX_GROUP_EVENTS)
    total = np.diff(before[used.offsets])
    bounded = used.keep(inside)
    return bounded.take(np.flatnonzero((np.diff(bounded.offsets) > 1) & (total >= least)))


def pieces(groups: Groups, events: NDArray[np.int64], most: int) -> Iterator[Groups]:
    """Yield the groups some at a time, each time until they reach ``most`` events.

    Parameters
    ----------
    groups
        The groups to divide.
    events
        How many events are held of each of ``groups.members``.
    most
        A bound on memory; the last group of a piece may pass it by its own size.
    """
    ends = ragged.offsets_of(events)[groups.offsets]
    low = 0
    while low < len(groups):
        high = int(np.searchsorted(ends, ends[low] + most, side="left"))
        high = min(max(high, low + 1), len(groups))
        yield groups.take(np.arange(low, high))
        low = high


def merge(
    groups: Groups, columns: PairColumns, working_set: WorkingSet, series_length: int
) -> SeriesGroup:
    """Return the merged series of the groups, in their order; ``pair_ids`` are their keys."""
    held = working_set.gather(columns.ids[groups.members])
    owners = owners_of(held, groups, columns)
    batch = keep_newest(group_series(held.batch, owners, len(groups)), series_length)
    return SeriesGroup(groups.keys, np.full(len(groups), groups.kind, np.uint8), batch)


def owners_of(held: SeriesGroup, groups: Groups, columns: PairColumns) -> NDArray[np.int64]:
    """Return the group of each series, for pairs that are in one group each."""
    ids = columns.ids[groups.members]
    order = np.argsort(ids)
    return groups.owners[order[np.searchsorted(ids[order], held.pair_ids)]]


@dataclass(frozen=True, slots=True)
class Rivals:
    """What else could be told instead of each group."""

    best: NDArray[np.float64]
    """Highest score of any of its pairs, or of a group told before that shares pairs."""
    several: NDArray[np.bool_]
    """Whether two of its pairs or more would be told, and none has been yet."""


def says_more(scores: NDArray[np.float64], rivals: Rivals) -> NDArray[np.bool_]:
    """Return which groups are to be told: the rule that keeps lists from doubling.

    A group is told where its score is clearly above the best of its pairs; or
    where it is about as high, and stands for several pairs that have not been
    told yet.
    """
    replaces = rivals.several & (scores > rivals.best - CLEARLY)
    told: NDArray[np.bool_] = (scores >= rivals.best + CLEARLY) | replaces
    return told


def told_scores(
    findings: Iterable[Finding], kind: SeriesKind, keys: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return the current score of the finding of each group, 0 where none is told."""
    known = {f.pair_id: f.current_score for f in findings if f.series == kind.name.lower()}
    if not known:
        return np.zeros(len(keys))
    wanted = np.array(sorted(known), np.uint64)
    scores = np.array([known[key] for key in wanted.tolist()])
    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.where(wanted[at] == keys, scores[at], 0.0)


@dataclass(frozen=True, slots=True)
class Cover:
    """Pairs that belong to a group which has been told, and the highest score it explains."""

    ids: NDArray[np.uint64]
    """Ascending."""
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, findings: Iterable[Finding], columns: PairColumns, least: float) -> Cover:
        """Return what is covered by the findings of groups that now score ``least`` or more."""
        ids, scores = [np.zeros(0, np.uint64)], [np.zeros(0)]
        grouped = [f for f in findings if f.series in GROUP_SERIES]
        for kind in GROUP_KINDS:
            explained = told_scores(grouped, kind, group_keys(columns, kind))
            rows = np.flatnonzero(explained >= least)
            ids.append(columns.ids[rows])
            scores.append(explained[rows])
        joined, score = np.concatenate(ids), np.concatenate(scores)
        order = np.lexsort((score, joined))
        # The last of equal ids has the highest score.
        last = np.append(np.diff(joined[order]) != 0, True)[: len(order)]
        return cls(joined[order][last], score[order][last])

    def hides(self, pair_ids: NDArray[np.uint64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which pairs say nothing that their group does not say as well."""
        if not len(self.ids):
            return np.zeros(len(pair_ids), np.bool_)
        at = np.minimum(np.searchsorted(self.ids, pair_ids), len(self.ids) - 1)
        hidden: NDArray[np.bool_] = (self.ids[at] == pair_ids) & (
            scores < self.scores[at] + CLEARLY
        )
        return hidden


def sum_up(key: int, pairs: Sequence[PairSummary]) -> PairSummary:
    """Return the pairs of a group as if they were one; its address is that of the busiest pair."""
    busiest = min(pairs, key=lambda pair: (-pair.connections, pair.dst, pair.dst_port))
    newest_first = sorted(pairs, key=lambda pair: -pair.last_seen)
    newest = next((pair for pair in newest_first if pair.process), newest_first[0])
    return replace(
        busiest,
        pair_id=key,
        src=newest_first[0].src,
        connections=sum(pair.connections for pair in pairs),
        first_seen=min(pair.first_seen for pair in pairs),
        last_seen=newest_first[0].last_seen,
        bytes_out=sum(pair.bytes_out for pair in pairs),
        bytes_in=sum(pair.bytes_in for pair in pairs),
        pid=newest.pid,
        process=newest.process,
        executable=newest.executable,
        container=newest.container,
        sensor=newest_first[0].sensor,
        addresses=len({pair.dst for pair in pairs}),
    )


def pairs_behind(finding: Finding, columns: PairColumns) -> NDArray[np.uint64]:
    """Return the ids of the pairs that a finding is about."""
    if finding.series not in GROUP_SERIES:
        return np.array([finding.pair_id], np.uint64)
    keys = group_keys(columns, SeriesKind[finding.series.upper()])
    ids: NDArray[np.uint64] = columns.ids[keys == np.uint64(finding.pair_id)]
    return ids
