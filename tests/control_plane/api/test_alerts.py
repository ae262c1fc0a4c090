"""Alerts are listed newest first with their deliveries, whitelisted traffic left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live_server import LiveServer, beacon
from patience import eventually


@pytest.fixture(scope="module")
def alert_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alerts") / "alerts.json"


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, alert_file: Path
) -> Iterator[tuple[LiveServer, list[dict[str, Any]]]]:
    """Give a server that writes alerts to a file, and the alerts after two beacons."""
    settings = {"alerting": {"file_enabled": True, "file_path": str(alert_file)}}
    live = LiveServer(tmp_path_factory.mktemp("told"), settings)
    try:
        live.start()
        live.send(beacon(dst="203.0.113.1", process="implant"))
        live.analyze()
        live.send(beacon(dst="203.0.113.2", jitter=0.15))
        live.analyze()
        eventually(lambda: states(live) == ["delivered", "delivered"])
        yield live, live.fetch("alerts")["alerts"]
    finally:
        live.stop()


def states(server: LiveServer) -> list[str]:
    alerts = server.fetch("alerts")["alerts"]
    return [delivery["state"] for alert in alerts for delivery in alert["deliveries"]]


def test_alerts_are_listed_newest_first(told: tuple[LiveServer, list[dict[str, Any]]]) -> None:
    _, alerts = told

    assert [alert["dst_ip"] for alert in alerts] == ["203.0.113.2", "203.0.113.1"]
    assert {alert["kind"] for alert in alerts} == {"new"}
    assert alerts[1]["process"] == "implant"
    assert alerts[1]["title"]


def test_alert_finding_and_file_agree(
    told: tuple[LiveServer, list[dict[str, Any]]], alert_file: Path
) -> None:
    server, alerts = told
    written = [json.loads(line) for line in alert_file.read_text("utf-8").splitlines()]

    assert [line["id"] for line in written] == [alert["id"] for alert in reversed(alerts)]
    for alert in alerts:
        found = server.fetch(f"beacons/{alert['finding_id']}")
        assert (found["dst_ip"], found["severity"]) == (alert["dst_ip"], alert["severity"])


def test_deliveries_show_what_became_of_them(
    told: tuple[LiveServer, list[dict[str, Any]]],
) -> None:
    _, alerts = told

    assert alerts[0]["deliveries"] == [
        {"channel": "file", "state": "delivered", "attempts": 1, "last_error": None}
    ]


def test_a_beacon_alerts_once_however_many_passes(
    told: tuple[LiveServer, list[dict[str, Any]]],
) -> None:
    server, alerts = told
    for _ in range(3):
        server.send(beacon(1, dst="203.0.113.1"))
        server.analyze()

    assert [alert["id"] for alert in server.fetch("alerts")["alerts"]] == [a["id"] for a in alerts]


@pytest.mark.parametrize(("query", "count"), [("limit=1", 1), ("severity=CRITICAL", 2), ("severity=low", 0), ("severity=critical&severity=low", 2), ("severity=LOW&severity=HIGH", 0), ("since=2200-01-01T00:00:00Z", 0), ("since=2000-01-01T00:00:00%2B02:00", 2)])  # fmt: skip
def test_alerts_can_be_filtered(
    told: tuple[LiveServer, list[dict[str, Any]]], query: str, count: int
) -> None:
    assert told[0].fetch(f"alerts?{query}")["count"] == count


def test_whitelisted_alerts_are_hidden(told: tuple[LiveServer, list[dict[str, Any]]]) -> None:
    server, alerts = told
    server.post_json("config", {"whitelist": {"source_ips": ["10.0.0.0/8"]}})
    try:
        assert server.fetch("alerts")["alerts"] == []
    finally:
        server.post_json("config", {"whitelist": {"source_ips": None}})
    assert server.fetch("alerts")["count"] == len(alerts)


def test_the_channel_is_shown_in_the_status(
    told: tuple[LiveServer, list[dict[str, Any]]],
) -> None:
    channels = {c["name"]: c for c in told[0].fetch("status")["alerting"]["channels"]}

    assert (channels["file"]["enabled"], channels["file"]["delivered"]) == (True, 2)
    assert channels["syslog"]["enabled"] is False
    assert channels["file"]["last_delivery"].endswith("Z")
