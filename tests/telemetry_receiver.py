"""A real HTTP server that takes telemetry as a control plane would, or answers as a test tells it.

Shared by the sensor's tests; not a test itself.
"""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from beacon_detect.records import record_schema
from beacon_detect.wire import HEADER_KEY, BatchHeader, parse_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Reply = tuple[int, bytes]


@dataclass
class Request:
    """One batch as it arrived."""

    header: BatchHeader
    table: pa.Table
    headers: dict[str, str]


@dataclass
class Receiver:
    """What arrived and was accepted, and what to answer instead of accepting."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    """Every batch that arrived, accepted or not."""
    accepted: dict[str, Request] = field(default_factory=dict)
    """By batch id, each once."""
    answer: Callable[[Request], Reply | None] = lambda _request: None
    """Returns what to answer, or None: accept."""

    def rows(self) -> list[dict[str, Any]]:
        """Return the records of all accepted batches."""
        # A copy: batches arrive meanwhile.
        tables = [request.table for request in list(self.accepted.values())]
        return pa.concat_tables([record_schema().empty_table(), *tables]).to_pylist()

    def take(self, request: Request) -> Reply:
        self.requests.append(request)
        reply = self.answer(request)
        if reply is not None:
            return reply
        duplicate = request.header.batch in self.accepted
        self.accepted.setdefault(request.header.batch, request)
        return 202, accepted(request, duplicate=duplicate)


def accepted(request: Request, *, duplicate: bool = False) -> bytes:
    """Return the acknowledgement of a batch."""
    answer = {
        "status": "accepted",
        "batch": request.header.batch,
        "records": request.table.num_rows,
        "duplicate": duplicate,
    }
    return json.dumps(answer).encode()


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """Serve on a port of loopback for the time of the block."""
    made = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with pa.ipc.open_stream(body) as stream:
                header = parse_header(stream.schema.metadata[HEADER_KEY])
                table = stream.read_all().replace_schema_metadata()
            status, answer = made.take(Request(header, table, dict(self.headers)))
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                self.close_connection = True  # the sensor did not wait for the answer

        def log_message(self, *_arguments: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(("127.0.0.1", port), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
