"""``/alerts``: what was told, newest first, and what became of it on each channel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from beacon_detect.control_plane.api.models import Alert, AlertList
from beacon_detect.control_plane.api.parameters import Limited, Severities, Since, System, since_ns
from beacon_detect.control_plane.storage import alert_store

router = APIRouter(tags=["alerts"])


class AlertParameters(Limited):
    """Which alerts to list."""

    severity: Severities
    since: Since = None


@router.get("/alerts")
def list_alerts(wanted: Annotated[AlertParameters, Query()], system: System) -> AlertList:
    """List alerts, newest first, without those of whitelisted traffic."""
    found = alert_store.list_alerts(
        system.store,
        limit=wanted.limit,
        severities=wanted.severity,
        since=since_ns(wanted.since),
        hidden=lambda src, dst, port: system.whitelist.hidden_text(src, dst, port).tolist(),
    )
    shown = [Alert.model_validate(alert.as_json()) for alert in found]
    return AlertList(count=len(shown), alerts=shown)
