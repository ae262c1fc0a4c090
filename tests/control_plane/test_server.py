"""The life of the server process: start, signals, reload, crash, and what it refuses to start with."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from beacon_detect.control_plane.api.connection_limits import (
    MAX_CONNECTIONS,
    REQUEST_HEAD_SECONDS,
)
from beacon_detect.control_plane.server import listen, url
from beacon_detect.errors import BeaconError
from beacon_detect.wire import ARROW_CONTENT_TYPE, encode_batch
from live_server import ROOT, LiveServer, beacon
from patience import PATIENCE, eventually
from ports import own_port
from records_factory import make_header


def refusal(server: LiveServer, **environment: str) -> tuple[int, str]:
    """Return exit code and output of a server that must not start."""
    return server.spawn(**environment).wait(PATIENCE), server.text()


def begin_request(server: LiveServer, length: int) -> socket.socket:
    """Return a connection on which the server waits for the body of a request."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    connection.sendall(
        "POST /api/v1/telemetry HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Type: {ARROW_CONTENT_TYPE}\r\n"
        f"Content-Length: {length}\r\n\r\n".encode()
    )
    assert connection.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return connection


def is_stopping(server: LiveServer) -> bool:
    """Say whether the server takes no further connection."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_requests_in_flight_are_answered_before_it_stops(own_server: LiveServer) -> None:
    own_server.start(BEACON_API_TOKEN="s3cr3t-token").analyze()
    body = encode_batch(beacon(5), make_header())
    with begin_request(own_server, len(body)) as asking:
        own_server.send_signal(signal.SIGTERM)
        eventually(lambda: is_stopping(own_server), "the server stops")
        asking.sendall(body)

        assert asking.recv(1024).startswith(b"HTTP/1.1 200")
    assert own_server.ended() == 0
    check_log(own_server)
    assert own_server.start(BEACON_API_TOKEN="x").fetch("status")["events_received"] == 5
    assert own_server.stop(signal.SIGINT) == 0


def check_log(server: LiveServer) -> None:
    """Assert that the log of an orderly life is JSON, tells it all and no secret."""
    events = [json.loads(line) for line in server.text().splitlines()]
    names = [event["event"] for event in events]

    assert names[0] == "control plane starts"
    assert "control plane ready" in names
    assert next(e["signal"] for e in events if e["event"] == "control plane stops") == "SIGTERM"
    assert names[-1] == "control plane stopped"
    done = [event for event in events if event["event"] == "pass done"][-1]
    assert {"run", "pairs", "beacons", "new", "findings", "seconds"} <= set(done)
    assert "s3cr3t-token" not in server.text()


def test_a_second_signal_ends_it_at_once(own_server: LiveServer) -> None:
    child = own_server.start().child
    assert child is not None
    # A request whose body never comes holds up the orderly stop.
    with begin_request(own_server, 10):
        child.send_signal(signal.SIGTERM)
        eventually(lambda: is_stopping(own_server), "the server stops")
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)

        assert child.wait(PATIENCE) == 1
    assert "second signal" in own_server.text()


def test_a_killed_server_loses_nothing_it_acknowledged(own_server: LiveServer) -> None:
    own_server.start()
    for number in range(5):
        table = beacon(40, ended=0.0 if number else 7200.0, dst=f"203.0.113.{number}")
        assert own_server.send(table).status == 200
    assert len(own_server.analyze()["new"]) == 5
    before = own_server.fetch("beacons")["beacons"]

    own_server.stop(signal.SIGKILL)
    own_server.start()

    after = own_server.fetch("beacons")["beacons"]
    kept = ("id", "score", "detected_at", "state", "connections")
    assert [[b[n] for n in kept] for b in after] == [[b[n] for n in kept] for b in before]
    assert [b["state"] for b in after].count("silent") == 1
    status = own_server.fetch("status")
    assert (status["events_received"], status["connection_pairs"]) == (200, 5)
    assert status["alerts_generated"] == 5
    assert own_server.fetch("connections")["connections"][0]["connections"] == 40
    assert own_server.analyze()["new"] == []


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

    own_server.configure(
        {"detection": {"alert_threshold": 0.75}, "control_plane": {"memory_limit_mb": 200}}
    )
    own_server.send_signal(signal.SIGHUP)
    eventually(lambda: own_server.fetch("status")["config"]["last_reload_error"] is None)
    assert own_server.fetch("config")["config"]["detection"]["alert_threshold"] == 0.75
    waiting = own_server.fetch("status")["config"]["needs_restart"]
    assert waiting == ["control_plane.memory_limit_mb"]


def test_connections_that_ask_nothing_leave_room_for_the_server(own_server: LiveServer) -> None:
    child = own_server.start().child
    assert child is not None
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, own[1]), own[1]))
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, own)
        for _ in range(1200):
            stack.enter_context(socket.create_connection(("127.0.0.1", own_server.port), PATIENCE))
    # A place is free again when its connection has asked nothing for so long.
    turns = 1 + int((time.monotonic() - began) // REQUEST_HEAD_SECONDS)

    def is_healthy() -> bool:
        try:
            return own_server.get("health").status == 200
        except OSError:
            return False  # full until the server has noticed that the others are gone

    eventually(is_healthy, "there is room again")
    refused = own_server.fetch("status")["intake"]["connections_refused_full"]
    assert refused >= 1200 - turns * MAX_CONNECTIONS
    assert "Too many open files" not in own_server.text()


def test_a_storm_of_reloads_is_as_good_as_the_last_one(own_server: LiveServer) -> None:
    networks = [f"10.{high}.{low}.0/24" for high in range(30) for low in range(100)]
    slow = {"whitelist": {"source_ips": networks}}
    own_server.configure(slow)
    own_server.start()
    for _ in range(60):
        own_server.send_signal(signal.SIGHUP)
        time.sleep(0.002)
    before = len(own_server.events("configuration reloaded"))
    own_server.configure(slow | {"detection": {"alert_threshold": 0.9}})
    own_server.send_signal(signal.SIGHUP)

    def threshold() -> float:
        return float(own_server.fetch("config")["config"]["detection"]["alert_threshold"])

    eventually(lambda: threshold() == 0.9, "the last configuration holds")
    # One was under way and one waited, however many were asked for; then came the last.
    assert len(own_server.events("configuration reloaded")) - before <= 3


def test_a_taken_port_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BeaconError, match=r"cannot listen on 127\.0\.0\.1 port") as error,
        listen("127.0.0.1", taken.getsockname()[1]),
    ):
        pass

    assert "listen_port" in error.value.hint


@pytest.mark.parametrize(
    ("address", "elsewhere"),
    [("127.0.0.2", "127.0.0.1"), ("::1", "127.0.0.1"), ("localhost", "127.0.0.2")],
)
def test_it_listens_where_it_is_told_only(address: str, elsewhere: str) -> None:
    port = own_port()
    with listen(address, port) as door:
        with socket.create_connection(door.getsockname()[:2], timeout=PATIENCE):
            pass
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((elsewhere, port), timeout=PATIENCE)


def test_every_address_includes_those_of_ipv4() -> None:
    port = own_port()
    with (
        listen("::", port) as door,
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE),
    ):
        assert url(door) == f"http://[::]:{port}"


def test_a_locked_data_folder_is_told(server: LiveServer, own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"data_dir": str(server.folder / "data")}})

    code, text = refusal(own_server)

    assert code == 1
    assert str(server.folder / "data") in text
    assert "hint:" in text
    assert "Traceback" not in text


def test_a_listener_for_other_machines_needs_a_token(own_server: LiveServer) -> None:
    own_server.configure({"control_plane": {"listen_address": "0.0.0.0"}})

    code, text = refusal(own_server)

    assert code == 78
    assert "needs an API token" in text
    assert "BEACON_API_TOKEN" in text

    own_server.start(BEACON_API_TOKEN="t0k3n")
    assert own_server.get("status").status == 200
    assert own_server.get("status", Authorization="").status == 401


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_the_module_at_the_root_takes_the_documented_options(option: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("detection:\n  alert_treshold: 1\n", "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "control_plane.server", option, str(bad)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 78
    assert f"{bad}:2:3" in done.stderr
    assert "did you mean detection.alert_threshold" in done.stderr


def test_missing_dependencies_are_told_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "control_plane.server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )

    assert done.returncode == 1
    assert "is missing for" in done.stderr
    assert "Traceback" not in done.stderr
