"""``/beacons``: the findings, highest risk first, and one of them with its series."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from beacon_detect.control_plane.api.explanation_models import BeaconDetail, measured
from beacon_detect.control_plane.api.models import Beacon, BeaconList
from beacon_detect.control_plane.api.parameters import (
    Desk,
    Limited,
    Parameters,
    Severities,
    Since,
    System,
    since_ns,
)
from beacon_detect.control_plane.explanation import explain, subject_of_finding
from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.errors import NotFoundError
from beacon_detect.records import SECOND

router = APIRouter(tags=["findings"])


class BeaconParameters(Limited):
    """Which findings to list."""

    min_score: float | None = Query(None, ge=0, le=1, description="Least timing score")
    min_risk: float | None = Query(
        None,
        ge=0,
        le=1,
        description="Least risk; default: detection.alert_threshold, 0 where min_score is given",
    )
    severity: Severities
    since: Since = None
    include_whitelisted: bool = Query(False, description="Also list what the whitelist hides")


@router.get("/beacons")
def list_beacons(wanted: Annotated[BeaconParameters, Query()], system: System) -> BeaconList:
    """List detected beacons, highest risk first."""
    least_score, least_risk = wanted.min_score, wanted.min_risk
    if least_risk is None:
        alerting = system.settings.running.detection.alert_threshold
        least_risk = alerting if least_score is None else 0.0
    oldest = since_ns(wanted.since)
    found = [
        finding
        for finding in system.analyzer.findings()
        if finding.score >= (least_score or 0.0)
        and finding.risk >= least_risk
        and finding.last_seen >= oldest
        and (not wanted.severity or finding.severity in wanted.severity)
    ]
    hidden = system.whitelist.hidden_text(
        [f.src for f in found], [f.dst for f in found], [f.dst_port for f in found]
    )
    rows = [
        (finding, bool(hide))
        for finding, hide in zip(found, hidden, strict=True)
        if wanted.include_whitelisted or not hide
    ]
    now = time.time_ns()
    shown = [Beacon.of(finding, now, whitelisted=hide) for finding, hide in rows[: wanted.limit]]
    return BeaconList(count=len(shown), total=len(rows), beacons=shown)


@router.get("/beacons/{id}")
async def show_beacon(
    id: str,  # noqa: A002 (the name in the path)
    _none: Annotated[Parameters, Query()],
    system: System,
    desk: Desk,
) -> BeaconDetail:
    """Show one beacon with its series, measured now; whitelisted ones too."""
    finding = system.analyzer.finding(id)
    if finding is None:
        raise NotFoundError(f"there is no beacon {id[:40]!r}")
    return await desk.run(lambda: _detail(system, finding))


def _detail(system: ControlPlane, finding: Finding) -> BeaconDetail:
    now = time.time_ns()
    explained = explain(system, subject_of_finding(system, finding), now)
    beacon = Beacon.of(finding, now, whitelisted=bool(explained.whitelisted_by))
    return BeaconDetail(
        **beacon.model_dump(),
        times=(explained.wall / SECOND).tolist(),
        intervals=(np.diff(explained.times) / SECOND).tolist(),
        measured=measured(explained),
    )
