"""The alert manager: raises alerts for findings and looks after their delivery.

It is asked inside the transaction that saves the findings, so finding, alert
and pending deliveries commit together or not at all; it keeps no state of its
own that a restart could lose. It does not look at the whitelist: what is
whitelisted is filtered before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from beacon_detect.control_plane.alerts.channels import CHANNELS
from beacon_detect.control_plane.alerts.decision import Memory, Rules, decide
from beacon_detect.control_plane.alerts.delivery import DeliveryWorker
from beacon_detect.control_plane.alerts.message import Alert, make_alert
from beacon_detect.control_plane.storage import alert_store
from beacon_detect.control_plane.storage.alert_store import ChannelTotals
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import duckdb

    from beacon_detect.config.schema import Alerting
    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.storage.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel is doing; counts are of the alerts that are kept."""

    name: str
    enabled: bool
    delivered: int
    pending: int
    failed: int
    """Deliveries given up."""
    last_error: str
    """The newest failure after the last delivery; empty when there is none."""
    last_delivery: int
    """Wall ns; 0 when there was none."""


class AlertManager:
    """Decides which findings are told, and delivers the alerts on every channel.

    Parameters
    ----------
    store
        Holds alerts, deliveries and what was told.
    alerting
        Channels and cooldown.
    alert_threshold
        Least score that is told (``detection.alert_threshold``).
    clock
        Wall clock, ns.
    """

    def __init__(
        self,
        store: Store,
        alerting: Alerting,
        alert_threshold: float,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._clock = clock
        self._workers = {name: DeliveryWorker(spec, store) for name, spec in CHANNELS.items()}
        self.reconfigure(alerting, alert_threshold)

    def reconfigure(self, alerting: Alerting, alert_threshold: float) -> None:
        """Go on with these settings: decisions at once, channels from their next alert on."""
        self._alerting = alerting
        self._rules = Rules(
            threshold=alert_threshold, cooldown=int(alerting.alert_cooldown * SECOND)
        )
        for name, worker in self._workers.items():
            worker.configure(getattr(alerting, name))

    def start(self) -> None:
        """Start delivering, first of all what the last run left."""
        for worker in self._workers.values():
            worker.start()

    def stop(self, timeout: float) -> bool:
        """Stop within ``timeout`` seconds; what is pending stays in the store.

        Returns whether every channel stopped; one that hangs in a receiver is
        left behind and its alert delivered at the next start.
        """
        deadline = time.monotonic() + timeout
        for worker in self._workers.values():
            worker.ask_to_stop()
        stopped = [
            worker.join(max(deadline - time.monotonic(), 0.0)) for worker in self._workers.values()
        ]
        return all(stopped)

    def wake(self) -> None:
        """Deliver what was committed."""
        for worker in self._workers.values():
            worker.wake()

    def consider(
        self, findings: Sequence[Finding], connection: duckdb.DuckDBPyConnection
    ) -> list[Alert]:
        """Raise the alerts that ``findings`` give rise to, inside the caller's transaction.

        Parameters
        ----------
        findings
            Findings with new activity, none of them whitelisted.
        connection
            Of the transaction that saves them.
        """
        memories = alert_store.read_memories(connection, [finding.id for finding in findings])
        now = self._clock()
        alerts: list[Alert] = []
        changed: dict[str, Memory] = {}
        for finding in findings:
            memory = memories.get(finding.id)
            decision = decide(finding, memory, self._rules, now)
            if decision.kind is not None:
                before = memory.severity if memory else ""
                silence = decision.silence / SECOND
                alert = make_alert(finding, decision.kind, now, before=before, silence=silence)
                alerts.append(alert)
            if decision.memory is not None and decision.memory != memory:
                changed[finding.id] = decision.memory
        if changed:
            alert_store.save_memories(connection, changed)
        alert_store.insert_alerts(connection, alerts, self._channels_for)
        return alerts

    def status(self) -> list[ChannelStatus]:
        """Return how each channel is doing, disabled ones included."""
        totals = alert_store.channel_totals(self._store)
        return [self._status(name, totals.get(name, ChannelTotals())) for name in CHANNELS]

    def expire(self, data_retention: int) -> alert_store.Expired:
        """Delete alerts that are too old (see ``alert_store.retention_of``); waits for the store.

        Parameters
        ----------
        data_retention
            How long records are kept, seconds.
        """
        before = self._clock() - alert_store.retention_of(data_retention)
        expired = self._store.transact(
            lambda connection: alert_store.expire(connection, before)
        ).result()
        if expired.undelivered:
            log.warning("alerts expired before delivery", deliveries=expired.undelivered)
        return expired

    def _channels_for(self, alert: Alert) -> Iterable[str]:
        for name, spec in CHANNELS.items():
            settings = getattr(self._alerting, name)
            if settings.enabled and spec.wants(settings, alert.severity):
                yield name

    def _status(self, name: str, totals: ChannelTotals) -> ChannelStatus:
        return ChannelStatus(
            name=name,
            enabled=getattr(self._alerting, name).enabled,
            delivered=totals.delivered,
            pending=totals.pending,
            failed=totals.failed,
            last_error=totals.last_error,
            last_delivery=totals.last_delivery,
        )
