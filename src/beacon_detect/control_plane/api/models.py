"""The shapes of the answers, as the OpenAPI document describes them.

Times are RFC 3339 in UTC, durations seconds, ids text. Lists carry ``schema``,
whose number changes when a field changes its meaning or goes away.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from beacon_detect.control_plane.alerts.message import rfc3339

if TYPE_CHECKING:
    from beacon_detect.control_plane.findings import Finding

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]


def rfc3339_or_none(ns: int) -> str | None:
    """Return wall nanoseconds as text, None for 0 (never)."""
    return rfc3339(ns) if ns else None


class Answer(BaseModel):
    """Base of all answers; ``schema`` is the name on the wire, a method name in pydantic."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class Health(Answer):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


class Reason(Answer):
    """A step from score to risk."""

    rule: str
    delta: float = Field(description="Below 0 it lowers the risk, above 0 it raises it")
    reason: str


class Beacon(Answer):
    """A finding."""

    id: str
    score: float = Field(description="Highest score reached, 0 to 1")
    current_score: float = Field(description="Score of the last pass that saw new records")
    risk: float = Field(description="What score and context make together, 0 to 1")
    reasons: list[Reason] = Field(description="The steps from score to risk, strongest first")
    severity: Severity = Field(description="Of the risk")
    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: str
    series: Literal["connections", "bursts", "name", "process"] = Field(
        description="What was judged: the connections of a pair, bursts inside them, or all"
        " activity of a source (name) or program (process) towards one destination name"
    )
    addresses: int = Field(description="Destination addresses that the series is spread over")
    connections: int
    interval_seconds: float
    jitter: float = Field(description="Spread of the intervals as a fraction of the interval")
    base_score: float
    cv_score: float
    periodicity_score: float
    jitter_score: float
    cv: float
    dominant_period_seconds: float
    check_ins: int
    missed_check_ins: int
    connections_per_check_in: float
    configured_sleep_seconds: float = Field(description="Setting that the intervals suggest")
    false_alarm: float = Field(description="Most chance has of a line like the dominant period")
    episodes: int
    size_regularity: float = Field(description="Share of events whose sizes agree")
    first_seen: Moment
    last_seen: Moment
    detected_at: Moment
    process: str
    executable: str
    pid: int
    container: str
    sensor: str
    name: str
    direction: str
    bytes_out: int
    bytes_in: int
    evidence: str
    state: Literal["active", "silent"]
    whitelisted: bool = False

    @classmethod
    def of(cls, finding: Finding, now_ns: int, *, whitelisted: bool = False) -> Beacon:
        """Return the finding as the API shows it at wall time ``now_ns``."""
        return cls(
            **{name: getattr(finding, name) for name in _SAME_IN_FINDING},
            src_ip=finding.src,
            dst_ip=finding.dst,
            interval_seconds=finding.interval,
            dominant_period_seconds=finding.dominant_period,
            missed_check_ins=finding.missed,
            configured_sleep_seconds=finding.configured_sleep,
            reasons=[Reason(**asdict(reason)) for reason in finding.reasons],
            first_seen=rfc3339(finding.first_seen),
            last_seen=rfc3339(finding.last_seen),
            detected_at=rfc3339(finding.detected_at),
            state=finding.state(now_ns),
            whitelisted=whitelisted,
        )


_SAME_IN_FINDING = (
    "id", "score", "current_score", "risk", "severity", "false_alarm", "episodes", "size_regularity", "dst_port", "protocol", "series", "addresses", "connections",
    "jitter", "cv", "base_score", "cv_score", "periodicity_score", "jitter_score", "check_ins",
    "connections_per_check_in", "process", "executable", "pid", "container", "sensor", "name",
    "direction", "bytes_out", "bytes_in", "evidence",
)  # fmt: skip


class BeaconList(Answer):
    """Findings, highest risk first."""

    schema_: Literal["beacon-detect.beacons/1"] = Field("beacon-detect.beacons/1", alias="schema")
    count: int
    total: int = Field(description="Findings that match, before the limit")
    beacons: list[Beacon]


class Delivery(Answer):
    """What became of an alert on one channel."""

    channel: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    last_error: str | None


class Alert(Answer):
    """A finding that was told, and why."""

    id: str
    time: Moment
    kind: Literal["new", "worse", "back"]
    severity: Severity
    score: float
    risk: float
    finding_id: str
    title: str
    message: str
    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: str
    process: str
    container: str
    sensor: str
    interval_seconds: float | None
    evidence: str
    deliveries: list[Delivery]


