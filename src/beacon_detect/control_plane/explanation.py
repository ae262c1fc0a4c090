"""One pair explained out of what the control plane holds: measured now, judged as a pass would.

The events are those the analyzer has in memory (of the disk, where memory has
none), so an explanation and the next pass see the same. Nothing is stored or
told. Limit: at most ``control_plane.series_length`` of the newest events of a
series; work for a thread, tens of milliseconds and more with every pair in sight.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import Results, SeriesBatch, evidence
from beacon_detect.analysis.evidence import duration
from beacon_detect.analysis.explanation import SeriesExplanation, explain_series
from beacon_detect.analysis.grouping import group_series, keep_newest
from beacon_detect.context import Assessment
from beacon_detect.control_plane.detector import SERIES_NAMES, analysis_settings, judge
from beacon_detect.control_plane.findings import finding_ids
from beacon_detect.control_plane.groups import (
    GROUP_KINDS,
    GROUP_SERIES,
    group_keys,
    pairs_behind,
    sum_up,
)
from beacon_detect.control_plane.pair_choice import choose
from beacon_detect.control_plane.pairs import PairSummary
from beacon_detect.control_plane.risk import weigh
from beacon_detect.control_plane.verdict import Case, Verdict, decide
from beacon_detect.control_plane.whitelist import covering, pack_addresses
from beacon_detect.control_plane.working_set import SeriesGroup, SeriesKind
from beacon_detect.errors import NotFoundError
from beacon_detect.records import Protocol, hash_words, pack_address, pair_ids, protocol_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from beacon_detect.config import Config
    from beacon_detect.control_plane.findings import Finding, SeriesName
    from beacon_detect.control_plane.lifecycle import ControlPlane
    from beacon_detect.control_plane.pair_choice import PairQuery

MAX_SERVICES = 1000
"""Pairs of one source and destination that are looked through when no port is named."""
PAIR_KINDS = (SeriesKind.CONNECTIONS, SeriesKind.BURSTS)


@dataclass(frozen=True, slots=True)
class Subject:
    """The series to explain: of a pair, or of the pairs of a group."""

    key: int
    """Id of the pair, or key of the group."""
    kind: SeriesKind
    pairs: NDArray[np.uint64]
    summary: PairSummary

    @property
    def id(self) -> str:
        """The id that its finding has, or would have."""
        return finding_ids(np.array([self.key], np.uint64), np.array([self.kind]))[0]

    @property
    def series(self) -> SeriesName:
        """What its events are, in words."""
        return SERIES_NAMES[self.kind]


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of it; times in ns."""

    subject: Subject
    finding: Finding | None
    found: SeriesExplanation | None
    """None where no event of the series is left."""
    times: NDArray[np.int64]
    """On the clock that never steps."""
    wall: NDArray[np.int64]
    assessment: Assessment | None
    """None without a score."""
    evidence: str
    verdict: Verdict
    whitelisted_by: list[str]
    threshold: float


def subject_of(system: ControlPlane, identifier: str) -> Subject:
    """Return the series that an id means.

    Parameters
    ----------
    identifier
        Id of a finding, or of any series of a pair in sight; or the number of a pair.

    Raises
    ------
    NotFoundError
        There is none.
    """
    finding = system.analyzer.finding(identifier)
    if finding is not None:
        return subject_of_finding(system, finding)
    ids = system.pairs.columns().ids
    if len(identifier) == 16 and set(identifier) <= set("0123456789abcdef"):
        wanted = np.uint64(int(identifier, 16))
        for kind in PAIR_KINDS:
            hashes = hash_words(ids, np.full(len(ids), kind, np.uint64))
            for pair_id in ids[hashes == wanted].tolist():
                return _of_pair(system, pair_id, kind)
    if identifier.isdecimal() and int(identifier) < 1 << 64:
        summary = system.pairs.describe(int(identifier))
        if summary is not None:
            return subject_of_pair(system, summary)
    raise NotFoundError(
        f"there is no beacon or pair {identifier[:40]!r}",
        hint="findings are listed with their ids by `beacons -o json`; a pair can be named by"
        " source, destination and port",
    )


def subject_of_finding(system: ControlPlane, finding: Finding) -> Subject:
    """Return the series of a finding; its summary is the finding's where the pair is forgotten."""
    ids = pairs_behind(finding, system.pairs.columns())
    known = [pair for pair in system.pairs.describe_all(ids) if pair is not None]
    kind = SeriesKind[finding.series.upper()]
    if not known:
        return Subject(finding.pair_id, kind, ids, _summary_of(finding))
    grouped = finding.series in GROUP_SERIES
    summary = sum_up(finding.pair_id, known) if grouped else known[0]
    return Subject(finding.pair_id, kind, ids, summary)


def _summary_of(finding: Finding) -> PairSummary:
    names = {field.name for field in fields(PairSummary)} - {"protocol"}
    values = {name: getattr(finding, name) for name in names}
    return PairSummary(**values, protocol=protocol_number(finding.protocol))


def find_pair(system: ControlPlane, query: PairQuery) -> PairSummary:
    """Return the pair that a query means.

    Raises
    ------
    NotFoundError, SeveralPairsError
        None is meant, or more than one.
    """
    src, dst = pack_address(query.src), pack_address(query.dst)
    between: Sequence[PairSummary] = []
    if query.dst_port is not None:
        numbers = [query.protocol] if query.protocol is not None else [p.value for p in Protocol]
        ids = pair_ids(
            pack_addresses([query.src] * len(numbers)),
            pack_addresses([query.dst] * len(numbers)),
            np.full(len(numbers), query.dst_port),
            np.array(numbers),
        )
        between = [pair for pair in system.pairs.describe_all(ids) if pair is not None]
    if not between:
        between, _ = system.pairs.top(MAX_SERVICES, src=src, dst=dst)
    backwards = bool(system.pairs.top(1, src=dst, dst=src)[1])
    where = looked_at(system.settings.running)
    return choose(query, between, backwards=backwards, where=where)


