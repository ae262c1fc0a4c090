"""A beacon that rotates over addresses: records over HTTP, one finding, one alert, one row."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from beacon_detect.records import SECOND, Kind
from live_server import LiveServer
from records_factory import make_records

INTERVAL = 60.0
ADDRESSES = 8
HISTORY = 240
"""Check-ins in all; a quarter of an hour of them is sent first."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("rotation"))
    try:
        yield live.start()
    finally:
        live.stop()


def rotating() -> tuple[np.ndarray, list[str]]:
    """Return the times (wall ns) and the addresses of all check-ins, dealt round robin."""
    rng = np.random.default_rng(3)
    steps = INTERVAL * rng.uniform(0.9, 1.1, HISTORY)
    times = time.time_ns() - (np.cumsum(steps)[::-1] * SECOND).astype(np.int64)
    return times, [f"203.0.113.{number % ADDRESSES}" for number in range(HISTORY)]


def send(server: LiveServer, times: np.ndarray, dst: list[str], **columns: Any) -> None:
    """Send connections as the sensor tells of them: the name comes with the end, in mixed case."""
    ids = np.arange(len(times), dtype=np.uint64) + np.uint64(times[0])
    shared = {"dst": dst, "connection_id": ids, **columns}
    name = str(shared.pop("name"))
    length = np.full(len(times), SECOND // 5)
    server.send(make_records(kind=Kind.START, time=times, duration=0, name="", **shared))
    server.send(
        make_records(kind=Kind.END, time=times + length, duration=length, name=name, **shared)
    )


def found(server: LiveServer) -> list[dict[str, Any]]:
    server.analyze()
    return list(server.fetch("beacons?min_score=0.7")["beacons"])


EARLY = 5 * ADDRESSES
"""Check-ins that the first finding is made of."""


@pytest.fixture(scope="module")
def findings(server: LiveServer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the finding after the first check-ins, beside browsing, and after all of them."""
    times, dst = rotating()
    send(server, times[:EARLY], dst[:EARLY], name="C2.Example.")
    rng = np.random.default_rng(4)
    browsing = np.sort(time.time_ns() - rng.integers(0, 3600 * SECOND, 300))
    pages = [f"198.51.100.{number}" for number in rng.integers(0, 6, 300)]
    send(server, browsing, pages, name="www.example", process="browser", executable="/opt/browser")

    [first] = found(server)
    # By now each address alone would be a beacon of eight intervals.
    send(server, times[EARLY:], dst[EARLY:], name="c2.example")
    [later] = found(server)
    return first, later


def test_a_rotating_beacon_is_one_finding_with_its_interval_from_first_to_last(
    server: LiveServer, findings: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    first, later = findings

    assert (first["series"], first["name"], first["addresses"]) == ("name", "c2.example", 8)
    assert first["interval_seconds"] == pytest.approx(INTERVAL, rel=0.05)
    assert (first["check_ins"], first["connections"], first["process"]) == (EARLY, EARLY, "curl")
    assert first["evidence"].startswith("rotates over 8 addresses of c2.example; 40 check-ins")
    assert later["id"] == first["id"]
    assert later["connections"] == HISTORY
    assert later["interval_seconds"] == pytest.approx(INTERVAL, rel=0.05)
    assert [alert["finding_id"] for alert in server.fetch("alerts")["alerts"]] == [first["id"]]


@pytest.mark.usefixtures("findings")
def test_its_check_ins_are_those_of_all_addresses(server: LiveServer) -> None:
    [listed] = found(server)
    detail = server.fetch(f"beacons/{listed['id']}")

    assert len(detail["times"]) == HISTORY
    assert detail["times"] == sorted(detail["times"])
    assert max(detail["intervals"]) < 1.2 * INTERVAL


@pytest.mark.usefixtures("findings")
def test_the_command_line_shows_the_name_and_how_many_addresses(server: LiveServer) -> None:
    command = [sys.executable, "-m", "beacon_detect", "--port", str(server.port), "beacons"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "c2.example (8 addresses)" in shown
    assert len(shown.splitlines()) == 3


@pytest.mark.usefixtures("findings")
def test_a_restart_tells_nothing_twice(server: LiveServer) -> None:
    [before] = found(server)
    server.stop()
    server.start()

    [after] = found(server)
    assert (after["id"], after["addresses"]) == (before["id"], ADDRESSES)
    assert len(server.fetch("alerts")["alerts"]) == 1
