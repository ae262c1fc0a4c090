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
HEAD_SECONDS = 2.0
"""Longer than a busy machine needs to send a head."""


async def application(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await asyncio.sleep(ANSWER_SECONDS)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextmanager
def listening(limits: ConnectionLimits) -> Iterator[int]:
    """Give the port of a server in a thread of its own."""
    kind: Any = partial(BoundedProtocol, limits)
    config = uvicorn.Config(
        application, http=kind, ws="none", lifespan="off", log_config=None,
        timeout_keep_alive=2 * int(PATIENCE),  # no connection ends for want of a further request
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


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


@pytest.mark.parametrize(
    ("begun", "kept"), [(b"", False), (b"GET / HT", False), (b"GET / HTTP/1.1\r\nHo", True)]
)
def test_a_request_that_never_comes_is_not_waited_for(begun: bytes, kept: bool) -> None:
    with listening(ConnectionLimits(head_seconds=HEAD_SECONDS)) as port, ExitStack() as stack:
        connection = connect(port, stack)
        if kept:
            connection.sendall(HEAD)
            assert connection.recv(4096).startswith(b"HTTP/1.1 204")
        # Bytes that trickle in buy no time.
        with suppress(ConnectionError):
            for byte in begun:
                connection.sendall(bytes([byte]))

        assert closed(connection)


def test_a_request_under_way_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer takes longer than a head may.
    monkeypatch.setitem(globals(), "ANSWER_SECONDS", 1.2 * HEAD_SECONDS)
    limits = ConnectionLimits(head_seconds=HEAD_SECONDS)
    with listening(limits) as port, ExitStack() as stack:
        connection = connect(port, stack)
        for _ in range(2):
            connection.sendall(HEAD)
            assert connection.recv(4096).startswith(b"HTTP/1.1 204")


def test_it_is_still_the_protocol_of_uvicorn() -> None:
    assert issubclass(BoundedProtocol, H11Protocol)
