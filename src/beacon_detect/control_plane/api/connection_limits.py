"""How many connections the listener holds, and how long it waits for a request to begin.

Without bounds, connections that never ask anything would use up the process's
file descriptors: the API would fall silent and the database and the alert
channels could open nothing. Limit: who holds every place and renews each in
time still keeps others out, but takes nothing else from the server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512
"""With the accept queue well below 1,024, the usual bound on file descriptors."""

REQUEST_HEAD_SECONDS = 20.0
"""Longest wait for the whole head of a request, from the connection or its first byte on."""


@dataclass
class ConnectionLimits:
    """The bounds of one listener, and what they turned away."""

    most: int = MAX_CONNECTIONS
    head_seconds: float = REQUEST_HEAD_SECONDS
    refused: int = 0
    """Connections closed at once because as many as possible were open."""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 connection within the limits.

    Parameters
    ----------
    limits
        Shared by all connections of a listener.
    arguments
        For uvicorn's own.
    """

    def __init__(self, limits: ConnectionLimits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or close the connection at once."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.most:
            self._limits.refused += 1
            transport.abort()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; the wait ends with the head of a request."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end_wait()
        elif self._head_timer is None:
            # Part of a further request on a connection that was kept.
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_wait()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.head_seconds, self.transport.close)

    def _end_wait(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
