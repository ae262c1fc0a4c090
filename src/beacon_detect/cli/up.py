"""``beacon-detect up``: sensor and control plane on this machine, until Ctrl-C.

The two daemons run as child processes with the user's configuration; what
``up`` decides for them (where state lies, how often is analyzed) travels in
``BEACON_DETECT_`` variables and is told. A setting of the user's own wins.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from beacon_detect.cli.options import config_option
from beacon_detect.cli.session import TOKEN_VARIABLE, Session
from beacon_detect.cli.supervisor import Supervisor
from beacon_detect.data_plane.capabilities import missing_capabilities
from beacon_detect.errors import BeaconError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from beacon_detect.config import Config, LoadedConfig

ANALYSIS_SECONDS = 10
"""Analysis interval under ``up``: whoever tries it should not wait a minute (taste)."""

START_SECONDS = 90.0
"""Longest start of the control plane; the first one compiles the analyzer."""

_PREFIX = "BEACON_DETECT_"
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to reach a listener on all)


@dataclass
class Plan:
    """What ``up`` starts and says: variables for the children, lines for people."""

    config: Config
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def session(self) -> Session:
        """How to reach the control plane that is started."""
        address = self.config.control_plane.listen_address
        token_file = self.config.control_plane.token_file
        return Session(
            host=_ANY.get(address, address),
            port=self.config.control_plane.listen_port,
            token_file=Path(token_file) if token_file else None,
        )


@click.command("up")
@config_option
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Keep database, spool and alert file here, whatever the configuration says.",
)  # fmt: skip
def command(config_file: Path | None, state_dir: Path | None) -> None:
    """Run sensor and control plane on this machine until Ctrl-C.

    The sensor needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; without
    them only the control plane runs. A second Ctrl-C does not wait for an
    orderly end. When one of the two ends, the other is stopped and the exit
    code is that of the one that ended.

    \b
    Example:
      sudo beacon-detect up
      sudo beacon-detect up -c config/config.yaml --state-dir .state
    """
    plan = make_plan(
        config_file, state_dir, os.environ, missing_capabilities(), as_root=os.geteuid() == 0
    )
    environment = {**os.environ, **plan.variables}
    files = ["-c", str(config_file)] if config_file else []
    start = [sys.executable, "-P", "-m", "beacon_detect"]
    with Supervisor(_tell) as children:
        _refuse_second(plan.session)
        children.start("control plane", [*start, "server", *files], environment)
        if not _healthy(children, plan.session):
            return
        if not plan.missing:
            children.start("sensor", [*start, "sensor", *files], environment)
        _tell("\n".join(announcement(plan)))
        children.watch()
    _tell("stopped")


def make_plan(
    file: Path | None,
    state_dir: Path | None,
    environment: Mapping[str, str],
    missing: list[str],
    *,
    as_root: bool,
) -> Plan:
    """Return what to start; ConfigError when the configuration does not hold."""
    from beacon_detect.config import Config, load_effective

    variables = {}
    if state_dir is not None:
        folder = state_dir.absolute()
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise BeaconError(
                f"{folder}: cannot be made: {error.strerror}", hint="choose another --state-dir"
            ) from None
        variables = {
            f"{_PREFIX}CONTROL_PLANE__DATA_DIR": str(folder / "data"),
            f"{_PREFIX}DATA_PLANE__SPOOL_DIR": str(folder / "spool"),
            f"{_PREFIX}ALERTING__FILE__PATH": str(folder / "alerts.json"),
        }
    loaded = load_effective(file, environment={**environment, **variables})
    plan = Plan(loaded.config, variables, missing=missing)
    _analyze_often(plan, loaded, Config(), environment)
    if not as_root:
        _keep_alerts_writable(plan, Config())
    _join(plan, Config(), environment)
    plan.config = load_effective(file, environment={**environment, **variables}).config
    return plan


def _analyze_often(
    plan: Plan, loaded: LoadedConfig, default: Config, environment: Mapping[str, str]
) -> None:
    name = f"{_PREFIX}DETECTION__ANALYSIS_INTERVAL"
    # The shipped file spells the default out; only another value is a choice of the user.
    chosen = loaded.config.detection.analysis_interval != default.detection.analysis_interval
    if chosen or name in environment:
        return
    plan.variables[name] = str(ANALYSIS_SECONDS)
    plan.notes.append(
        f"every {ANALYSIS_SECONDS} s under `up`, else {default.detection.analysis_interval:g} s"
        f" ({name} sets it)"
    )


def _keep_alerts_writable(plan: Plan, default: Config) -> None:
    """Move the alert file to the user's own state folder where the default one is root's."""
    path = plan.config.alerting.file.path
    if path == default.alerting.file.path:
        own = Path(default.control_plane.data_dir).parent / "alerts.json"
        plan.variables[f"{_PREFIX}ALERTING__FILE__PATH"] = str(own)


def _join(plan: Plan, default: Config, environment: Mapping[str, str]) -> None:
    """Make the sensor speak to the control plane that is started beside it."""
    sensor, usual = plan.config.data_plane, default.data_plane
    session = plan.session
    if (sensor.control_plane_host, sensor.control_plane_port) == (
        usual.control_plane_host,
        usual.control_plane_port,
    ):
        plan.variables[f"{_PREFIX}DATA_PLANE__CONTROL_PLANE_HOST"] = session.host
        plan.variables[f"{_PREFIX}DATA_PLANE__CONTROL_PLANE_PORT"] = str(session.port)
    if session.token_file and not sensor.token_file and TOKEN_VARIABLE not in environment:
        plan.variables[f"{_PREFIX}DATA_PLANE__TOKEN_FILE"] = str(session.token_file)


def announcement(plan: Plan) -> list[str]:
    """Return what is watched, where the API is, and how to look, in plain words."""
    session = plan.session
    command = _own_command()
    if session.host not in {"127.0.0.1", "::1", "localhost"}:
        command += f" --host {session.host}"
    if session.port != Session.port:
        command += f" --port {session.port}"
    if session.token_file:
        command += f" --token-file {session.token_file}"
    config = plan.config
    analysis = plan.notes or [f"every {config.detection.analysis_interval:g} s"]
    facts = {
        "watching": _watched(plan),
        "API": f"{session.url} (described by http://{session.server}/openapi.json)",
        "look": f"{command} watch   (or: status, beacons, alerts)",
        "analysis": analysis[0],
        "alerts": _channels(config),
        "state": f"{config.control_plane.data_dir}, {config.data_plane.spool_dir}",
        "stop": "Ctrl-C",
    }
    return ["", *(f"  {name:<10}{fact}" for name, fact in facts.items()), ""]


def _watched(plan: Plan) -> str:
    sensor = plan.config.data_plane
    if plan.missing:
        return (
            f"nothing: the sensor needs {', '.join(plan.missing)}; run this as root (sudo), or"
            " point a sensor on another machine here"
        )
    kinds = {"TCP": sensor.track_tcp, "UDP": sensor.track_udp, "ICMP echo": sensor.track_icmp}
    protocols = ", ".join(name for name, on in kinds.items() if on) or "no protocol"
    loopback = "" if sensor.include_loopback else ", loopback left out"
    if sensor.interface:
        return f"every connection on {sensor.interface} ({protocols}{loopback})"
    return f"every connection of this machine and its containers, with its process ({protocols}{loopback})"


def _channels(config: Config) -> str:
    alerting = config.alerting
    on = [
        "syslog" if alerting.syslog.enabled else "",
        alerting.file.path if alerting.file.enabled else "",
        "webhook" if alerting.webhook.enabled else "",
    ]
    return ", ".join(channel for channel in on if channel) or "no channel is enabled"


def _own_command() -> str:
    """Return how this command line can be called from the same place."""
    called = Path(sys.argv[0])
    if called.name != "beacon-detect":
        return "python3 -m beacon_detect"
    found = shutil.which(called.name)
    if found and called.exists() and Path(found).samefile(called):
        return called.name
    here = Path.cwd()
    return str(called.relative_to(here) if called.is_relative_to(here) else called)


def _refuse_second(session: Session) -> None:
    """Refuse to start where another control plane answers: its health would pass for ours."""
    if _answers(session):
        raise BeaconError(
            f"a control plane already runs at {session.server}",
            hint="stop it, or set control_plane.listen_port to another port",
        )


def _healthy(children: Supervisor, session: Session) -> bool:
    """Wait until the control plane answers; return False when a stop was asked for before."""
    _tell("starting the control plane (the first start takes longer)")
    step = 0.2
    for _ in range(int(START_SECONDS / step)):
        if children.pause(step):
            return False
        if _answers(session):
            return True
    raise UnreachableError(
        f"the control plane did not answer at {session.server} within {START_SECONDS:g} s"
    )


def _answers(session: Session) -> bool:
    """Return whether a control plane answers its health check."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    # Not the API client: health carries no schema and needs no token.
    try:
        with build_opener(ProxyHandler({})).open(f"{session.url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _tell(text: str) -> None:
    click.echo(text, err=True)
