"""The alert: what is told about a finding, once, in the same words on every channel.

An alert is frozen when it is raised: its JSON document is stored and every
channel, at every retry, sends exactly that. Consumers tell repeated
deliveries apart by ``id``. The document's field names are those of the API,
so that one parser reads both; fields are added within a version of the
schema, never renamed.
"""

from __future__ import annotations

import json
import math
import secrets
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from beacon_detect.control_plane.findings import Finding

SCHEMA = "beacon-detect.alert/1"

SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
"""Severity levels, least first."""

ATTACK = {
    "framework": "MITRE ATT&CK",
    "version": "19",
    "tactic": "TA0011",
    "technique": "T1071",
    "name": "Application Layer Protocol",
}
"""Command and control over an application protocol (https://attack.mitre.org/techniques/T1071/).

Timing cannot tell the sub-technique, so none is claimed.
"""


class AlertKind(StrEnum):
    """Why an alert was raised."""

    NEW = "new"
    """The finding reached the alert threshold for the first time."""
    WORSE = "worse"
    """Its severity rose above every level told before."""
    BACK = "back"
    """It was silent for long and returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as it is stored and sent."""

    id: str
    """UUID version 7: sorts by time, the same at every delivery."""
    time: int
    """When it was raised, wall ns."""
    kind: AlertKind
    severity: str
    score: float
    finding_id: str
    document: str
    """The JSON object that is sent (schema ``beacon-detect.alert/1``), one line."""


def severity_rank(severity: str) -> int:
    """Return 0 for LOW up to 3 for CRITICAL; ValueError for anything else."""
    return SEVERITIES.index(severity)


def make_alert(
    finding: Finding,
    kind: AlertKind,
    now: int,
    *,
    before: str = "",
    silence: float = 0.0,
) -> Alert:
    """Return the alert that tells ``finding``.

    Parameters
    ----------
    finding
        The finding as it stands.
    kind
        Why it is told.
    now
        Wall time, ns.
    before
        Highest severity told before (for ``worse``).
    silence
        Seconds without activity before its return (for ``back``).
    """
    alert_id = new_alert_id(now)
    title = f"{finding.severity} {_HEADLINE[kind]}: {_contact(finding)}"
    fields = {
        "schema": SCHEMA,
        "id": alert_id,
        "time": rfc3339(now),
        "kind": kind.value,
        "severity": finding.severity,
        "previous_severity": before or None,
        "silence_seconds": round(silence, 3) if kind is AlertKind.BACK else None,
        "title": title,
        "message": _sentence(finding, kind, before, silence),
        "finding_id": finding.id,
        **_finding_fields(finding),
        "attack": ATTACK,
    }
    return Alert(
        id=alert_id,
        time=now,
        kind=kind,
        severity=finding.severity,
        score=finding.score,
        finding_id=finding.id,
        document=json.dumps(_clean(fields), ensure_ascii=False, allow_nan=False),
    )


