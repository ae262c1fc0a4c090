"""Makes findings and alerts for tests: say what matters, the rest is plausible.

Shared by all tests of alerting; not a test itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from beacon_detect.control_plane.alerts.message import Alert, AlertKind, make_alert
from beacon_detect.control_plane.findings import Finding
from beacon_detect.records import SECOND

NOW = 1_790_000_000 * SECOND
"""Wall time of a test that names none (September 2026)."""

MINUTE = 60 * SECOND
HOUR = 3600 * SECOND

LEVELS = {"CRITICAL": 0.942, "HIGH": 0.853, "MEDIUM": 0.721, "LOW": 0.55}
"""A score of each severity."""

_BEACON = Finding(
    id="00000000000000aa",
    pair_id=0xFEDC_BA98_7654_3210,
    series="connections",
    src="10.0.0.100",
    dst="203.0.113.50",
    dst_port=443,
    protocol="TCP",
    score=LEVELS["CRITICAL"],
    current_score=LEVELS["CRITICAL"],
    risk=LEVELS["CRITICAL"],
    severity="CRITICAL",
    base_score=0.93,
    cv_score=0.91,
    periodicity_score=0.96,
    jitter_score=0.92,
    interval=60.0,
    jitter=0.05,
    cv=0.04,
    dominant_period=60.0,
    check_ins=156,
    missed=2,
    connections_per_check_in=1.0,
    configured_sleep=60.0,
    false_alarm=1e-9,
    episodes=1,
    size_regularity=0.71,
    connections=157,
    bytes_out=40_192,
    bytes_in=91_001,
    first_seen=NOW - 3 * HOUR,
    last_seen=NOW - SECOND,
    detected_at=NOW - 2 * HOUR,
    updated_at=NOW,
    process="curl",
    executable="/usr/bin/curl",
    pid=4711,
    container="web-7f",
    sensor="web-1",
    name="cdn.example",
    direction="outbound",
    evidence="156 check-ins about every 60 s, spread 5 %.",
)


def finding(severity: str = "CRITICAL", **changes: Any) -> Finding:
    """Return a finding of a severity (with a score to match), changed as told."""
    score = LEVELS[severity]
    values: dict[str, Any] = {"score": score, "current_score": score, "severity": severity}
    values["risk"] = changes.get("score", score)
    return replace(_BEACON, **values | changes)


def findings(count: int, severity: str = "CRITICAL") -> list[Finding]:
    """Return findings of different series."""
    return [
        finding(severity, id=hashlib.sha256(str(number).encode()).hexdigest()[:16])
        for number in range(count)
    ]


def alert(severity: str = "CRITICAL", now: int = NOW, **changes: Any) -> Alert:
    """Return the alert of a new finding."""
    return make_alert(finding(severity, **changes), AlertKind.NEW, now)
