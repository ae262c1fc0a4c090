"""Ports of loopback that belong to a test process until it ends.

Shared by all tests; not a test itself. Each port is kept by a socket that is
bound and does not listen: the kernel gives it to nobody who asks for any free
port, connections to it are refused, and a server that names it (with
``SO_REUSEADDR``, as servers do) can listen on it.
"""

from __future__ import annotations

import atexit
import socket

_kept: list[socket.socket] = []


def own_port() -> int:
    """Return a TCP port of 127.0.0.1 that is this process's from now on."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept.append(keeper)
    return int(keeper.getsockname()[1])


@atexit.register
def _give_back() -> None:
    for keeper in _kept:
        keeper.close()