def new_alert_id(now: int) -> str:
    """Return a new UUID version 7 (RFC 9562, section 5.7) for the wall time ``now`` (ns)."""
    milliseconds = (now // 1_000_000) & ((1 << 48) - 1)
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def rfc3339(time: int) -> str:
    """Return a wall time (ns since the epoch) as RFC 3339 UTC with microseconds and ``Z``."""
    seconds, rest = divmod(time, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain_duration(seconds: float) -> str:
    """Return a duration for people: ``60 s``, ``5 min``, ``1.5 h``, ``2 d``."""
    for unit, size, least in (("d", 86_400, 172_800), ("h", 3600, 7200), ("min", 60, 180)):
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


_HEADLINE = {
    AlertKind.NEW: "beacon",
    AlertKind.WORSE: "beacon, now worse",
    AlertKind.BACK: "beacon is back",
}


def _finding_fields(finding: Finding) -> dict[str, Any]:
    """Return every field of the finding under the name the API gives it."""
    return {
        "pair_id": str(finding.pair_id),
        "series": finding.series,
        "addresses": finding.addresses,
        "src_ip": finding.src,
        "dst_ip": finding.dst,
        "dst_port": finding.dst_port,
        "protocol": finding.protocol,
        "score": finding.score,
        "risk": finding.risk,
        "reasons": [asdict(reason) for reason in finding.reasons],
        "current_score": finding.current_score,
        "base_score": finding.base_score,
        "cv_score": finding.cv_score,
        "periodicity_score": finding.periodicity_score,
        "jitter_score": finding.jitter_score,
        "interval_seconds": finding.interval,
        "jitter": finding.jitter,
        "cv": finding.cv,
        "dominant_period_seconds": finding.dominant_period,
        "check_ins": finding.check_ins,
        "missed_check_ins": finding.missed,
        "configured_sleep_seconds": finding.configured_sleep,
        "false_alarm": finding.false_alarm,
        "episodes": finding.episodes,
        "size_regularity": finding.size_regularity,
        "connections_per_check_in": finding.connections_per_check_in,
        "connections": finding.connections,
        "bytes_out": finding.bytes_out,
        "bytes_in": finding.bytes_in,
        "first_seen": rfc3339(finding.first_seen),
        "last_seen": rfc3339(finding.last_seen),
        "detected_at": rfc3339(finding.detected_at),
        "updated_at": rfc3339(finding.updated_at),
        "returned_at": rfc3339(finding.returned_at) if finding.returned_at else None,
        "process": finding.process,
        "executable": finding.executable,
        "pid": finding.pid,
        "container": finding.container,
        "sensor": finding.sensor,
        "name": finding.name,
        "direction": finding.direction,
        "evidence": finding.evidence,
    }


def _contact(finding: Finding) -> str:
    """Return who calls whom and how often."""
    who = f"{finding.process} on {finding.src}" if finding.process else finding.src
    return f"{who} calls {_service(finding)} every {plain_duration(finding.interval)}"


def _service(finding: Finding) -> str:
    """Return the destination: address, port where the protocol has one, name where known."""
    if finding.addresses > 1:
        return (
            f"{finding.name}:{finding.dst_port}/{finding.protocol} ({finding.addresses} addresses)"
        )
    if finding.protocol.startswith("ICMP"):
        place = f"{finding.dst} by {finding.protocol}"
    elif ":" in finding.dst:
        place = f"[{finding.dst}]:{finding.dst_port}/{finding.protocol}"
    else:
        place = f"{finding.dst}:{finding.dst_port}/{finding.protocol}"
    return f"{place} ({finding.name})" if finding.name else place


def _sentence(finding: Finding, kind: AlertKind, before: str, silence: float) -> str:
    """Return the alert in one plain sentence."""
    who = finding.src
    if finding.process:
        process = f"{finding.process} (pid {finding.pid})" if finding.pid else finding.process
        who = f"{process} on {finding.src}"
    if finding.container:
        who += f" in container {finding.container}"
    why = {
        AlertKind.NEW: "looks like a beacon",
        AlertKind.WORSE: f"rose from {before} to {finding.severity}",
        AlertKind.BACK: f"returned after {plain_duration(silence)} of silence",
    }[kind]
    return (
        f"{who} {why}: it calls {_service(finding)} every {plain_duration(finding.interval)}, "
        f"{_activity(finding)} since {rfc3339(finding.first_seen)[:19]}Z, "
        f"{_verdict(finding)}, seen by sensor {finding.sensor or '-'}."
    )


def _activity(finding: Finding) -> str:
    """Return what was counted."""
    connections = (
        "1 connection" if finding.connections == 1 else f"{finding.connections} connections"
    )
    return f"bursts inside {connections}" if finding.series == "bursts" else connections


def _verdict(finding: Finding) -> str:
    """Return score and severity, with the risk and its strongest reason where context moved it."""
    if not finding.reasons:
        return f"score {finding.score:.1%} ({finding.severity})"
    return (
        f"risk {finding.risk:.1%} ({finding.severity}), score {finding.score:.1%};"
        f" {finding.reasons[0].reason}"
    )


def _clean(value: Any) -> Any:
    """Return ``value`` with what JSON or UTF-8 cannot carry replaced.

    Numbers that are not finite become null. Process names and paths come from
    the kernel as bytes, so text may hold lone surrogates.
    """
    if isinstance(value, dict):
        return {key: _clean(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_clean(part) for part in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
