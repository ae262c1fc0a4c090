"""Every setting of the system: type, default, unit, bounds and meaning, declared once.

The loader, the environment overrides, ``config/config.yaml``, the reference
page and the API's partial update all derive from these models.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from beacon_detect.config.context import Context
from beacon_detect.config.declare import Network, Section, setting
from beacon_detect.config.pairs import parse_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


def _state_home() -> Path:
    """Return where this user's daemons keep state (XDG Base Directory; root: /var/lib)."""
    if os.geteuid() == 0:
        return Path("/var/lib/beacon-detect")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "beacon-detect"


def _pair(text: str) -> str:
    parse_pair(text)
    return text


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"must be a power of two (for example {1 << value.bit_length()})")
    return value


def _listen_address(text: str) -> str:
    if text == "localhost":
        return text
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("must be an IP address of this machine, or localhost") from None
    return text


def _web_url(text: str) -> str:
    if not text:
        return text
    if not text.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    if not text.isprintable() or " " in text:
        raise ValueError("must not hold spaces or control characters")
    try:
        parts = urlsplit(text)
        callable_ = bool(parts.hostname) and parts.port != 0
    except ValueError:
        callable_ = False
    if not callable_:
        raise ValueError("must name a host, like https://example.org/path")
    return text


def _header_name(text: str) -> str:
    # RFC 9110 section 5.6.2: a token.
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text):
        raise ValueError("is no name for a header (letters, digits and hyphens)")
    return text


