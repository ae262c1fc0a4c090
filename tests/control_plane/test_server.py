"""The life of the server process: start, signals, reload, crash, and what it refuses to start with."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from beacon_detect.wire import ARROW_CONTENT_TYPE, encode_batch
from live_server import ROOT, LiveServer, beacon, eventually
from records_factory import make_header


def refusal(server: LiveServer, **environment: str) -> tuple[int, str]:
    """Return exit code and output of a server that must not start."""
    return server.spawn(**environment).wait(30), server.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(own_server: LiveServer, number: signal.Signals) -> None:
    assert own_server.start().stop(number) == 0

    assert own_server.events("control plane stops")[0]["signal"] == number.name
    assert own_server.events("control plane stopped")
    assert "Traceback" not in own_server.text()


def test_requests_in_flight_are_answered_before_it_stops(own_server: LiveServer) -> None:
    own_server.start()
    body = encode_batch(beacon(5), make_header())
    half = threading.Event()

    def slow_body() -> Any:
        yield body[:100]
        half.set()
        time.sleep(1.0)
        yield body[100:]

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            own_server.ask, "POST", "telemetry", slow_body(), Content_Type=ARROW_CONTENT_TYPE
        )
        assert half.wait(10)
        own_server.send_signal(signal.SIGTERM)

        assert answer.result(20).status == 200
    assert own_server.stop() == 0
    assert own_server.start().fetch("status")["events_received"] == 5


def test_a_second_signal_ends_it_at_once(own_server: LiveServer) -> None:
    own_server.start()
    child = own_server.child
    assert child is not None
    with socket.create_connection(("127.0.0.1", own_server.port), timeout=10) as stalled:
        # A request whose body never comes would hold up the orderly stop.
        stalled.sendall(
            b"POST /api/v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        )
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)

        assert child.wait(5) == 1
    assert "second signal" in own_server.text()


def test_a_killed_server_loses_nothing_it_acknowledged(own_server: LiveServer) -> None:
    own_server.start()
    for number in range(5):
        assert own_server.send(beacon(40, dst=f"203.0.113.{number}")).status == 200
    found = own_server.analyze()["new"]
    assert len(found) == 5
    before = own_server.fetch("beacons")["beacons"]

    own_server.stop(signal.SIGKILL)
    own_server.start()

    after = own_server.fetch("beacons")["beacons"]
    assert {b["id"]: b["score"] for b in after} == {b["id"]: b["score"] for b in before}
    status = own_server.fetch("status")
    assert (status["events_received"], status["connection_pairs"]) == (200, 5)
    assert own_server.fetch("connections")["connections"][0]["connections"] == 40
    assert status["alerts_generated"] == 5
    assert own_server.analyze()["new"] == []


def test_findings_are_there_at_once_after_a_restart(own_server: LiveServer) -> None:
    own_server.start().send(beacon(40, ended=7200.0))
    own_server.analyze()
    [before] = own_server.fetch("beacons")["beacons"]
    own_server.stop()

    [after] = own_server.start().fetch("beacons")["beacons"]

    assert after["id"] == before["id"]
    assert (after["state"], after["detected_at"]) == ("silent", before["detected_at"])


def test_reload_takes_a_good_configuration_and_keeps_the_old_one_on_a_bad_one(
    own_server: LiveServer,
) -> None:
    own_server.start()

    own_server.configure({"detection": {"alert_threshold": "high"}})
    own_server.send_signal(signal.SIGHUP)
    error = eventually(lambda: own_server.fetch("status")["config"]["last_reload_error"])
    assert "detection.alert_threshold" in error
    assert f"{own_server.config}:" in error
    assert own_server.fetch("config")["config"]["detection"]["alert_threshold"] == 0.7

    own_server.configure({"detection": {"alert_threshold": 0.75}})
    own_server.send_signal(signal.SIGHUP)
    eventually(lambda: own_server.fetch("status")["config"]["last_reload_error"] is None)
    assert own_server.fetch("config")["config"]["detection"]["alert_threshold"] == 0.75

    assert own_server.stop() == 0


def test_reload_names_what_needs_a_restart(own_server: LiveServer) -> None:
    own_server.start()
    own_server.configure({"control_plane": {"listen_port": own_server.port, "memory_limit_mb": 200, "data_dir": str(own_server.folder / "data")}})  # fmt: skip

    own_server.send_signal(signal.SIGHUP)

    waiting = eventually(lambda: own_server.fetch("status")["config"]["needs_restart"])
    assert waiting == ["control_plane.memory_limit_mb"]


def test_a_taken_port_is_told(own_server: LiveServer) -> None:
    with socket.create_server(("127.0.0.1", own_server.port)):
        code, text = refusal(own_server)

    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {own_server.port}" in text
    assert "Traceback" not in text


def test_a_locked_data_folder_is_told(server: LiveServer, own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"listen_port": own_server.port, "data_dir": str(server.folder / "data")}})  # fmt: skip

    code, text = refusal(own_server)

    assert code == 1
    assert str(server.folder / "data") in text
    assert "hint:" in text
    assert "Traceback" not in text


def test_a_listener_for_other_machines_needs_a_token(own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"listen_port": own_server.port, "listen_address": "0.0.0.0", "data_dir": str(own_server.folder / "data")}})  # fmt: skip

    code, text = refusal(own_server)

    assert code == 78
    assert "needs an API token" in text
    assert "BEACON_API_TOKEN" in text

    own_server.start(BEACON_API_TOKEN="t0k3n")
    assert own_server.get("status").status == 200
    assert own_server.get("status", Authorization="").status == 401


def test_it_listens_where_it_is_told_only(own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"listen_port": own_server.port, "listen_address": "127.0.0.2", "data_dir": str(own_server.folder / "data")}})  # fmt: skip
    own_server.spawn()

    def ready() -> list[dict[str, Any]]:
        return own_server.events("control plane ready")

    assert eventually(ready)[0]["address"] == f"http://127.0.0.2:{own_server.port}"
    with socket.create_connection(("127.0.0.2", own_server.port), timeout=5):
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", own_server.port), timeout=5)


def test_ipv6_loopback_is_served(own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"listen_port": own_server.port, "listen_address": "::1", "data_dir": str(own_server.folder / "data")}})  # fmt: skip
    own_server.spawn()
    eventually(lambda: own_server.events("control plane ready"))

    with socket.create_connection(("::1", own_server.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_bad_configuration_is_told_with_its_place(own_server: LiveServer) -> None:
    own_server.configure({"detection": {"alert_treshold": 0.5}})

    code, text = refusal(own_server)

    assert code == 78
    assert f"{own_server.config}:" in text
    assert "did you mean detection.alert_threshold" in text


def test_the_file_may_be_named_by_the_environment(own_server: LiveServer) -> None:
    done = subprocess.Popen(
        [sys.executable, "-m", "control_plane.server"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        env=os.environ | {"BEACON_DETECT_CONFIG": str(own_server.folder / "missing.yaml")},
    )
    _, errors = done.communicate(timeout=30)

    assert done.returncode == 78
    assert b"missing.yaml: cannot be read" in errors


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_the_module_at_the_root_takes_the_documented_options(option: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nonsense: 1\n", "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "control_plane.server", option, str(bad)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 78
    assert "nonsense" in done.stderr


def test_missing_dependencies_are_told_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "control_plane.server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )

    assert done.returncode == 1
    assert "is missing for" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_log_is_one_json_object_a_line_without_secrets(own_server: LiveServer) -> None:
    own_server.start(BEACON_API_TOKEN="s3cr3t-token").analyze()
    own_server.stop()

    events = [json.loads(line) for line in own_server.text().splitlines()]

    assert [event["event"] for event in events if event["event"] == "control plane ready"]
    [*_, done] = [event for event in events if event["event"] == "pass done"]
    assert {"run", "pairs", "beacons", "new", "findings", "seconds"} <= set(done)
    assert "s3cr3t-token" not in own_server.text()
