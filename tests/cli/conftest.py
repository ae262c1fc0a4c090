"""A small real HTTP server that answers in the shapes of the API, and ways to run the CLI.

What the server here answers is the command line's side of the contract; the
end-to-end tests hold the real server to the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from beacon_detect.cli.main import run
from patience import PATIENCE
from ports import own_port

BEACON = {
    "id": "00c0ffee00c0ffee",
    "score": 0.942,
    "current_score": 0.94,
    "risk": 0.958,
    "reasons": [{"rule": "process_location", "delta": 0.3, "reason": "runs from /tmp"}],
    "severity": "CRITICAL",
    "src_ip": "10.0.0.100",
    "dst_ip": "203.0.113.50",
    "dst_port": 443,
    "protocol": "TCP",
    "series": "connections",
    "addresses": 1,
    "connections": 156,
    "interval_seconds": 60.0,
    "jitter": 0.02,
    "base_score": 0.942,
    "cv_score": 0.95,
    "periodicity_score": 0.93,
    "jitter_score": 0.95,
    "dominant_period_seconds": 60.1,
    "check_ins": 156,
    "missed_check_ins": 1,
    "connections_per_check_in": 1.0,
    "configured_sleep_seconds": 60.0,
    "false_alarm": 1e-09,
    "episodes": 1,
    "size_regularity": 0.99,
    "cv": 0.02,
    "first_seen": "2026-01-31T06:00:00.000000Z",
    "last_seen": "2026-01-31T08:36:00.000000Z",
    "detected_at": "2026-01-31T06:10:03.500000Z",
    "process": "implantd",
    "executable": "/tmp/implantd",
    "pid": 4711,
    "container": "",
    "sensor": "host-a",
    "name": "",
    "direction": "outbound",
    "bytes_out": 17628,
    "bytes_in": 32916,
    "evidence": "156 check-ins, one every 60.0 s, 2 % jitter",
    "state": "active",
    "whitelisted": False,
}
SECOND = BEACON | {
    "id": "00c0ffee00c0ffef",
    "score": 0.853,
    "severity": "HIGH",
    "src_ip": "10.0.0.101",
    "dst_ip": "198.51.100.25",
    "dst_port": 8080,
    "connections": 1189,
    "interval_seconds": 30.0,
    "process": "curl",
}
ALERT = {
    "id": "a1",
    "time": "2026-01-31T06:10:04.000000Z",
    "kind": "new",
    "severity": "CRITICAL",
    "score": 0.942,
    "risk": 0.958,
    "finding_id": BEACON["id"],
    "title": "Beacon to 203.0.113.50:443",
    "src_ip": "10.0.0.100",
    "dst_ip": "203.0.113.50",
    "dst_port": 443,
    "protocol": "TCP",
    "process": "implantd",
    "container": "",
    "sensor": "host-a",
    "interval_seconds": 60.0,
    "evidence": "156 check-ins",
    "deliveries": [
        {"channel": "syslog", "state": "delivered", "attempts": 1, "last_error": None},
        {"channel": "webhook", "state": "pending", "attempts": 3, "last_error": "refused"},
    ],
}
PAIR = {
    key: BEACON[key]
    for key in (
        "src_ip", "dst_ip", "dst_port", "protocol", "connections", "first_seen", "last_seen",
        "bytes_out", "bytes_in", "process", "executable", "container", "sensor", "name",
        "direction",
    )
} | {"score": None}  # fmt: skip
LONG = {
    "src_ip": "10.0.0.100",
    "src_port": 40_000,
    "dst_ip": "203.0.113.50",
    "dst_port": 22,
    "protocol": "TCP",
    "duration_seconds": 9000.0,
    "open": True,
    "lost_sight": False,
    "started": "2026-01-31T06:00:00.000000Z",
    "last_seen": "2026-01-31T08:30:00.000000Z",
    "bytes_out": 1_258_291,
    "bytes_in": 512,
    "outcome": "established",
    "process": "ssh",
    "container": "",
    "sensor": "host-a",
}
STATUS = {
    "schema": "beacon-detect.status/1",
    "status": "running",
    "version": "0.1.0",
    "started_at": "2026-01-31T06:00:00.000000Z",
    "uptime_seconds": 9000.0,
    "events_received": 15_432,
    "batches_received": 120,
    "duplicate_batches": 0,
    "connection_pairs": 234,
    "beacons_detected": 3,
    "alerts_generated": 5,
    "sensors": [
        {
            "sensor": "host-a",
            "mode": "host",
            "last_seen": "2026-01-31T08:30:00.000000Z",
            "records": 15_432,
            "losses": {"ring_full": 1012, "spool_dropped": 0},
            "lost": 1012,
        }
    ],
    "storage": {},
    "intake": {},
    "analyzer": {
        "runs": 9,
        "failures": 0,
        "last_run": "2026-01-31T08:30:00.000000Z",
        "last_duration_seconds": 0.01,
        "pairs_analyzed": 3,
        "last_error": None,
    },
    "alerting": {
        "channels": [
            {
                "name": "webhook",
                "enabled": True,
                "delivered": 4,
                "pending": 1,
                "failed": 2,
                "last_error": "connection refused",
                "last_delivery": None,
            }
        ]
    },
    "config": {
        "file": None,
        "overrides": None,
        "loaded_at": "2026-01-31T06:00:00.000000Z",
        "hash": "0",
        "last_reload_error": None,
        "needs_restart": [],
    },
}


@dataclass
class Api:
    """The server: what it answers, what it wants, what it was asked."""

    port: int = 0
    token: str = ""
    status: int = 200
    """Answered instead of 200, with ``problem``."""
    problem: Any = None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """Return the answer of an endpoint, in the shape of the contract."""
        name = path.removeprefix("/api/v1/")
        if name in self.answers:
            return self.answers[name]
        if name == "status":
            return STATUS
        field_name = "connections" if name == "long-connections" else name
        rows = self.rows.get(name, [])
        shown = rows[: int(query["limit"][0])]
        answer = {"schema": f"beacon-detect.{name}/1", "count": len(shown), field_name: shown}
        return answer | ({"total": len(rows)} if name in {"beacons", "connections"} else {})


def handler_for(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            api.asked.append((url.path, query))
            api.headers.append(dict(self.headers))
            wanted = f"Bearer {api.token}"
            if api.token and self.headers.get("Authorization") != wanted:
                self.send(401, {"type": "about:blank", "status": 401, "detail": "token needed"})
            elif api.status != 200:
                self.send(api.status, api.problem)
            else:
                self.send(200, api.answer(url.path, query))

        def send(self, status: int, content: Any) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api(
        rows={
            "beacons": [BEACON, SECOND],
            "alerts": [ALERT],
            "connections": [PAIR, PAIR | {"score": 0.853, "dst_ip": "2001:db8::7"}],
            "long-connections": [LONG, LONG | {"open": False, "outcome": "closed"}],
        }
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(made))
    server.daemon_threads = True
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    """A port where nothing listens until a test starts something there."""
    return own_port()


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run a command line in this process."""
    monkeypatch.delenv("BEACON_API_TOKEN", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "90")

    def invoke(*words: object) -> Result:
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Result(int(code), said.out, said.err)

    return invoke


@pytest.fixture
def ask(api: Api, cli: Callable[..., Result]) -> Callable[..., Result]:
    """Run a verb against the small server."""

    def invoke(*words: object) -> Result:
        return cli("--host", "127.0.0.1", "--port", api.port, *words)

    return invoke


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line in a process of its own."""

    def invoke(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "beacon_detect", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, **environment},
        )

    return invoke