class AlertList(Answer):
    """Alerts, newest first."""

    schema_: Literal["beacon-detect.alerts/1"] = Field("beacon-detect.alerts/1", alias="schema")
    count: int
    alerts: list[Alert]


class Connection(Answer):
    """A pair, with all its connections."""

    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: str
    connections: int
    first_seen: Moment
    last_seen: Moment
    bytes_out: int
    bytes_in: int
    process: str
    executable: str
    container: str
    sensor: str
    name: str
    direction: str
    score: float | None = Field(description="Highest score of its findings; null without one")


class ConnectionList(Answer):
    """Pairs, most connections first."""

    schema_: Literal["beacon-detect.connections/1"] = Field(
        "beacon-detect.connections/1", alias="schema"
    )
    count: int
    total: int
    connections: list[Connection]


class LongConnection(Answer):
    """A single connection that lasts or lasted long."""

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: str
    duration_seconds: float
    open: bool
    lost_sight: bool = Field(description="No end was seen, but its sensor reports it no more")
    started: Moment
    last_seen: Moment
    bytes_out: int
    bytes_in: int
    outcome: str
    process: str
    container: str
    sensor: str


class LongConnectionList(Answer):
    """Single connections, longest first."""

    schema_: Literal["beacon-detect.long-connections/1"] = Field(
        "beacon-detect.long-connections/1", alias="schema"
    )
    count: int
    connections: list[LongConnection]


class Sensor(Answer):
    """A sensor and what it lost."""

    sensor: str
    mode: str
    last_seen: Moment
    records: int
    losses: dict[str, int] = Field(description="Records lost, by reason")
    lost: int


class AnalyzerStatus(Answer):
    """How the passes go."""

    runs: int
    failures: int
    last_run: Moment | None
    last_duration_seconds: float
    pairs_analyzed: int = Field(description="Pairs in the last pass")
    last_error: str | None
    findings_dropped: int = Field(description="Findings dropped because there were too many")
    events_in_memory: int
    events_dropped: dict[str, int] = Field(
        description="Events no longer analyzed (still stored), by reason"
    )


class Channel(Answer):
    """How the deliveries of one alert channel go."""

    name: str
    enabled: bool
    delivered: int
    pending: int
    failed: int
    last_error: str | None
    last_delivery: Moment | None


class AlertingStatus(Answer):
    """The alert channels."""

    channels: list[Channel]


class ConfigStatus(Answer):
    """Which configuration is in force."""

    file: str | None
    overrides: str | None = Field(description="File of changes made through the API, if any")
    loaded_at: Moment
    hash: str
    last_reload_error: str | None
    needs_restart: list[str] = Field(description="Changed settings that wait for a restart")


class Status(Answer):
    """The state of the server."""

    schema_: Literal["beacon-detect.status/1"] = Field("beacon-detect.status/1", alias="schema")
    status: Literal["running"] = "running"
    version: str
    started_at: Moment
    uptime_seconds: float
    events_received: int
    batches_received: int
    duplicate_batches: int
    connection_pairs: int
    beacons_detected: int
    alerts_generated: int
    sensors: list[Sensor]
    storage: dict[str, Any]
    intake: dict[str, int] = Field(description="Requests and connections turned away, by reason")
    analyzer: AnalyzerStatus
    alerting: AlertingStatus
    config: ConfigStatus


class Configuration(Answer):
    """The configuration, secrets masked."""

    schema_: Literal["beacon-detect.config/1"] = Field("beacon-detect.config/1", alias="schema")
    file: str | None
    needs_restart: list[str]
    config: dict[str, Any]


class ConfigurationUpdate(Answer):
    """What an update did."""

    status: Literal["updated"] = "updated"
    applied: list[str] = Field(description="Settings in force now")
    needs_restart: list[str] = Field(description="Settings stored, in force after a restart")
    config: dict[str, Any]


class Accepted(Answer):
    """A batch that is on disk."""

    status: Literal["accepted"] = "accepted"
    batch: str
    records: int
    duplicate: bool = Field(description="It was stored before; nothing was counted twice")


class Analyzed(Answer):
    """What a pass found."""

    status: Literal["done"] = "done"
    run: int
    pairs_analyzed: int
    beacons_found: int = Field(description="Pairs that scored over the alert threshold")
    duration_seconds: float
    new: list[str] = Field(description="Ids of findings no earlier pass had made")
