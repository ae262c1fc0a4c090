"""The server: one process, one listener, one life from start to orderly stop.

SIGTERM or SIGINT drains (requests in flight are answered, what waits for the
writer is written), a second one ends the process at once, SIGHUP reads the
configuration again. Limit: plain HTTP; TLS is for a proxy or tunnel in front.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import structlog
import uvicorn

from beacon_detect import __version__
from beacon_detect.control_plane.allocator import return_large_blocks
from beacon_detect.control_plane.api.app import create_app
from beacon_detect.control_plane.api.connection_limits import BoundedProtocol
from beacon_detect.control_plane.api.security import read_token
from beacon_detect.control_plane.compile_ahead import compiled_ahead
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.control_plane.settings import Settings
from beacon_detect.errors import BeaconError, ExitCode, PermissionMissingError
from beacon_detect.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from fastapi import FastAPI

    from beacon_detect.config import LoadedConfig

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 10
"""Longest wait for requests in flight when stopping."""

KEEP_ALIVE_SECONDS = 75
BACKLOG = 128


def serve(loaded: LoadedConfig) -> None:
    """Run the control plane until it is told to stop.

    Raises
    ------
    ConfigError
        The configuration or the token cannot be used.
    BeaconError
        The port is taken, the data folder is locked, or a part cannot start.
    """
    settings = Settings(loaded)
    config = settings.running
    configure_logging(config.logging)
    return_large_blocks()
    token = read_token(config.control_plane)
    limits = config.control_plane
    with (
        listen(limits.listen_address, limits.listen_port) as door,
        _Signals(settings) as signals,
    ):
        log.info("control plane starts", version=__version__, pid=os.getpid())
        with ControlPlane(settings) as system:
            app = create_app(system, token=token)
            log.info("control plane ready", address=url(door), token=bool(token))
            with compiled_ahead():
                asyncio.run(signals.run(app, door))
        log.info("control plane stopped")


@contextmanager
def listen(address: str, port: int) -> Iterator[socket.socket]:
    """Give a listening socket; connections wait in its queue until the server is ready.

    Raises
    ------
    PermissionMissingError
        The port is reserved for root.
    BeaconError
        It is taken, or the address is none of this machine's.
    """
    host = "127.0.0.1" if address == "localhost" else address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            # "Every address" includes those of IPv4, whatever the system's default is.
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            door.bind((host, port))
            # Two servers could bind; only one can listen.
            door.listen(BACKLOG)
        except PermissionError:
            raise PermissionMissingError(
                f"control_plane.listen_port: {port} is reserved for root",
                hint="choose a port from 1024 on, or give the process CAP_NET_BIND_SERVICE",
            ) from None
        except OSError as error:
            raise BeaconError(
                f"cannot listen on {address} port {port}: {error.strerror}",
                hint="is another control plane running? choose another control_plane.listen_port",
            ) from None
        yield door


def url(door: socket.socket) -> str:
    """Return the address under which a listening socket is reached."""
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one owner of signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Signals:
    """Owner of the process's signals while the server lives."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: _Server | None = None
        self._stopped_by = ""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        handlers: dict[signal.Signals, Any] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            # The configuration was read just now; once requests are answered, run() takes over.
            signal.SIGHUP: signal.SIG_IGN,
        }
        self._previous = {number: signal.signal(number, h) for number, h in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    async def run(self, app: FastAPI, door: socket.socket) -> None:
        """Answer requests until told to stop."""
        self._server = _Server(
            uvicorn.Config(
                app,
                # uvicorn calls it as it would its own class.
                http=partial(BoundedProtocol, app.state.connection_limits),  # type: ignore[arg-type]
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        told = asyncio.Event()
        reloader = asyncio.create_task(self._reload_when_told(told), name="reload")
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, told.set)
        try:
            await self._server.serve(sockets=[door])
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            reloader.cancel()
            log.info("control plane stops", signal=self._stopped_by)

    async def _reload_when_told(self, told: asyncio.Event) -> None:
        while True:
            await told.wait()
            # Before the files are read: whoever signals from now on changed them later.
            told.clear()
            try:
                await asyncio.to_thread(self._settings.reload)
            except Exception:
                log.exception("reload failed")

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # Logging is not safe here: the handler may have interrupted it.
        if self._stopped_by:
            # Whatever was acknowledged is on disk; nothing else is owed to anybody.
            os.write(2, b"second signal: ended at once\n")
            os._exit(ExitCode.FAILURE)
        self._stopped_by = signal.Signals(number).name
        if self._server is None:
            raise SystemExit(0)
        self._server.should_exit = True
