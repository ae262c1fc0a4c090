"""One look at the groups of pairs: merge their series, measure them, say which are to be told.

The rules are those of ``groups``; this is where they meet the working set, the
pair table and the findings so far. Only groups with new events are looked at,
a bounded number of events at a time, and the pairs of a group are measured
again only where the group might be told for the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.control_plane.detector import judge
from beacon_detect.control_plane.findings import finding_ids, silence_limits
from beacon_detect.control_plane.groups import (
    GROUP_KINDS,
    Rivals,
    find_groups,
    group_keys,
    merge,
    owners_of,
    pieces,
    says_more,
    sum_up,
    told_scores,
    with_events,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from beacon_detect.analysis import Settings
    from beacon_detect.control_plane.detector import Judgement
    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.groups import Groups, Hidden
    from beacon_detect.control_plane.pairs import PairColumns, PairSummary, PairTable
    from beacon_detect.control_plane.working_set import SeriesGroup, WorkingSet


@dataclass(frozen=True, slots=True)
class GroupScan:
    """What a look at the groups needs to know."""

    columns: PairColumns
    pairs: PairTable
    working_set: WorkingSet
    settings: Settings
    threshold: float
    """Score from which a series is kept as a finding."""
    least_events: int
    series_length: int
    """Newest events of a group that are analyzed."""

    def pieces(
        self, touched: NDArray[np.uint64], hidden: Hidden, most_events: int
    ) -> Iterator[Groups]:
        """Yield the groups that have a touched pair, some at a time, names before processes.

        Parameters
        ----------
        touched
            Ids of the pairs with new events.
        hidden
            Says which pairs are whitelisted.
        most_events
            Events merged at a time.
        """
        from beacon_detect.analysis import warm_up

        for groups in find_groups(self.columns, touched, hidden):
            kept = with_events(groups, self._held(groups), self.least_events)
            events = self._held(kept)
            if events.sum() > most_events:
                # Each piece alone would not be worth the compiled code, all of them are.
                warm_up()
            yield from pieces(kept, events, most_events)

    def _held(self, groups: Groups) -> NDArray[np.int64]:
        return self.working_set.sizes(self.columns.ids[groups.members])

    def judge(self, groups: Groups, findings: Mapping[str, Finding], now_ns: int) -> Judgement:
        """Return the findings of some groups, new and updated.

        Parameters
        ----------
        groups
            A piece of :meth:`pieces`.
        findings
            All findings so far, by id.
        now_ns
            Wall time, ns.
        """
        from beacon_detect.analysis import analyze, evidence

        group = merge(groups, self.columns, self.working_set, self.series_length)
        results = analyze(group.batch, self.settings)
        ids = finding_ids(group.pair_ids, group.kinds)
        beacon = (results.abstained == 0) & (results.score >= self.threshold)
        fresh = np.array([row for row in np.flatnonzero(beacon) if ids[row] not in findings], int)
        untold = np.zeros(len(group), np.bool_)
        if fresh.size:
            rivals = self._rivals(groups.take(fresh), findings)
            untold[fresh] = ~says_more(results.score[fresh], rivals)
        place = {key: row for row, key in enumerate(group.pair_ids.tolist())}
        return judge(
            group,
            results,
            describe=lambda key: self._describe(key, groups.of(place[key])),
            explain=evidence,
            previous=findings,
            threshold=self.threshold,
            now_ns=now_ns,
            untold=untold,
        )

    def _rivals(self, groups: Groups, findings: Mapping[str, Finding]) -> Rivals:
        """Measure what else could be told of the same traffic."""
        from beacon_detect.analysis import analyze

        held = self.working_set.gather(self.columns.ids[groups.members])
        results = analyze(held.batch, self.settings)
        owners = owners_of(held, groups, self.columns)
        # A pair with too few events for a finding of its own is no rival.
        able = (results.abstained == 0) & (np.diff(held.batch.offsets) >= self.least_events)
        able &= _is_active(held, owners, results.interval)
        scores = np.where(able, results.score, 0.0)
        best = np.zeros(len(groups))
        np.maximum.at(best, owners, scores)
        several = _pairs_of(held, owners, scores >= self.threshold, len(groups)) > 1
        known = np.array([i in findings for i in finding_ids(held.pair_ids, held.kinds)], np.bool_)
        told = np.bincount(owners[known & able], minlength=len(groups)) > 0
        for kind in GROUP_KINDS:
            if kind != groups.kind:
                keys = group_keys(self.columns, kind)[groups.members]
                np.maximum.at(best, groups.owners, told_scores(findings.values(), kind, keys))
        return Rivals(best, several & ~told)

    def _describe(self, key: int, rows: NDArray[np.int64]) -> PairSummary | None:
        pairs = [pair for pair in self.pairs.describe_all(self.columns.ids[rows]) if pair]
        return sum_up(key, pairs) if pairs else None


def _is_active(
    held: SeriesGroup, owners: NDArray[np.int64], interval: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which series go on as long as their group does; who moved away has fallen silent."""
    last = np.full(len(held), np.iinfo(np.int64).min)
    filled = np.diff(held.batch.offsets) > 0
    last[filled] = held.batch.times[held.batch.offsets[1:][filled] - 1]
    newest = np.full(int(owners.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(newest, owners, last)
    active: NDArray[np.bool_] = filled & (last >= newest[owners] - silence_limits(interval))
    return active


def _pairs_of(
    held: SeriesGroup, owners: NDArray[np.int64], chosen: NDArray[np.bool_], groups: int
) -> NDArray[np.int64]:
    """Count the pairs of each group that have a chosen series."""
    _, first = np.unique(held.pair_ids[chosen], return_index=True)
    return np.bincount(owners[chosen][first], minlength=groups)
