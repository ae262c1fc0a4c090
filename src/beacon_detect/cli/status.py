"""``beacon-detect status``: is the system live, what has it counted, what has it lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import ago, clean, count, duration
from beacon_detect.cli.output import Column, table_lines, use_colour
from beacon_detect.errors import UnreachableError

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session

BANNER = r"""
    ____                               ____       __            __
   / __ )___  ____ __________  ____   / __ \___  / /____  _____/ /_
  / __  / _ \/ __ `/ ___/ __ \/ __ \ / / / / _ \/ __/ _ \/ ___/ __/
 / /_/ /  __/ /_/ / /__/ /_/ / / / // /_/ /  __/ /_/  __/ /__/ /_
/_____/\___/\__,_/\___/\____/_/ /_//_____/\___/\__/\___/\___/\__/
"""[1:]

_RULE = "═" * 67
_LABEL = 31
_GREEN, _RED = "1;32", "1;31"

_SENSORS = (
    Column("sensor", "SENSOR", 20),
    Column("mode", "MODE", 10),
    Column("last_seen", "LAST SEEN", 13, ago),
    Column("records", "RECORDS", 13, count),
    Column("lost", "LOST", 8, count),
)
_CHANNELS = (
    Column("name", "CHANNEL", 10),
    Column("enabled", "STATE", 8, lambda on: "on" if on else "off"),
    Column("delivered", "DELIVERED", 12, count),
    Column("pending", "WAITING", 10, count),
    Column("failed", "FAILED", 9, count),
    Column("last_error", "LAST ERROR", 0, lambda error: clean(error) or "-"),
)


@click.command("status")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="Format: text, or json (the API's answer).",
)  # fmt: skip
@click.pass_obj
def command(session: Session, output: str) -> None:
    """Show whether the system is live, its counters and losses.

    OFFLINE, with exit code 3, means that the control plane cannot be reached.

    \b
    Example:
      beacon-detect status
      beacon-detect --host 192.0.2.7 status -o json
    """
    try:
        with Client(session) as client:
            answer = client.get("status")
    except UnreachableError:
        if output == "json":
            offline = {"schema": "beacon-detect.status/1", "status": "offline"}
            click.echo(json.dumps({**offline, "server": session.server}, indent=2))
        else:
            click.echo("\n".join(_head(live=False, server=session.server)))
        raise
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo("\n".join(status_lines(answer, session.server)))


def status_lines(answer: dict[str, Any], server: str) -> list[str]:
    """Return the screen of a control plane that answers."""
    lines = [
        *_head(live=True, server=server),
        _line("Status", clean(answer["status"]).capitalize()),
        _line("Uptime", duration(answer["uptime_seconds"])),
        _line("Events Received", count(answer["events_received"])),
        _line("Connection Pairs", count(answer["connection_pairs"])),
        _line("Beacons Detected", count(answer["beacons_detected"])),
        _line("Alerts Generated", count(answer["alerts_generated"])),
        "",
    ]
    sensors = answer["sensors"]
    if sensors:
        lines += [*table_lines(_SENSORS, sensors, colour=False), ""]
        lines += [text for sensor in sensors if (text := _losses(sensor))]
    else:
        lines += ["  No sensor has reported yet: start one with beacon-detect sensor", ""]
    if channels := answer["alerting"]["channels"]:
        lines += [*table_lines(_CHANNELS, channels, colour=False), ""]
    return lines + [f"  ! {text}" for text in _troubles(answer)]


def _head(*, live: bool, server: str) -> list[str]:
    sign, paint = ("✓ LIVE", _GREEN) if live else ("✗ OFFLINE", _RED)
    if use_colour():
        sign = f"\x1b[{paint}m{sign}\x1b[0m"
    title = [_RULE, "  SYSTEM STATUS", _RULE, "", ""]
    return [*BANNER.splitlines(), "", "", *title, f"  {sign}", "", "", _line("Server", server)]


def _line(label: str, value: str) -> str:
    return f"  {label + ':':<{_LABEL}}{value}"


def _losses(sensor: dict[str, Any]) -> str:
    lost = {reason: number for reason, number in sensor["losses"].items() if number}
    reasons = ", ".join(f"{clean(reason)} {count(number)}" for reason, number in lost.items())
    return f"  lost by {clean(sensor['sensor'])}: {reasons}" if reasons else ""


def _troubles(answer: dict[str, Any]) -> list[str]:
    """Return what needs a person's attention, one sentence each."""
    config, analyzer = answer["config"], answer["analyzer"]
    troubles = []
    if config.get("last_reload_error"):
        troubles.append(f"the last reload was refused: {clean(config['last_reload_error'])}")
    if waiting := config.get("needs_restart"):
        troubles.append(f"changed, but waiting for a restart: {clean(', '.join(waiting))}")
    if analyzer.get("last_error"):
        troubles.append(f"the last analysis failed: {clean(analyzer['last_error'])}")
    refused = {reason: number for reason, number in answer.get("intake", {}).items() if number}
    if refused:
        reasons = ", ".join(f"{clean(reason)} {count(n)}" for reason, n in refused.items())
        troubles.append(f"turned away: {reasons}")
    return troubles
