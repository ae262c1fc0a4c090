"""Shared by the tests of alerting: a real store and real receivers, on this machine only."""

from __future__ import annotations

import http.server
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from beacon_detect.control_plane.storage.store import Store
from patience import PATIENCE


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the store of the test's folder; again after a close for a restart."""
    with ExitStack() as stack:

        def opened() -> Store:
            store = Store.open(tmp_path / "data", memory_limit_mb=128, on_commit=lambda _: None)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Sent instead of an HTTP answer."""
    hold: threading.Event | None = None
    """The answer waits for this."""


class HttpReceiver:
    """An HTTP server that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        receiver = self
        self.requests: queue.Queue[Request] = queue.Queue()
        self.answer: Callable[[Request], Answer] = lambda _request: Answer()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, dict(self.headers), body)
                answer = receiver.answer(request)
                receiver.requests.put(request)
                if answer.hold is not None:
                    answer.hold.wait(PATIENCE)
                if answer.raw is not None:
                    self.wfile.write(answer.raw)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that went away is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def next(self) -> Request:
        return self.requests.get(timeout=PATIENCE)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


class StreamServer:
    """A stream socket that reads each connection to its end."""

    def __init__(self, listener: socket.socket) -> None:
        self.received: queue.Queue[bytes] = queue.Queue()
        self._listener = listener
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while part := connection.recv(65536):
                    data += part
            self.received.put(data)

    def next(self) -> bytes:
        return self.received.get(timeout=PATIENCE)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def tcp_server() -> Iterator[tuple[StreamServer, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = StreamServer(listener)
    yield server, listener.getsockname()[1]
    server.close()


@pytest.fixture
def unix_stream_server(tmp_path: Path) -> Iterator[tuple[StreamServer, Path]]:
    path = tmp_path / "stream.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    server = StreamServer(listener)
    yield server, path
    server.close()


@pytest.fixture
def unix_datagram(tmp_path: Path) -> Iterator[tuple[socket.socket, Path]]:
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(PATIENCE)
        yield receiver, path


@pytest.fixture
def udp_receiver() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        yield receiver, receiver.getsockname()[1]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A TCP and UDP port on which nobody listens (bound, so that nobody else takes it)."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
