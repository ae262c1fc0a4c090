"""The small world of the end-to-end tests: two namespaces, real processes, real receivers.

Everything here is made by the test and removed by it. Addresses are from the
documentation and unique-local ranges and exist only inside the namespaces.
"""

from __future__ import annotations

import atexit
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from network_wire import Wire, make_wire, run
from patience import PATIENCE


def own_number() -> tuple[int, socket.socket]:
    """Return a number that no other process of this machine has while the socket is open."""
    for number in range(100):
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            keeper.bind(f"\0beacon-detect-tests-{number}")
        except OSError:
            keeper.close()
        else:
            return number, keeper
    raise AssertionError("a hundred processes run these tests")


# A host sensor sees the worlds of all test processes, also of other runs on this machine:
# each has addresses of its own.
_NUMBER, _KEEPER = own_number()
atexit.register(_KEEPER.close)
CLIENT_V4, SERVER_V4 = f"198.51.100.{10 + 2 * _NUMBER}", f"198.51.100.{11 + 2 * _NUMBER}"
CLIENT_V6, SERVER_V6 = f"fd00:beac::{10 + 2 * _NUMBER}", f"fd00:beac::{11 + 2 * _NUMBER}"


@contextmanager
def namespaces() -> Iterator[Wire]:
    """Join two namespaces under addresses that only this test process uses."""
    with make_wire(
        client_v4=CLIENT_V4, server_v4=SERVER_V4, client_v6=CLIENT_V6, server_v6=SERVER_V6
    ) as wire:
        yield wire


@dataclass
class Process:
    """A child process with its output in a file."""

    child: subprocess.Popen[bytes]
    log: Path

    def stop(self, how: signal.Signals = signal.SIGTERM, within: float = PATIENCE) -> int:
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            return self.child.wait(within)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"did not stop after {how.name}:\n{self.text()}") from None

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")


@contextmanager
def process(command: list[str], log: Path, **environment: str) -> Iterator[Process]:
    """Start a child process; end it with the block if it still runs."""
    with log.open("ab") as sink:
        child = subprocess.Popen(
            command,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
    started = Process(child, log)
    try:
        yield started
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@dataclass
class Receivers:
    """A syslog socket and a webhook receiver that remember what they got."""

    syslog_path: Path
    webhook_port: int = 0
    syslog: list[bytes] = field(default_factory=list)
    webhook: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def receivers(folder: Path) -> Iterator[Receivers]:
    """Open a real datagram syslog socket and a real HTTP receiver."""
    got = Receivers(folder / "syslog.sock")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(got.syslog_path))
    sock.settimeout(0.2)
    closing = threading.Event()

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.webhook.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    def read_syslog() -> None:
        while not closing.is_set():
            try:
                got.syslog.append(sock.recv(65536))
            except TimeoutError:
                continue

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    got.webhook_port = server.server_port
    threads = [
        threading.Thread(target=read_syslog),
        threading.Thread(target=server.serve_forever, args=(0.1,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        closing.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
        sock.close()


@dataclass
class System:
    """One control plane and one sensor with a configuration of their own."""

    folder: Path
    port: int
    settings: dict[str, Any]
    prefix: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = {
            **self.settings,
            "data_plane": {
                "control_plane_port": self.port,
                "spool_dir": str(self.folder / "spool"),
                "export_interval": 0.5,
                **self.settings.get("data_plane", {}),
            },
            "control_plane": {"listen_port": self.port, "data_dir": str(self.folder / "data")},
            "detection": {"analysis_interval": 1.0, **self.settings.get("detection", {})},
        }
        self.config.write_text(yaml.safe_dump(self.settings), "utf-8")

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def server(self) -> Any:
        return process(
            [*self.command("server"), "-c", str(self.config)], self.folder / "server.log"
        )

    def sensor(self) -> Any:
        return process(
            [*self.command("sensor"), "-c", str(self.config)], self.folder / "sensor.log"
        )

    def command(self, *words: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "beacon_detect", *words]

    def cli(self, *words: str) -> str:
        return run(*self.command("--host", "127.0.0.1", "--port", str(self.port), *words))

    def get(self, path: str) -> Any:
        """Return the API's answer, asked from where the server listens."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        if not self.prefix:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)
        script = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
        return json.loads(run(*self.prefix, sys.executable, "-c", script, url))

    def pair(self, port: int) -> dict[str, Any]:
        """Return the pair that ends at a port of the server, empty while it is unknown."""
        listed = self.get(f"connections?limit=1000&dst_ip={SERVER_V4}")["connections"]
        return next((dict(pair) for pair in listed if pair["dst_port"] == port), {})

    def connections(self, port: int) -> int:
        return int(self.pair(port).get("connections", 0))

    def is_up(self) -> bool:
        try:
            return bool(self.get("health")["status"] == "ok")
        except (OSError, AssertionError):
            return False

    def watches(self) -> bool:
        return bool(self.is_up() and self.get("status")["sensors"])
