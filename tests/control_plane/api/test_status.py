"""The state of the server at a glance: counters, sensors with losses, passes, configuration."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect import __version__
from beacon_detect.wire import ARROW_CONTENT_TYPE, encode_batch
from live_server import LiveServer, beacon, noise
from records_factory import make_header


@pytest.fixture(scope="module", autouse=True)
def fresh(server: LiveServer) -> dict[str, Any]:
    """Give the status before any record came."""
    return dict(server.fetch("status"))


def test_a_fresh_server_has_seen_nothing(fresh: dict[str, Any]) -> None:
    assert (fresh["status"], fresh["version"]) == ("running", __version__)
    assert fresh["uptime_seconds"] > 0
    counters = ("events_received", "batches_received", "duplicate_batches", "connection_pairs", "beacons_detected", "alerts_generated")  # fmt: skip
    assert [fresh[name] for name in counters] == [0] * 6
    assert fresh["sensors"] == []


def test_records_batches_and_pairs_are_counted(own_server: LiveServer) -> None:
    server = own_server.start()
    server.send(beacon(40, dst="203.0.113.1"), sensor="one")
    server.send(noise(30, dst="203.0.113.2"), sensor="one")
    server.analyze()

    status = server.fetch("status")

    assert (status["events_received"], status["batches_received"]) == (70, 2)
    assert (status["connection_pairs"], status["beacons_detected"]) == (2, 1)
    assert status["alerts_generated"] == 1
    assert status["storage"]["records"] == 70
    assert status["analyzer"]["pairs_analyzed"] == 2
    assert status["analyzer"]["events_in_memory"] == 70
    assert status["analyzer"]["last_run"].endswith("Z")
    assert status["analyzer"]["last_error"] is None


def test_a_batch_that_comes_twice_is_counted_once(server: LiveServer) -> None:
    before = server.fetch("status")
    body = encode_batch(beacon(5, dst="203.0.113.8"), make_header(sensor="one", batch="again"))
    answers = [
        server.ask("POST", "telemetry", body, Content_Type=ARROW_CONTENT_TYPE).json for _ in "ab"
    ]

    after = server.fetch("status")
    assert [answer["duplicate"] for answer in answers] == [False, True]
    assert after["events_received"] == before["events_received"] + 5
    assert after["duplicate_batches"] == before["duplicate_batches"] + 1


def test_sensors_are_shown_with_what_they_lost(server: LiveServer) -> None:
    server.send(beacon(1), sensor="two", mode="gateway", session="a", losses={"ring_full": 3})
    server.send(beacon(1), sensor="two", mode="gateway", session="a", losses={"ring_full": 5})
    server.send(beacon(1), sensor="two", mode="gateway", session="b", losses={"spool_full": 2})

    sensors = {sensor["sensor"]: sensor for sensor in server.fetch("status")["sensors"]}

    two = sensors["two"]
    assert (two["mode"], two["records"], two["lost"]) == ("gateway", 3, 7)
    assert two["losses"] == {"ring_full": 5, "spool_full": 2}
    assert two["last_seen"].endswith("Z")


def test_the_configuration_in_force_is_named(server: LiveServer) -> None:
    config = server.fetch("status")["config"]

    assert config["file"] == str(server.config)
    assert config["loaded_at"].endswith("Z")
    assert len(config["hash"]) == 16
    assert config["last_reload_error"] is None
    assert config["needs_restart"] == []
