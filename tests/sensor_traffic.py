"""Known traffic for the sensor's tests, run as a process of its own inside a namespace.

``serve PORT`` answers every request; ``connect ADDRESS PORT COUNT`` makes so many
connections; ``hold ADDRESS PORT`` opens one and speaks a line of input at a time;
``datagrams ADDRESS PORT COUNT`` sends so many from one socket.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys

REQUEST = b"q" * 100
ANSWER = b"a" * 2000
PATIENCE = 60.0


class Answerer(socketserver.BaseRequestHandler):
    """Sends the answer for each request, until the client is done."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while read_whole(self.request, len(REQUEST)):
                self.request.sendall(ANSWER)


class Server(socketserver.ThreadingTCPServer):
    """Listens on both versions of IP."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def read_whole(connection: socket.socket, length: int) -> bytes:
    """Return so many bytes, or fewer at the end of the stream."""
    got = b""
    while len(got) < length and (more := connection.recv(length - len(got))):
        got += more
    return got


def ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    assert read_whole(connection, len(ANSWER)) == ANSWER


def serve(port: str) -> None:
    with Server(("::", int(port)), Answerer) as server:
        print("ready", flush=True)
        server.serve_forever()


def connect(address: str, port: str, count: str) -> None:
    for _ in range(int(count)):
        with socket.create_connection((address, int(port)), PATIENCE) as connection:
            ask(connection)
            connection.shutdown(socket.SHUT_WR)
            # Until the server has closed its side too: nothing is under way afterwards.
            assert connection.recv(1) == b""


def hold(address: str, port: str) -> None:
    with socket.create_connection((address, int(port)), PATIENCE) as connection:
        ask(connection)
        print("ready", connection.getsockname()[1], flush=True)
        for _line in sys.stdin:
            ask(connection)
            print("asked", flush=True)


def datagrams(address: str, port: str, count: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for _ in range(int(count)):
            sender.sendto(REQUEST, (address, int(port)))


if __name__ == "__main__":
    {"serve": serve, "connect": connect, "hold": hold, "datagrams": datagrams}[sys.argv[1]](
        *sys.argv[2:]
    )
