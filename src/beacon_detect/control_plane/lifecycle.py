"""The parts of a running control plane: started in stages, stopped in reverse.

Store, then what is rebuilt from it, then alerts, then the analyzer and the
clean-up; the listener is the caller's and comes last, so a request never
meets a part that is not ready. Each stop is bounded in time; what was
acknowledged is on disk whatever happens.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from beacon_detect.control_plane.alerts.manager import AlertManager
from beacon_detect.control_plane.analyzer import Analyzer
from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.periodic import Periodic
from beacon_detect.control_plane.restore import restore
from beacon_detect.control_plane.storage.store import CommittedBatch, Store
from beacon_detect.control_plane.whitelist import Whitelist
from beacon_detect.control_plane.working_set import WorkingSet
from beacon_detect.logs import set_level
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from beacon_detect.config import Config
    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.settings import Settings

log = structlog.get_logger(__name__)

PASS_STOP_SECONDS = 10.0
CLEANUP_STOP_SECONDS = 10.0
ALERTS_STOP_SECONDS = 5.0


class ControlPlane:
    """Everything behind the API; a context manager that stops on exit.

    Parameters
    ----------
    settings
        The configuration in force; changes of it are applied here.

    Raises
    ------
    BeaconError
        A part cannot start; those started before it are stopped again.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.started_at = time.time_ns()
        self._stages = ExitStack()
        try:
            self._start(settings.running)
        except BaseException:
            self._stages.close()
            raise
        settings.on_change(self._apply)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stages.close()

    def _start(self, config: Config) -> None:
        limits = config.control_plane
        self.whitelist = Whitelist(config.whitelist)
        self.working_set = WorkingSet(
            max_events=limits.working_set_events, series_length=limits.series_length
        )
        self.pairs = PairTable()
        self.store = Store.open(
            Path(limits.data_dir), memory_limit_mb=limits.memory_limit_mb, on_commit=self._committed
        )
        self._stages.callback(self.store.close)
        self._restore(limits.data_retention)
        self.alerts = AlertManager(self.store, config.alerting, config.detection.alert_threshold)
        self.alerts.start()
        self._stages.callback(self._stop_alerts)
        self.analyzer = Analyzer(
            store=self.store,
            working_set=self.working_set,
            pairs=self.pairs,
            alerts=self.alerts,
            config=lambda: self.settings.running,
            whitelist=lambda: self.whitelist,
        )
        self.analyzer.start()
        self._stages.callback(self._stop_analyzer)
        self.cleanup = Periodic(
            "cleanup",
            self._clean_up,
            lambda: self.settings.running.control_plane.cleanup_interval,
        )
        self.cleanup.start()
        self._stages.callback(self.cleanup.stop, CLEANUP_STOP_SECONDS)

    def _restore(self, retention: int) -> None:
        """Fill what is kept in memory from the store."""
        begin = time.perf_counter()
        since = time.time_ns() - retention * SECOND
        records = restore(self.store, self.working_set, self.pairs, since)
        seconds = round(time.perf_counter() - begin, 3)
        log.info("store opened", records=records, pairs=len(self.pairs), seconds=seconds)

    def _clean_up(self) -> None:
        """Drop what is past retention, on disk and in memory."""
        retention = self.settings.running.control_plane.data_retention
        now = time.time_ns()
        done = self.store.maintain(now, retention * SECOND)
        self.working_set.forget(now - retention * SECOND)
        self.pairs.forget(now - retention * SECOND)
        alerts = self.alerts.expire(retention).alerts
        log.info("cleaned up", **asdict(done), dropped_alerts=alerts)

    def detected(self) -> list[Finding]:
        """Return the findings shown by default: over the alert threshold, not whitelisted."""
        threshold = self.settings.running.detection.alert_threshold
        return self.whitelist.visible(f for f in self.analyzer.findings() if f.risk >= threshold)

    def _committed(self, batches: list[CommittedBatch]) -> None:
        """Bring the summaries in memory up to date; runs in the writer thread after COMMIT."""
        for batch in batches:
            self.working_set.add(batch.pair_ids, batch.table)
            self.pairs.add(batch)

    def _stop_analyzer(self) -> None:
        if not self.analyzer.stop(PASS_STOP_SECONDS):
            log.warning("the last pass was cut off; its pairs are analyzed at the next start")

    def _stop_alerts(self) -> None:
        if not self.alerts.stop(ALERTS_STOP_SECONDS):
            log.warning("an alert channel hangs; its alerts are delivered at the next start")

    def _apply(self, config: Config) -> None:
        """Put changed settings to work; those that need a restart have not changed."""
        whitelist = Whitelist(config.whitelist)
        self.alerts.reconfigure(config.alerting, config.detection.alert_threshold)
        self.whitelist = whitelist
        self.working_set.resize(series_length=config.control_plane.series_length)
        set_level(config.logging.level)
        self.analyzer.reschedule()
        self.cleanup.reschedule()