def looked_at(config: Config) -> str:
    """Return for how long records are kept, in words."""
    return f"the last {duration(config.control_plane.data_retention)}"


def subject_of_pair(system: ControlPlane, pair: PairSummary) -> Subject:
    """Return the series of a pair that says most: with a finding, else with more events."""

    def weight(kind: SeriesKind) -> tuple[float, int]:
        subject = _of_pair(system, pair.pair_id, kind)
        finding = system.analyzer.finding(subject.id)
        held = system.working_set.series(pair.pair_id, kind)
        return (-1.0 if finding is None else finding.risk, len(held.times))

    return _of_pair(system, pair.pair_id, max(PAIR_KINDS, key=weight))


def _of_pair(system: ControlPlane, pair_id: int, kind: SeriesKind) -> Subject:
    summary = system.pairs.describe(pair_id)
    if summary is None:
        raise NotFoundError(f"the pair {pair_id} was forgotten a moment ago")
    return Subject(pair_id, kind, np.array([pair_id], np.uint64), summary)


def explain(system: ControlPlane, subject: Subject, now_ns: int) -> Explained:
    """Measure a series now and judge it.

    Parameters
    ----------
    system
        The running control plane.
    subject
        The series.
    now_ns
        Wall time, ns.
    """
    config = system.settings.running
    batch, wall = _events(system, subject, config.control_plane.series_length)
    finding = system.analyzer.finding(subject.id)
    pair = subject.summary
    entries = covering(config.whitelist, pair.src, pair.dst, pair.dst_port)
    settings = analysis_settings(config.detection)
    found, judged = None, None
    if len(wall):
        found = explain_series(batch.times, batch.bytes_out, batch.bytes_in, settings)
        judged = _judged(system, subject, batch, found, now_ns)
    assessment = None if judged is None else Assessment(judged.risk, judged.reasons)
    threshold = config.detection.alert_threshold
    verdict = decide(
        Case(
            found=found,
            settings=settings,
            threshold=threshold,
            where=looked_at(config),
            assessment=assessment,
            flagged_risk=None if finding is None else finding.risk,
            whitelisted_by=entries,
            least_events=config.detection.min_connections,
            told_with="" if finding is not None else _told_with(system, subject, threshold),
            pass_after=config.detection.analysis_interval,
        )
    )
    return Explained(
        subject=subject,
        finding=finding,
        found=found,
        times=batch.times,
        wall=wall,
        assessment=assessment,
        evidence="" if judged is None else judged.evidence,
        verdict=verdict,
        whitelisted_by=entries,
        threshold=threshold,
    )


def _events(
    system: ControlPlane, subject: Subject, limit: int
) -> tuple[SeriesBatch, NDArray[np.int64]]:
    """Return the newest events as a batch of one series, and the wall time of each."""
    table = system.store.series(subject.pairs.tolist(), subject.series, limit)
    steady, wall, out, received = (
        np.asarray(table.column(name)).astype(np.int64)
        for name in ("series_time", "time", "bytes_out", "bytes_in")
    )
    batch = _held(system, subject, limit)
    if not len(batch.times):
        return SeriesBatch(np.array([0, len(steady)]), steady, out, received), wall
    if not len(steady):
        return batch, batch.times - batch.times[-1] + subject.summary.last_seen
    # The two clocks differ by a constant from boot to boot: that of the record at hand.
    at = np.minimum(np.searchsorted(steady, batch.times), len(steady) - 1)
    return batch, batch.times + (wall - steady)[at]


def _held(system: ControlPlane, subject: Subject, limit: int) -> SeriesBatch:
    """Return the events that the analyzer has in memory, as a batch of one series."""
    if subject.kind in PAIR_KINDS:
        return system.working_set.series(subject.key, subject.kind)
    held = system.working_set.gather(subject.pairs)
    merged = group_series(held.batch, np.zeros(len(held), np.int64), 1)
    return keep_newest(merged, limit)


def _judged(
    system: ControlPlane,
    subject: Subject,
    batch: SeriesBatch,
    found: SeriesExplanation,
    now_ns: int,
) -> Finding | None:
    """Return the finding that a pass would make of the series if every score made one."""
    if not found.scored:
        return None
    group = SeriesGroup(
        np.array([subject.key], np.uint64), np.array([subject.kind], np.uint8), batch
    )
    judgement = judge(
        group,
        _leading(found.episodes),
        describe=lambda _: subject.summary,
        explain=evidence,
        previous={},
        threshold=0.0,
        now_ns=now_ns,
    )
    return weigh(judgement.findings, system.pairs, system.settings.running.context, now_ns)[0]


def _leading(results: Results) -> Results:
    """Return the first row alone, as the analysis of a series returns it."""
    return Results(**{field.name: getattr(results, field.name)[:1] for field in fields(results)})


def _told_with(system: ControlPlane, subject: Subject, threshold: float) -> str:
    """Return the finding of a group that the pair belongs to and that is flagged, in words."""
    if subject.kind not in PAIR_KINDS:
        return ""
    columns = system.pairs.columns()
    row = np.flatnonzero(columns.ids == np.uint64(subject.key))[:1]
    for kind in GROUP_KINDS:
        key = group_keys(columns, kind)[row]
        [identifier] = finding_ids(key, np.full(len(key), kind)) or [""]
        finding = system.analyzer.finding(identifier)
        if finding is not None and finding.risk >= threshold:
            return f"finding {finding.id}, {finding.addresses} addresses of {finding.name}"
    return ""
