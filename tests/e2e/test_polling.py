"""Polling through one connection that stays open: real packets, real sensor, series of bursts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e.traffic import ANSWER, REQUEST
from e2e.world import (
    CLIENT_V4,
    SERVER_V4,
    System,
    namespaces,
    process,
)
from patience import PATIENCE, eventually
from ports import own_port

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

TRAFFIC = str(Path(__file__).parent / "traffic.py")
PORT = 8444
POLLS = 16
INTERVAL = 2.0


def test_polling_inside_one_open_connection_is_found_as_bursts(tmp_path: Path) -> None:
    settings = {"alerting": {"syslog_enabled": False, "file_enabled": False}}
    system = System(tmp_path / "host", own_port(), settings)
    with namespaces() as spaces, system.server():
        eventually(system.is_up, what="the control plane answers")
        with system.sensor():
            eventually(system.watches, what="the sensor reports")
            serve = [*spaces.in_server(), sys.executable, TRAFFIC, "serve", str(PORT)]
            with process(serve, tmp_path / "serve.log") as listener:
                eventually(lambda: "listening" in listener.text(), what="listening")
                poll = [*spaces.in_client(), sys.executable, TRAFFIC, "poll", SERVER_V4, str(PORT)]
                with process([*poll, str(POLLS), str(INTERVAL)], tmp_path / "poll.log") as implant:
                    assert implant.child.wait(PATIENCE + POLLS * INTERVAL) == 0, implant.text()

                    def found() -> list[dict[str, object]]:
                        listed = system.get("beacons?min_score=0")["beacons"]
                        # The first poll comes with the connection itself; the others are bursts.
                        return [
                            beacon
                            for beacon in listed
                            if beacon["src_ip"] == CLIENT_V4
                            and beacon["bytes_out"] == POLLS * REQUEST
                            and beacon["check_ins"] >= POLLS - 1
                        ]

                    [beacon] = eventually(found, what="the polling is found")

    assert (beacon["series"], beacon["dst_port"], beacon["connections"]) == ("bursts", PORT, 1)
    # A busy machine only adds to the silence between two polls.
    assert INTERVAL * 0.95 <= beacon["interval_seconds"] < INTERVAL * 1.5
    assert beacon["bytes_in"] == POLLS * ANSWER
    assert str(beacon["evidence"]).startswith("bursts inside open connections; ")
