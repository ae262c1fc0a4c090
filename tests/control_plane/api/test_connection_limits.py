"""Connections that ask nothing cost others nothing: they are few and do not last."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from beacon_detect.control_plane.api.connection_limits import BoundedProtocol, ConnectionLimits
from patience import PATIENCE, eventually

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


ANSWER_SECONDS = 0.5
HEAD_SECONDS = 0.5
"""Where a head must come in time, it is there before the server is."""


async def application(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await asyncio.sleep(ANSWER_SECONDS)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextmanager
def listening(limits: ConnectionLimits) -> Iterator[int]:
    """Give the port of a server in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as door, serving(door, limits):
        yield door.getsockname()[1]


@contextmanager
def serving(door: socket.socket, limits: ConnectionLimits) -> Iterator[None]:
    """Serve who came to the door, and who comes, in a thread of its own."""
    kind: Any = partial(BoundedProtocol, limits)
    config = uvicorn.Config(
        application, http=kind, ws="none", lifespan="off", log_config=None,
        timeout_keep_alive=2 * int(PATIENCE),  # no connection ends for want of a further request
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def asked(limits: ConnectionLimits) -> Iterator[socket.socket]:
    """Give a connection whose first head is there when the server begins to wait for it."""
    with socket.create_server(("127.0.0.1", 0)) as door, ExitStack() as stack:
        connection = connect(door.getsockname()[1], stack)
        connection.sendall(HEAD)
        with serving(door, limits):
            yield connection


def connect(port: int, stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_beyond_the_most_are_closed_at_once_and_counted() -> None:
    limits = ConnectionLimits(most=3, head_seconds=PATIENCE)
    with listening(limits) as port, ExitStack() as stack:
        first = [connect(port, stack) for _ in range(3)]
        for one in first:
            one.sendall(HEAD)
            assert one.recv(12) == b"HTTP/1.1 204"

        assert all(closed(connect(port, stack)) for _ in range(2))
        assert limits.refused == 2
        first[0].close()

        def accepted() -> bool:
            another = connect(port, stack)
            try:
                another.sendall(HEAD)
                return another.recv(12) == b"HTTP/1.1 204"
            except ConnectionError:
                return False

        eventually(accepted, "the place of the one that left is free")


@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
def test_a_request_that_never_comes_is_not_waited_for(begun: bytes) -> None:
    with listening(ConnectionLimits(head_seconds=HEAD_SECONDS)) as port, ExitStack() as stack:
        connection = connect(port, stack)
        trickle(connection, begun)

        assert closed(connection)


def test_a_further_request_that_never_comes_is_not_waited_for() -> None:
    with asked(ConnectionLimits(head_seconds=HEAD_SECONDS)) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")
        trickle(connection, b"GET / HTTP/1.1\r\nHo")

        assert closed(connection)


def trickle(connection: socket.socket, begun: bytes) -> None:
    """Send a byte at a time: that buys no time."""
    with suppress(ConnectionError):
        for byte in begun:
            connection.sendall(bytes([byte]))


def test_a_request_under_way_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer takes longer than a head may.
    monkeypatch.setitem(globals(), "ANSWER_SECONDS", 1.2 * HEAD_SECONDS)
    with asked(ConnectionLimits(head_seconds=HEAD_SECONDS)) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")
        connection.sendall(HEAD)
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")


def test_it_is_still_the_protocol_of_uvicorn() -> None:
    assert issubclass(BoundedProtocol, H11Protocol)
