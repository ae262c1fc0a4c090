"""From packets to alerts with real parts: kernel program, processes, sockets, files.

One run of traffic is watched twice: by a host sensor on this machine and by a
gateway sensor on the interface of the server's namespace, each with a control
plane of its own.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.traffic import ANSWER, REQUEST
from e2e.world import (
    CLIENT_V4,
    CLIENT_V6,
    SERVER_V4,
    SERVER_V6,
    Receivers,
    System,
    namespaces,
    process,
    receivers,
)
from patience import PATIENCE, eventually
from ports import own_port

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

TRAFFIC = str(Path(__file__).parent / "traffic.py")
BEACON_PORT = 8443
CHECK_INS = 31
IMPLANT = "implantd"


@dataclass
class Watched:
    """Both systems after the traffic, with what the receivers of the host system got."""

    host: System
    gateway: System
    receivers: Receivers
    implant_pid: int
    interval: float
    """Mean time between check-ins by the implant's own clock, seconds, without stalls."""


def implant_python(folder: Path) -> str:
    """Return a path that runs this Python under a name of its own, as an implant would."""
    link = folder / IMPLANT
    link.symlink_to(sys.executable)
    return str(link)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("road")
    with ExitStack() as stack:
        spaces = stack.enter_context(namespaces())
        got = stack.enter_context(receivers(folder))
        alerting = {
            "syslog": {"enabled": True, "socket_path": str(got.syslog_path)},
            "file": {"enabled": True, "path": str(folder / "alerts.json")},
            "webhook": {
                "enabled": True,
                "url": f"http://127.0.0.1:{got.webhook_port}/hook",
                "timeout": PATIENCE,  # an attempt cut short would be repeated
            },
        }
        quiet = {"syslog_enabled": False, "file_enabled": False}
        host = System(folder / "host", own_port(), {"alerting": alerting})
        gateway = System(
            folder / "gateway",
            9090,
            {"alerting": quiet, "data_plane": {"interface": spaces.server_interface}},
            spaces.in_server(),
        )
        for system in (host, gateway):
            stack.enter_context(system.server())
            eventually(system.is_up, what="the control plane answers")
            stack.enter_context(system.sensor())
        for system in (host, gateway):
            eventually(system.watches, what="the sensor reports")
        listener = stack.enter_context(
            process(
                [*spaces.in_server(), sys.executable, TRAFFIC, "listen", str(BEACON_PORT)],
                folder / "listener.log",
            )
        )
        eventually(lambda: "listening" in listener.text(), what="the listener listens")
        stack.enter_context(
            process(
                [*spaces.in_client(), sys.executable, TRAFFIC, "noise", SERVER_V4, SERVER_V6, "40"],
                folder / "noise.log",
            )
        )
        implant = stack.enter_context(
            process(
                [
                    *spaces.in_client(),
                    *(implant_python(folder), TRAFFIC, "beacon"),
                    *(SERVER_V4, str(BEACON_PORT), str(CHECK_INS), "1.0"),
                ],
                folder / "implant.log",
            )
        )
        assert implant.child.wait(2 * PATIENCE) == 0, implant.text()
        for system in (host, gateway):
            eventually(
                lambda system=system: system.connections(BEACON_PORT) == CHECK_INS,
                what="every check-in is stored",
            )
            eventually(lambda system=system: found_whole(system), what="the beacon is found")
        yield Watched(host, gateway, got, implant.child.pid, calm_interval(implant.text()))


def calm_interval(stamps: str) -> float:
    """Return the mean interval without those that a busy machine drew out, as a finding does."""
    intervals = np.diff([float(stamp) for stamp in stamps.split()])
    return float(intervals[intervals < 1.5 * np.median(intervals)].mean())


def beacons(system: System) -> list[dict[str, Any]]:
    """Return the findings inside this world; the machine's own processes are not ours to judge."""
    return [b for b in system.get("beacons")["beacons"] if b["src_ip"] in (CLIENT_V4, CLIENT_V6)]


def found_whole(system: System) -> bool:
    """Say whether the beacon is a finding that a pass over its last check-in has updated."""
    return [b["connections"] for b in beacons(system)] == [CHECK_INS]


@pytest.fixture(params=["host", "gateway"])
def system(request: pytest.FixtureRequest, watched: Watched) -> System:
    return getattr(watched, request.param)


def test_the_beacon_and_only_it_is_flagged(system: System) -> None:
    found = [(b["src_ip"], b["dst_ip"], b["dst_port"], b["protocol"]) for b in beacons(system)]

    assert found == [(CLIENT_V4, SERVER_V4, BEACON_PORT, "TCP")]


def test_the_interval_is_right_within_five_percent(system: System, watched: Watched) -> None:
    found = beacons(system)[0]["interval_seconds"]

    assert found == pytest.approx(watched.interval, rel=0.05)


def test_connections_and_bytes_are_counted_exactly(system: System) -> None:
    expected = {
        "connections": CHECK_INS,
        "bytes_out": CHECK_INS * REQUEST,
        "bytes_in": CHECK_INS * ANSWER,
    }

    eventually(lambda: expected.items() <= system.pair(BEACON_PORT).items(), what=f"{expected}")


def test_the_host_sensor_names_the_process(watched: Watched) -> None:
    found = beacons(watched.host)[0]

    assert found["process"] == IMPLANT
    assert found["pid"] == watched.implant_pid
    assert found["direction"] == "outbound"


def test_the_noise_is_seen_over_ipv6_too(system: System) -> None:
    pairs = system.get("connections?limit=1000")["connections"]

    assert any(p["dst_ip"] == SERVER_V6 for p in pairs)
    assert any(p["protocol"] == "UDP" for p in pairs)


def test_the_alert_arrived_once_on_each_channel(watched: Watched) -> None:
    def new() -> list[dict[str, Any]]:
        alerts = watched.host.get("alerts")["alerts"]
        return [a for a in alerts if a["kind"] == "new" and a["src_ip"] == CLIENT_V4]

    def states() -> list[str]:
        return [delivery["state"] for alert in new() for delivery in alert["deliveries"]]

    eventually(lambda: states() == ["delivered"] * 3, "every channel has delivered")

    wanted = new()[0]["id"]
    eventually(lambda: any(wanted.encode() in m for m in watched.receivers.syslog), "it is read")
    lines = (watched.host.folder.parent / "alerts.json").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines].count(wanted) == 1
    assert [body["id"] for body in watched.receivers.webhook].count(wanted) == 1
    assert sum(wanted.encode() in message for message in watched.receivers.syslog) == 1


def test_the_cli_shows_what_the_api_says(system: System) -> None:
    listed = csv.DictReader(io.StringIO(system.cli("beacons", "--csv")))
    rows = [row for row in listed if row["src_ip"] == CLIENT_V4]
    wanted = beacons(system)[0]

    assert len(rows) == 1
    assert rows[0]["src_ip"] == wanted["src_ip"]
    assert rows[0]["dst_port"] == str(wanted["dst_port"])
    assert int(rows[0]["connections"]) == wanted["connections"]


def test_status_shows_the_sensor_without_losses(system: System) -> None:
    status = system.get("status")

    assert [sensor["lost"] for sensor in status["sensors"]] == [0]
    assert "LIVE" in system.cli("status")