def _header_value(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


Pair = Annotated[str, AfterValidator(_pair)]
Port = Annotated[int, Field(ge=0, le=65535)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


class DataPlane(Section):
    """The sensor: what it captures and where it sends its telemetry."""

    interface: str = setting(
        "",
        "Network interface to watch as a gateway or SPAN port; empty watches this host's own"
        " connections, with the process behind each",
        restart=True,
        max_length=15,
    )
    sensor_name: str = setting(
        socket.gethostname,
        "Name of this sensor in findings",
        restart=True,
        shown="the host name",
        min_length=1,
        max_length=128,
    )
    control_plane_host: str = setting(
        "127.0.0.1", "Address of the control plane", restart=True, min_length=1
    )
    control_plane_port: int = setting(
        9090, "Port of the control plane", restart=True, ge=1, le=65535
    )
    token_file: str = setting(
        "",
        "File with the API token to send (or the environment variable BEACON_API_TOKEN)",
        restart=True,
    )
    export_interval: float = setting(
        5.0, "Longest time a record waits before it is sent", unit="seconds", ge=0.2, le=3600
    )
    max_buffer_size: int = setting(
        100_000,
        "Most records held in memory; a full buffer is sent at once",
        unit="records",
        ge=100,
        le=5_000_000,
    )
    ring_buffer_pages: Annotated[int, AfterValidator(_power_of_two)] = setting(
        64,
        "Size of the kernel's event buffer (64 pages: 16 MiB, about 100,000 events)",
        unit="pages of 256 KiB",
        restart=True,
        ge=1,
        le=4096,
    )
    flow_map_size: int = setting(
        65_536,
        "Most connections the kernel tracks at once; the least recently active is dropped first",
        unit="connections",
        restart=True,
        ge=1024,
        le=4_194_304,
    )
    track_tcp: bool = setting(True, "Watch TCP", restart=True)
    track_udp: bool = setting(True, "Watch UDP", restart=True)
    track_icmp: bool = setting(True, "Watch ICMP and ICMPv6 echo", restart=True)
    include_loopback: bool = setting(
        False, "Watch loopback traffic (127.0.0.0/8, ::1) too", restart=True
    )
    burst_idle: float = setting(
        1.0,
        "Silence after which new activity in an open connection counts as a burst",
        unit="seconds",
        restart=True,
        ge=0.01,
        le=86_400,
    )
    tcp_idle_timeout: float = setting(
        3600.0,
        "A silent TCP connection counts as ended after this long",
        unit="seconds",
        ge=5,
        le=604_800,
    )
    udp_idle_timeout: float = setting(
        60.0,
        "A silent UDP or ICMP exchange counts as ended after this long",
        unit="seconds",
        ge=1,
        le=86_400,
    )
    unanswered_timeout: float = setting(
        60.0,
        "A connection attempt without an answer counts as ended after this long",
        unit="seconds",
        ge=1,
        le=3600,
    )
    update_interval: float = setting(
        60.0,
        "How often a connection that stays open is reported again",
        unit="seconds",
        ge=1,
        le=3600,
    )
    spool_dir: str = setting(
        lambda: str(_state_home() / "spool"),
        "Folder where batches wait until the control plane has them",
        restart=True,
        shown="/var/lib/beacon-detect/spool for root, else ~/.local/state/beacon-detect/spool",
        min_length=1,
    )
    spool_max_mb: int = setting(
        1024, "Most disk space of the spool; beyond it the oldest batch is dropped and counted",
        unit="MiB", ge=1, le=1_048_576,
    )  # fmt: skip
    spool_max_age: float = setting(
        604_800.0,
        "Longest time a batch waits in the spool before it is dropped and counted",
        unit="seconds",
        ge=60,
        le=31_536_000,
    )


class ControlPlane(Section):
    """The server: its listener, its storage and its bounds."""

    listen_address: Annotated[str, AfterValidator(_listen_address)] = setting(
        "127.0.0.1",
        "Address to listen on; any other than loopback needs an API token",
        restart=True,
    )
    listen_port: int = setting(9090, "Port to listen on", restart=True, ge=1, le=65535)
    token_file: str = setting(
        "",
        "File with the API token that clients must send (or the environment variable"
        " BEACON_API_TOKEN); empty: no token, loopback only",
        restart=True,
    )
    allowed_hosts: list[str] = setting(
        list,
        "Further host names under which browsers and clients may address the API",
        restart=True,
    )
    data_dir: str = setting(
        lambda: str(_state_home() / "data"),
        "Folder of the database",
        restart=True,
        shown="/var/lib/beacon-detect/data for root, else ~/.local/state/beacon-detect/data",
        min_length=1,
    )
    data_retention: int = setting(
        86_400, "Records older than this are deleted", unit="seconds", ge=60, le=315_360_000
    )
    finding_retention: int = setting(
        2_592_000, "Findings last seen longer ago than this are deleted, but not before their records; 0 keeps them",
        unit="seconds", ge=0, le=315_360_000,
    )  # fmt: skip
    cleanup_interval: int = setting(
        300, "How often old records are deleted", unit="seconds", ge=1, le=86_400
    )
    memory_limit_mb: int = setting(
        192, "Most memory the database engine may use", unit="MiB", restart=True, ge=128, le=1_048_576
    )  # fmt: skip
    max_request_mb: int = setting(
        64, "Largest request body, before and after decompression", unit="MiB", ge=1, le=1024
    )
    series_length: int = setting(
        1024, "Most recent check-ins of a pair that are analyzed", unit="check-ins", ge=32, le=65_536
    )  # fmt: skip
    working_set_events: int = setting(
        4_000_000,
        "Most check-ins held in memory for analysis; beyond it the oldest are left to the disk",
        unit="check-ins",
        restart=True,
        ge=10_000,
        le=1_000_000_000,
    )

    @property
    def is_local(self) -> bool:
        """Whether the listener is reachable from this machine only."""
        address = self.listen_address
        return address == "localhost" or ipaddress.ip_address(address).is_loopback


class Weights(Section):
    """Shares of the three scores in the base score; only their proportions matter."""

    cv: float = setting(0.4, "Share of the CV score", ge=0, le=1000)
    periodicity: float = setting(0.4, "Share of the periodicity score", ge=0, le=1000)
    jitter: float = setting(0.2, "Share of the jitter score", ge=0, le=1000)

    @model_validator(mode="after")
    def _some_weight(self) -> Weights:
        if self.cv + self.periodicity + self.jitter <= 0:
            raise ValueError("cv, periodicity and jitter must not all be 0")
        return self


class Detection(Section):
    """What counts as a beacon."""

    min_connections: int = setting(
        10, "Fewest check-ins of a pair before it is scored", unit="check-ins", ge=4, le=100_000
    )
    cv_threshold: float = setting(
        0.15,
        "Coefficient of variation of the intervals at which the CV score is one half",
        gt=0,
        le=10,
    )
    jitter_threshold: float = setting(
        5.0, "Timing deviation at which the jitter score is one half", unit="seconds", gt=0, le=86_400
    )  # fmt: skip
    scoring: Literal["calibrated", "weighted"] = setting(
        "calibrated",
        "What a score is: calibrated, a fitted model whose cut-offs have a known false-positive"
        " rate; or weighted, the base score: CV, periodicity and jitter score by detection.weights",
    )
    weights: Weights = Field(
        default_factory=Weights,
        description="Shares of the three scores in the base score; only their proportions matter",
    )
    alert_threshold: float = setting(0.7, "Score from which a finding raises an alert", ge=0, le=1)
    finding_threshold: float = setting(
        0.5, "Score from which a pair is kept as a finding", ge=0, le=1
    )
    analysis_interval: float = setting(
        60.0, "How often pairs with new records are analyzed", unit="seconds", ge=0.5, le=86_400
    )


SyslogFacility = Literal[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip
Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]


class Syslog(Section):
    """Alerts as RFC 5424 messages."""

    enabled: bool = setting(True, "Send alerts to syslog")
    transport: Literal["unix", "udp", "tcp"] = setting("unix", "unix, udp or tcp")
    socket_path: str = setting("/dev/log", "Socket of the local syslog daemon (unix)", min_length=1)
    host: str = setting("127.0.0.1", "Syslog server (udp, tcp)", min_length=1)
    port: int = setting(514, "Port of the syslog server (udp, tcp)", ge=1, le=65535)
    facility: SyslogFacility = setting("local0", "Syslog facility")
    level: Severity = setting("LOW", "Least severity sent: LOW, MEDIUM, HIGH or CRITICAL")
    timeout: float = setting(5.0, "Longest wait for the server", unit="seconds", ge=0.1, le=300)


class AlertFile(Section):
    """Alerts as JSON lines in a file."""

    enabled: bool = setting(True, "Write alerts to a file")
    path: str = setting(
        "/var/log/beacon-detect/alerts.json", "File to append to, one JSON object a line", min_length=1
    )  # fmt: skip
    max_size_mb: float = setting(
        100.0, "Size at which the file is rotated", unit="MiB", gt=0, le=1_048_576
    )
    backup_count: int = setting(5, "Rotated copies to keep", unit="files", ge=0, le=1000)


class Webhook(Section):
    """Alerts as HTTP POST requests."""

    enabled: bool = setting(False, "POST alerts to a URL")
    url: Annotated[str, AfterValidator(_web_url)] = setting(
        "", "Where to POST; may carry a secret, so it is masked in answers", secret=True
    )
    headers: dict[HeaderName, HeaderValue] = setting(
        dict, "Further request headers, for example Authorization", secret=True
    )
    timeout: float = setting(10.0, "Longest wait for an answer", unit="seconds", ge=0.1, le=300)
    retries: int = setting(
        10, "Attempts after the first before a delivery is given up", unit="attempts", ge=0, le=1000
    )
    retry_backoff: float = setting(
        2.0, "Wait before the first retry; doubled for each further one, at most one hour",
        unit="seconds", ge=0.05, le=3600,
    )  # fmt: skip

    @model_validator(mode="after")
    def _url_present(self) -> Webhook:
        if self.enabled and not self.url:
            raise ValueError("enabled is true but url is empty")
        return self


class Alerting(Section):
    """When and where alerts go."""

    alert_cooldown: float = setting(
        3600.0,
        "Quiet time before a finding that went silent and returned alerts again",
        unit="seconds",
        ge=0,
        le=2_592_000,
    )
    syslog: Syslog = Field(default_factory=Syslog, description="Alerts as RFC 5424 messages")
    file: AlertFile = Field(default_factory=AlertFile, description="Alerts as JSON lines")
    webhook: Webhook = Field(default_factory=Webhook, description="Alerts as HTTP POST requests")


class Whitelist(Section):
    """Traffic that is known and wanted: hidden and never alerted, old results included."""

    source_ips: list[Network] = setting(list, "Source addresses or networks", max_length=100_000)
    destination_ips: list[Network] = setting(
        list, "Destination addresses or networks", max_length=100_000
    )
    destination_ports: list[Port] = setting(
        lambda: [53, 123], "Destination ports (default: DNS and NTP)", max_length=65_536
    )
    pairs: list[Pair] = setting(
        list, "Pairs as source:destination:port, IPv6 in brackets", max_length=100_000
    )


class Logging(Section):
    """The daemons' own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Least level written: debug, info, warning or error"
    )
    format: Literal["auto", "console", "json"] = setting(
        "auto", "console, json, or auto: console on a terminal, JSON otherwise", restart=True
    )


class Config(Section):
    """The whole configuration."""

    data_plane: DataPlane = Field(default_factory=DataPlane)
    control_plane: ControlPlane = Field(default_factory=ControlPlane)
    detection: Detection = Field(default_factory=Detection)
    context: Context = Field(default_factory=Context)
    alerting: Alerting = Field(default_factory=Alerting)
    whitelist: Whitelist = Field(default_factory=Whitelist)
    logging: Logging = Field(default_factory=Logging)


SPELLINGS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("alerting", "syslog_enabled"): ("alerting", "syslog", "enabled"),
    ("alerting", "file_enabled"): ("alerting", "file", "enabled"),
    ("alerting", "file_path"): ("alerting", "file", "path"),
    ("alerting", "webhook_enabled"): ("alerting", "webhook", "enabled"),
    ("alerting", "webhook_url"): ("alerting", "webhook", "url"),
    ("whitelist", "ports"): ("whitelist", "destination_ports"),
}
"""Second documented spelling of a setting -> its home."""


def settings(
    model: type[BaseModel] = Config, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, field) of every setting, sections first to last."""
    for name, info in model.model_fields.items():
        path = (*prefix, name)
        if section := section_model(info):
            yield from settings(section, path)
        else:
            yield path, info


def section_model(info: Any) -> type[BaseModel] | None:
    """Return the model of a field that is a section, else None."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


@cache
def section_paths() -> frozenset[tuple[str | int, ...]]:
    """Return the path of every section and subsection."""
    return frozenset(path[:cut] for path, _ in settings() for cut in range(1, len(path)))


@cache
def secret_paths() -> frozenset[tuple[str | int, ...]]:
    """Return the path of every setting that may carry a secret."""
    return frozenset(path for path, info in settings() if info.json_schema_extra["secret"])
