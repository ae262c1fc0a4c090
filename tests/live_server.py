"""A real control plane in a process of its own, on loopback, with a folder of its own.

Shared by the tests of the server and its API; not a test itself.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from beacon_detect.records import SECOND
from beacon_detect.wire import ARROW_CONTENT_TYPE, encode_batch
from patience import PATIENCE, eventually
from ports import own_port
from records_factory import DEFAULTS, make_header, make_records

ROOT = Path(__file__).parent.parent
QUIET: dict[str, Any] = {"syslog_enabled": False, "file_enabled": False}
"""Alerting that leaves the machine alone."""


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class LiveServer:
    """Starts, asks, stops and kills one server; its configuration file is ``config``."""

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.port = own_port()
        self.config = folder / "config.yaml"
        self.log = folder / "server.log"
        self.token = ""
        self.child: subprocess.Popen[bytes] | None = None
        self.configure(settings or {})

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the configuration: what every test wants, and ``settings``."""
        tree: dict[str, Any] = {
            "control_plane": {"listen_port": self.port, "data_dir": str(self.folder / "data")},
            "detection": {"analysis_interval": 3600.0},
            "alerting": dict(QUIET),
        }
        for section, values in settings.items():
            tree[section] = {**tree.get(section, {}), **values}
        # At once: a server that reloads meanwhile must not read half of it.
        draft = self.config.with_suffix(".draft")
        draft.write_text(yaml.safe_dump(tree), "utf-8")
        draft.replace(self.config)

    def spawn(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it to answer."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("BEACON_")}
        with self.log.open("ab") as sink:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "control_plane.server", "-c", str(self.config)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=inherited | environment,
            )
        return self.child

    def start(self, **environment: str) -> LiveServer:
        """Start the process and wait until it answers and its first pass is over.

        That pass comes by itself; records sent meanwhile might be found by it, and not by
        the pass that a test asks for.
        """
        self.token = environment.get("BEACON_API_TOKEN", self.token)
        child = self.spawn(**environment)

        def is_ready() -> bool:
            assert child.poll() is None, f"ended with {child.returncode}:\n{self.text()}"
            try:
                return bool(self.fetch("status")["analyzer"]["runs"])
            except OSError:
                return False

        eventually(is_ready, "the server answers")
        return self

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log events called ``name``."""
        # The last piece is empty, or a line that is still being written.
        lines = (line for line in self.text().split("\n")[:-1] if line.startswith("{"))
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def send_signal(self, number: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process with a signal and return its exit code."""
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end of a process that was told to stop; return its exit code."""
        if self.child is None:
            return 0
        try:
            return self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"did not stop:\n{self.text()}") from None
        finally:
            self.child = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        **headers: str,
    ) -> Answer:
        """Send one request; ``path`` is under ``/api/v1/`` unless it starts with a slash."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            url = path if path.startswith("/") else f"/api/v1/{path}"
            connection.request(method, url, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def fetch(self, path: str) -> Any:
        """Return the JSON of a path that must answer."""
        answer = self.get(path)
        assert answer.status == 200, answer.body
        return answer.json

    def post_json(self, path: str, value: Any) -> Answer:
        return self.ask("POST", path, json.dumps(value).encode(), Content_Type="application/json")

    def send(self, table: pa.Table, **header: Any) -> Answer:
        """Post a batch of records as the sensor does."""
        body = encode_batch(table, make_header(**header))
        return self.ask("POST", "telemetry", body, Content_Type=ARROW_CONTENT_TYPE)

    def analyze(self) -> Any:
        answer = self.ask("POST", "analyze")
        assert answer.status == 200, answer.body
        return answer.json


def beacon(
    count: int = 40,
    *,
    interval: float = 60.0,
    jitter: float = 0.0,
    ended: float = 0.0,
    **columns: Any,
) -> pa.Table:
    """Return a beacon's connections, the last one over ``ended`` seconds ago.

    Over, not begun: a server that looks at once must not see the future.
    """
    rng = np.random.default_rng(11)
    steps = interval * (1 + rng.uniform(-jitter, jitter, count))
    ago = np.concatenate([np.cumsum(steps[1:][::-1])[::-1], [0.0]]) + ended
    times = time.time_ns() - (ago * SECOND).astype(np.int64) - int(DEFAULTS["duration"])
    return make_records(count, time=times, **columns)


def noise(count: int = 40, *, mean: float = 60.0, **columns: Any) -> pa.Table:
    """Return connections at random (Poisson) times, the last one a moment ago."""
    rng = np.random.default_rng(12)
    ago = np.cumsum(rng.exponential(mean, count))[::-1]
    times = time.time_ns() - (ago * SECOND).astype(np.int64)
    return make_records(count, time=times, **columns)
