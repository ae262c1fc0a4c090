"""``/status``: the server, its sensors, storage, passes, channels and configuration at a glance."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query

from beacon_detect import __version__
from beacon_detect.control_plane.alerts.message import rfc3339
from beacon_detect.control_plane.api.models import (
    AlertingStatus,
    AnalyzerStatus,
    Channel,
    ConfigStatus,
    Sensor,
    Status,
    rfc3339_or_none,
)
from beacon_detect.control_plane.api.parameters import Bodies, Limits, Parameters, System
from beacon_detect.control_plane.storage import alert_store
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from beacon_detect.control_plane.lifecycle import ControlPlane

router = APIRouter(tags=["server"])


@router.get("/status")
def show_status(
    _none: Annotated[Parameters, Query()], system: System, bodies: Bodies, limits: Limits
) -> Status:
    """Show the state of the server."""
    sensors = system.store.sensors()
    statistics = system.store.statistics()
    return Status(
        version=__version__,
        started_at=rfc3339(system.started_at),
        uptime_seconds=(time.time_ns() - system.started_at) / SECOND,
        events_received=sum(sensor.records for sensor in sensors),
        batches_received=sum(sensor.batches for sensor in sensors),
        duplicate_batches=sum(sensor.duplicates for sensor in sensors),
        connection_pairs=len(system.pairs),
        beacons_detected=len(system.detected()),
        alerts_generated=alert_store.count_alerts(system.store),
        sensors=[
            Sensor(
                sensor=sensor.sensor,
                mode=sensor.mode,
                last_seen=rfc3339(sensor.last_seen),
                records=sensor.records,
                losses=sensor.losses,
                lost=sensor.lost,
            )
            for sensor in sensors
        ],
        storage=asdict(statistics),
        intake={
            "requests_refused_busy": bodies.refused,
            "connections_refused_full": limits.refused,
        },
        analyzer=_analyzer(system),
        alerting=_alerting(system),
        config=_config(system),
    )


def _analyzer(system: ControlPlane) -> AnalyzerStatus:
    state, memory = system.analyzer.state(), system.working_set.counters
    return AnalyzerStatus(
        runs=state.runs,
        failures=state.failures,
        last_run=rfc3339_or_none(state.last_run),
        last_duration_seconds=state.last_duration,
        pairs_analyzed=state.pairs,
        last_error=state.last_error or None,
        findings_dropped=state.findings_dropped,
        events_in_memory=memory.events,
        events_dropped=memory.dropped,
    )


def _alerting(system: ControlPlane) -> AlertingStatus:
    channels = [
        Channel(
            name=channel.name,
            enabled=channel.enabled,
            delivered=channel.delivered,
            pending=channel.pending,
            failed=channel.failed,
            last_error=channel.last_error or None,
            last_delivery=rfc3339_or_none(channel.last_delivery),
        )
        for channel in system.alerts.status()
    ]
    return AlertingStatus(channels=channels)


def _config(system: ControlPlane) -> ConfigStatus:
    settings = system.settings
    return ConfigStatus(
        file=str(settings.loaded.file) if settings.loaded.file else None,
        overrides=str(settings.overrides) if settings.overrides.exists() else None,
        loaded_at=rfc3339(settings.loaded_at),
        hash=settings.hash,
        last_reload_error=settings.last_reload_error,
        needs_restart=settings.needs_restart(),
    )
