"""Either side is killed and started again: every connection is stored, and once."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.world import SERVER_V4, System, namespaces, process
from patience import PATIENCE, eventually
from ports import own_port

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

TRAFFIC = str(Path(__file__).parent / "traffic.py")
PORT = 8443


def check_in(spaces: Any, folder: Path, count: int) -> None:
    command = [*spaces.in_client(), sys.executable, TRAFFIC, "beacon"]
    command += [SERVER_V4, str(PORT), str(count), "0.05"]
    with process(command, folder / "client.log") as client:
        assert client.child.wait(PATIENCE) == 0, client.text()


def test_nothing_is_lost_or_counted_twice_when_either_side_is_killed(tmp_path: Path) -> None:
    quiet = {"alerting": {"syslog_enabled": False, "file_enabled": False}}
    system = System(tmp_path / "system", own_port(), quiet)
    with ExitStack() as stack:
        spaces = stack.enter_context(namespaces())
        listener = stack.enter_context(
            process(
                [*spaces.in_server(), sys.executable, TRAFFIC, "listen", str(PORT)],
                tmp_path / "listener.log",
            )
        )
        eventually(lambda: "listening" in listener.text(), what="the listener listens")
        server = stack.enter_context(system.server())
        eventually(system.is_up, what="the control plane answers")
        sensor = stack.enter_context(system.sensor())
        eventually(system.watches, what="the sensor reports")

        check_in(spaces, tmp_path, 13)
        eventually(lambda: system.connections(PORT) == 13, what="13 connections")
        server.stop(signal.SIGKILL)
        check_in(spaces, tmp_path, 17)
        server = stack.enter_context(system.server())
        eventually(system.is_up, what="the control plane is back")
        eventually(lambda: system.connections(PORT) == 30, what="13 + 17 connections")

        sensor.stop(signal.SIGKILL)
        before = sensor.text().count("watching connections")
        sensor = stack.enter_context(system.sensor())
        eventually(
            lambda: sensor.text().count("watching connections") > before, "the sensor is back"
        )
        check_in(spaces, tmp_path, 19)
        eventually(lambda: system.connections(PORT) == 49, what="30 + 19 connections")

        assert sensor.stop() == 0, sensor.text()
        assert server.stop() == 0, server.text()
        assert connections_stored(system) == 49


def connections_stored(system: System) -> int:
    """Return the count after one more start, from disk alone."""
    with system.server():
        eventually(system.is_up, what="the control plane answers")
        return system.connections(PORT)
