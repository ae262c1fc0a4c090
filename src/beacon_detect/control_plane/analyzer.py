"""The analyzer: passes over the pairs with new records, by the clock and on demand.

One thread runs all passes, so there is never more than one. A pass takes the
touched series out of the working set, measures them in one call, judges them,
and saves findings and alerts in one transaction; when anything fails, the
series stay due for the next pass. Groups of pairs are looked at first, because
what a group explains is not told once more for each of its pairs. Findings live in memory, bounded, and are
read from the store at the start only.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from beacon_detect.control_plane.detector import analysis_settings, judge
from beacon_detect.control_plane.group_scan import GroupScan
from beacon_detect.control_plane.groups import Cover
from beacon_detect.control_plane.periodic import Periodic
from beacon_detect.control_plane.risk import weigh
from beacon_detect.control_plane.storage import finding_store
from beacon_detect.errors import BeaconError
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from beacon_detect.config import Config
    from beacon_detect.config.context import Context
    from beacon_detect.control_plane.alerts.manager import AlertManager
    from beacon_detect.control_plane.detector import Judgement
    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.pairs import PairTable
    from beacon_detect.control_plane.storage.store import Store
    from beacon_detect.control_plane.whitelist import Whitelist
    from beacon_detect.control_plane.working_set import SeriesGroup, WorkingSet

log = structlog.get_logger(__name__)

CHUNK_EVENTS = 1_000_000
"""Events measured in one call: about 100 MB with all intermediate columns."""

GROUP_CHUNK_EVENTS = 250_000
"""Events of groups merged and measured in one call; merging holds each twice."""

MAX_FINDINGS = 100_000
"""Findings kept; beyond it those of the lowest risk are dropped and counted."""


class AnalysisFailedError(BeaconError):
    """A pass failed; its series are due again."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass did."""

    run: int
    pairs: int
    """Pairs with new records and enough events."""
    beacons: int
    """Of those, how many reach the alert threshold with their risk and are not whitelisted."""
    new: list[str]
    """Ids of findings that no earlier pass had made, whitelisted ones left out."""
    duration: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class AnalyzerState:
    """How the passes go."""

    runs: int = 0
    failures: int = 0
    last_run: int = 0
    """Start of the last pass, wall ns; 0 before the first."""
    last_duration: float = 0.0
    pairs: int = 0
    """Pairs in the last pass."""
    last_error: str = ""
    findings_dropped: int = 0


@dataclass(slots=True)
class _Made:
    """What a pass has made so far."""

    pairs: int = 0
    changed: list[Finding] = field(default_factory=list)
    new: set[str] = field(default_factory=set)


