"""Changes through the API hold at once and after a restart, as a whole or not at all."""

from __future__ import annotations

import stat
from typing import Any

import pytest
import yaml

from live_server import LiveServer, beacon

SECRET_URL = "http://127.0.0.1:9/T0K3N"


def section(server: LiveServer, name: str) -> dict[str, Any]:
    return dict(server.fetch("config")["config"][name])


def test_every_setting_is_shown(idle_server: LiveServer) -> None:
    config = idle_server.fetch("config")["config"]

    assert set(config) == {"data_plane", "control_plane", "detection", "context", "alerting", "whitelist", "logging"}  # fmt: skip
    assert config["control_plane"]["listen_port"] == idle_server.port
    assert config["whitelist"]["destination_ports"] == [53, 123]


def test_a_partial_update_changes_what_it_names_and_nothing_else(server: LiveServer) -> None:
    before = section(server, "detection")

    answer = server.post_json("config", {"detection": {"alert_threshold": 0.8}})

    assert answer.status == 200
    assert answer.json["applied"] == ["detection.alert_threshold"]
    assert answer.json["needs_restart"] == []
    assert answer.json["config"]["detection"] == before | {"alert_threshold": 0.8}
    assert section(server, "detection") == before | {"alert_threshold": 0.8}


def test_documented_spellings_are_accepted(server: LiveServer) -> None:
    answer = server.post_json("config", {"whitelist": {"ports": [53, 123, 67]}})

    assert answer.json["applied"] == ["whitelist.destination_ports"]
    assert section(server, "whitelist")["destination_ports"] == [53, 123, 67]


def test_one_fault_refuses_everything(server: LiveServer) -> None:
    before = server.fetch("config")["config"]

    answer = server.post_json(
        "config",
        {"detection": {"alert_threshold": 0.9, "cv_threshold": 0, "min_conections": 5}},
    )

    assert answer.status == 400
    assert answer.json["type"] == "urn:beacon-detect:problem:configuration-not-valid"
    assert len(answer.json["faults"]) == 2
    assert any("did you mean detection.min_connections" in f for f in answer.json["faults"])
    assert server.fetch("config")["config"] == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"3", b'{"detection": {"alert_threshold": NaN}}', b"[" * 100_000, b"\xff"])  # fmt: skip
def test_a_body_that_is_no_update_is_refused(server: LiveServer, body: bytes) -> None:
    answer = server.ask("POST", "config", body, Content_Type="application/json")

    assert answer.status == 400
    assert answer.json["type"] == "urn:beacon-detect:problem:json-not-valid"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(server: LiveServer, media_type: str) -> None:
    assert server.ask("POST", "config", b"{}", Content_Type=media_type).status == 415


def test_settings_that_need_a_restart_are_named(server: LiveServer) -> None:
    answer = server.post_json("config", {"control_plane": {"memory_limit_mb": 300}})

    assert answer.json["needs_restart"] == ["control_plane.memory_limit_mb"]
    assert server.fetch("status")["config"]["needs_restart"] == ["control_plane.memory_limit_mb"]
    server.post_json("config", {"control_plane": {"memory_limit_mb": None}})
    assert server.fetch("status")["config"]["needs_restart"] == []


@pytest.mark.parametrize("tree", [{"alerting": {"file_path": "/etc/cron.d/x"}}, {"control_plane": {"data_dir": "/tmp/x"}}, {"data_plane": {"interface": "eth0"}}])  # fmt: skip
def test_what_the_api_may_not_change_is_refused(server: LiveServer, tree: dict[str, Any]) -> None:
    answer = server.post_json("config", tree)

    assert answer.status == 403
    assert answer.json["type"] == "urn:beacon-detect:problem:change-refused"


def test_secrets_never_leave_the_server(server: LiveServer) -> None:
    webhook = {"url": SECRET_URL, "headers": {"Authorization": "Bearer s3cr3t"}}

    answer = server.post_json("config", {"alerting": {"webhook": webhook}})

    assert answer.json["applied"] == ["alerting.webhook.url", "alerting.webhook.headers"]
    shown = section(server, "alerting")["webhook"]
    assert shown["url"] == shown["headers"]["Authorization"] == "********"
    for told in (answer.body, server.get("config").body, server.text().encode()):
        assert b"T0K3N" not in told
        assert b"s3cr3t" not in told
    # What was shown can be sent back whole.
    again = server.post_json("config", {"alerting": {"webhook": shown | {"timeout": 3.0}}})
    assert again.status == 200
    stored = yaml.safe_load((server.folder / "data" / "config-overrides.yaml").read_text("utf-8"))
    assert stored["alerting"]["webhook"]["url"] == SECRET_URL
    assert stored["alerting"]["webhook"]["timeout"] == 3.0


def test_changes_hold_at_once_and_after_a_restart_and_are_private(own_server: LiveServer) -> None:
    own_server.start().send(beacon(jitter=0.15))
    own_server.analyze()
    assert own_server.fetch("status")["beacons_detected"] == 1

    own_server.post_json("config", {"detection": {"alert_threshold": 0.999}})

    assert own_server.fetch("status")["beacons_detected"] == 0
    assert own_server.fetch("beacons")["count"] == 0
    assert own_server.fetch("beacons?min_score=0.5")["count"] == 1
    stored = own_server.folder / "data" / "config-overrides.yaml"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    own_server.stop()

    own_server.start(BEACON_DETECT_DETECTION__CV_THRESHOLD="0.3")

    assert section(own_server, "detection")["alert_threshold"] == 0.999
    assert own_server.fetch("status")["config"]["overrides"] == str(stored)
    answer = own_server.post_json("config", {"detection": {"cv_threshold": 0.2}})
    assert answer.status == 409
    assert "BEACON_DETECT_DETECTION__CV_THRESHOLD" in answer.json["detail"]
    assert section(own_server, "detection")["cv_threshold"] == 0.3
