"""Decides whether a finding is told now: when it is new, worse, or back after silence.

Pure rules over a finding and what is remembered of the last time it was told;
no store, no clock. The memory is kept in the store, so that a restart neither
repeats nor forgets an alert. A finding is told at most once per severity
level, and again only after a silence, at most once per cooldown: never one a
minute. Limit: the highest severity ever told is remembered, so a finding that
falls and climbs back to a level already told stays quiet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from beacon_detect.control_plane.alerts.message import AlertKind, severity_rank
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from beacon_detect.control_plane.findings import Finding

SILENT_INTERVALS = 10.0
"""Expected check-ins that must fail to come before a return is worth an alert (taste)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of a finding that was told."""

    severity: str
    """Highest severity told."""
    told_at: int
    """When it was last told, wall ns."""
    last_seen: int
    """Newest activity known, wall ns."""
    detected_at: int
    """When it was detected, wall ns; later when it was deleted and detected anew."""
    returned_at: int
    """First activity after its last silence, wall ns; 0 when it was never silent."""
    silence: int = 0
    """Silence (ns) before a return that has not been told yet; 0 when nothing is owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decide."""

    threshold: float
    """Least risk that is told."""
    cooldown: int
    """Quiet time before a return is told, ns."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a finding, and what to remember."""

    kind: AlertKind | None
    """Why it is told now; None: it is not."""
    memory: Memory | None
    """To be stored; None while the finding was never told."""
    silence: int = 0
    """Silence before the return that is told (``back``), ns."""


def decide(finding: Finding, memory: Memory | None, rules: Rules, now: int) -> Decision:
    """Return whether ``finding`` is told at wall time ``now`` (ns).

    Parameters
    ----------
    finding
        The finding after the pass that saw new activity of it.
    memory
        What was remembered after the last decision; None when it was never told.
    rules
        Threshold and cooldown.
    now
        Wall time, ns.
    """
    if memory is None:
        if finding.risk < rules.threshold:
            return Decision(None, None)
        first = Memory(
            severity=finding.severity,
            told_at=now,
            last_seen=finding.last_seen,
            detected_at=finding.detected_at,
            returned_at=finding.returned_at,
        )
        return Decision(AlertKind.NEW, first)
    seen = replace(
        memory,
        last_seen=max(memory.last_seen, finding.last_seen),
        detected_at=finding.detected_at,
        returned_at=finding.returned_at,
        silence=max(memory.silence, _silence(finding, memory, rules)),
    )
    told = replace(seen, told_at=now, silence=0)
    if _rises(finding, memory) and finding.risk >= rules.threshold:
        return Decision(AlertKind.WORSE, replace(told, severity=finding.severity))
    # A wall clock that was set back must not mute a finding for as long as it was wrong.
    rested = abs(now - memory.told_at) >= rules.cooldown
    if seen.silence and rested and finding.current_score >= rules.threshold:
        return Decision(AlertKind.BACK, told, seen.silence)
    return Decision(None, seen)


def _rises(finding: Finding, memory: Memory) -> bool:
    return severity_rank(finding.severity) > severity_rank(memory.severity)


def _silence(finding: Finding, memory: Memory, rules: Rules) -> int:
    """Return the silence (ns) before a return since the last decision, 0 when it is too short.

    The detector says when a series returned; comparing times seen here would
    take an outage of the control plane for a silence of the beacon. A finding
    that was deleted and detected anew counts as returned, too.
    """
    if finding.detected_at > memory.detected_at:
        back_at = finding.detected_at
    elif finding.returned_at > memory.returned_at:
        back_at = finding.returned_at
    else:
        return 0
    interval = finding.interval if math.isfinite(finding.interval) else 0.0
    least = max(rules.cooldown, int(SILENT_INTERVALS * interval * SECOND))
    silence = back_at - memory.last_seen
    return silence if silence > least else 0