class Analyzer:
    """Owner of the findings and of the thread that makes them.

    Parameters
    ----------
    store, working_set, pairs, alerts
        Running parts of the control plane.
    config, whitelist
        Asked at each pass, so that changes hold from the next one on.
    """

    def __init__(
        self,
        *,
        store: Store,
        working_set: WorkingSet,
        pairs: PairTable,
        alerts: AlertManager,
        config: Callable[[], Config],
        whitelist: Callable[[], Whitelist],
    ) -> None:
        self._store = store
        self._working_set = working_set
        self._pairs = pairs
        self._alerts = alerts
        self._config = config
        self._whitelist = whitelist
        self._findings = {finding.id: finding for finding in finding_store.load(store)}
        self._ranked = _ranked(self._findings)
        self._weighed: Context | None = None
        self._state = AnalyzerState()
        self._lock = threading.Lock()
        self._waiting: Future[Pass] | None = None
        self._periodic = Periodic(
            "analyzer",
            self._scheduled,
            interval=lambda: config().detection.analysis_interval,
            wanted=lambda: self._waiting is not None,
        )

    def start(self) -> None:
        """Begin with a pass at once."""
        self._periodic.start()

    def stop(self, timeout: float) -> bool:
        """Start no further pass; return whether the current one ended within ``timeout`` seconds."""
        ended = self._periodic.stop(timeout)
        self._answer(AnalysisFailedError("the server is stopping"))
        return ended

    def reschedule(self) -> None:
        """Follow a changed analysis interval."""
        self._periodic.reschedule()

    def findings(self) -> Sequence[Finding]:
        """Return all findings, highest risk first."""
        return self._ranked

    def finding(self, identifier: str) -> Finding | None:
        """Return a finding, None when there is none with this id."""
        return self._findings.get(identifier)

    def state(self) -> AnalyzerState:
        """Return how the passes go."""
        return self._state

    def request(self) -> Future[Pass]:
        """Have a pass made now; requests that come before it starts share it."""
        with self._lock:
            future = self._waiting = self._waiting or Future()
        self._periodic.reschedule()
        return future

    def _scheduled(self) -> None:
        with self._lock:
            asked, self._waiting = self._waiting, None
        try:
            done = self.run_pass()
        except BaseException as error:
            if asked:
                asked.set_exception(error)
            raise
        if asked:
            asked.set_result(done)

    def _answer(self, error: BeaconError) -> None:
        with self._lock:
            asked, self._waiting = self._waiting, None
        if asked:
            asked.set_exception(error)

    def run_pass(self) -> Pass:
        """Make a pass; must not be called from two threads at once.

        Raises
        ------
        AnalysisFailedError
            What was found before the failure is saved; the other series are due again.
        """
        begin, clock = time.time_ns(), time.perf_counter()
        config = self._config()
        made = _Made()
        try:
            self._forget_old(config, begin)
            self._weigh_again(config, begin)
            cover = self._look_at_groups(config, begin, made)
            self._look_at_pairs(config, begin, cover, made)
        except Exception as error:
            self._note(begin, clock, made.pairs, failure=str(error) or type(error).__name__)
            log.exception("pass failed", pairs=made.pairs)
            raise AnalysisFailedError(f"the pass failed: {error}") from error
        self._note(begin, clock, made.pairs)
        return self._told(made, config.detection.alert_threshold)

    def _look_at_groups(self, config: Config, now_ns: int, made: _Made) -> Cover:
        """Judge the groups of the pairs with new records; return which pairs they explain."""
        touched = self._working_set.take_touched()
        columns = self._pairs.columns()
        scan = GroupScan(
            columns=columns,
            pairs=self._pairs,
            working_set=self._working_set,
            settings=analysis_settings(config.detection),
            threshold=config.detection.finding_threshold,
            least_events=config.detection.min_connections,
            series_length=config.control_plane.series_length,
        )
        try:
            for groups in scan.pieces(touched, self._whitelist().hidden, GROUP_CHUNK_EVENTS):
                self._keep(scan.judge(groups, self._findings, now_ns), config, now_ns, made)
        except Exception:
            self._working_set.touch(touched)
            raise
        # The working set knows of a batch a moment before the pair table does.
        self._working_set.touch(np.setdiff1d(touched, columns.ids))
        return Cover.of(self._findings.values(), columns, config.detection.finding_threshold)

    def _look_at_pairs(self, config: Config, now_ns: int, cover: Cover, made: _Made) -> None:
        """Judge the series of the pairs with new records."""
        while True:
            group = self._working_set.take_dirty(config.detection.min_connections, CHUNK_EVENTS)
            try:
                self._keep(self._judge(group, config, cover, now_ns), config, now_ns, made)
            except Exception:
                self._working_set.put_back(group)
                raise
            made.pairs += len(np.unique(group.pair_ids))
            # Series that get records meanwhile are for the next pass.
            if len(group.batch.times) < CHUNK_EVENTS:
                return

    def _keep(self, judgement: Judgement, config: Config, now_ns: int, made: _Made) -> None:
        """Weigh and save what was found."""
        findings = weigh(judgement.findings, self._pairs, config.context, now_ns)
        self._save(findings)
        made.changed += findings
        made.new |= set(judgement.new)

    def _told(self, made: _Made, threshold: float) -> Pass:
        """Wake the alert channels, log the pass and return its account."""
        self._alerts.wake()
        visible = self._whitelist().visible(made.changed)
        state = self._state
        done = Pass(
            run=state.runs,
            pairs=state.pairs,
            beacons=len({f.pair_id for f in visible if f.current_risk >= threshold}),
            new=[f.id for f in visible if f.id in made.new],
            duration=state.last_duration,
        )
        log.info(
            "pass done",
            run=done.run,
            pairs=done.pairs,
            beacons=done.beacons,
            new=len(done.new),
            findings=len(self._findings),
            seconds=round(done.duration, 3),
        )
        return done

    def _judge(self, group: SeriesGroup, config: Config, cover: Cover, now_ns: int) -> Judgement:
        # The detection core compiles and loads much; only a pass needs it.
        from beacon_detect.analysis import analyze, evidence

        measured = analyze(group.batch, analysis_settings(config.detection))
        return judge(
            group,
            measured,
            describe=self._pairs.describe,
            explain=evidence,
            previous=self._findings,
            threshold=config.detection.finding_threshold,
            now_ns=now_ns,
            untold=cover.hides(group.pair_ids, measured.score),
        )

    def _forget_old(self, config: Config, now_ns: int) -> None:
        """Delete findings past retention; one whose beacon comes back later is a new one."""
        kept = config.control_plane.finding_retention
        if not kept:
            return
        cutoff = now_ns - max(kept, config.control_plane.data_retention) * SECOND
        gone = [finding.id for finding in self._findings.values() if finding.last_seen < cutoff]
        if not gone:
            return
        self._store.transact(lambda connection: finding_store.delete(connection, gone)).result()
        findings = dict(self._findings)
        for identifier in gone:
            del findings[identifier]
        self._findings, self._ranked = findings, _ranked(findings)
        log.info("findings past retention deleted", findings=len(gone))

    def _weigh_again(self, config: Config, now_ns: int) -> None:
        """Bring the risk of old findings up to date when the rules have changed, or at the start."""
        if config.context == self._weighed:
            return
        old = list(self._findings.values())
        new = weigh(old, self._pairs, config.context, now_ns)
        self._save([after for before, after in zip(old, new, strict=True) if after != before])
        self._weighed = config.context

    def _save(self, changed: list[Finding]) -> None:
        """Store what changed with the alerts it causes, then show it."""
        if not changed:
            return
        findings = self._findings | {finding.id: finding for finding in changed}
        dropped = [finding.id for finding in _ranked(findings)[MAX_FINDINGS:]]
        for identifier in dropped:
            del findings[identifier]
        kept = [finding for finding in changed if finding.id in findings]
        told = self._whitelist().visible(kept)

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            finding_store.save(connection, kept)
            finding_store.delete(connection, dropped)
            self._alerts.consider(told, connection)

        self._store.transact(work).result()
        self._findings, self._ranked = findings, _ranked(findings)
        if dropped:
            total = self._state.findings_dropped + len(dropped)
            self._state = replace(self._state, findings_dropped=total)
            log.warning("findings dropped", dropped=len(dropped), bound=MAX_FINDINGS)

    def _note(self, begin: int, clock: float, pairs: int, *, failure: str = "") -> None:
        self._state = replace(
            self._state,
            runs=self._state.runs + 1,
            failures=self._state.failures + bool(failure),
            last_run=begin,
            last_duration=time.perf_counter() - clock,
            pairs=pairs,
            last_error=failure,
        )


def _ranked(findings: Mapping[str, Finding]) -> tuple[Finding, ...]:
    """Return findings by risk, then score, the newest first among equals."""
    return tuple(sorted(findings.values(), key=lambda f: (-f.risk, -f.score, -f.last_seen, f.id)))
