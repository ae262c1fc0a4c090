"""Who may speak to the API, under which name, and how much they may send.

A loopback listener is protected from web pages that resolve a name of their
own to 127.0.0.1 (DNS rebinding) by the Host header, and from those that post
across origins by the Origin header. With a token every path but health wants
it. TLS is left to a reverse proxy or tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.requests import ClientDisconnect

from beacon_detect.control_plane.api.problems import ProblemError
from beacon_detect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from beacon_detect.config.schema import ControlPlane

log = structlog.get_logger(__name__)

TOKEN_VARIABLE = "BEACON_API_TOKEN"  # noqa: S105 (the name of a variable, not a secret)
OPEN_PATHS = frozenset({"/api/v1/health"})
CHUNK_TIMEOUT_SECONDS = 30.0
"""Longest wait for the next piece of a request body."""

BODY_SECONDS = 300.0
"""Longest wait for a whole body: who trickles one in must not hold its memory for ever."""

DRAINED = 2
"""Multiple of the allowed size up to which a body that is too large is read and dropped."""

MAX_TOKEN_BYTES = 4096
BODIES_IN_FLIGHT = 2
"""Bodies of the greatest allowed size that may be in memory at once, over all requests."""

DECODERS = 2
"""Bodies decoded at once: each may grow to the greatest allowed size, and there is one writer."""


def read_token(config: ControlPlane, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token that clients must send; empty when none is needed.

    Raises
    ------
    ConfigError
        The token file cannot be used, or the listener needs a token and has none.
    """
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token and config.token_file:
        token = _read_token_file(Path(config.token_file))
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError("the API token must be printable ASCII text without spaces")
    if not token and not config.is_local:
        raise ConfigError(
            f"control_plane.listen_address: {config.listen_address} is reachable from other"
            " machines, which needs an API token",
            hint=f"set {TOKEN_VARIABLE} or control_plane.token_file, or listen on 127.0.0.1",
        )
    return token


def _read_token_file(path: Path) -> str:
    place = f"control_plane.token_file: {path}"
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_TOKEN_BYTES or not (token := content.decode("utf-8", "replace").strip()):
        raise ConfigError(f"{place}: must hold a token of 1 to {MAX_TOKEN_BYTES} bytes")
    if stat.S_IMODE(mode) & 0o077:
        log.warning("the token file can be read by other users", file=str(path), fix="chmod 600")
    return token


def allowed_hosts(config: ControlPlane) -> frozenset[str] | None:
    """Return the names a request may address; None: any, because the token protects."""
    if not config.is_local:
        return None
    names = {"localhost", "127.0.0.1", "::1", config.listen_address, *config.allowed_hosts}
    return frozenset(name.lower().strip("[]") for name in names)


class Guard:
    """Middleware that turns away requests before anything else reads them."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str] | None) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with a problem."""
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            try:
                self._check(scope, headers)
            except ProblemError as problem:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[bytes, str]) -> None:
        host = headers.get(b"host", "")
        if self._hosts is not None and host_name(host) not in self._hosts:
            raise ProblemError(
                403,
                "host-not-allowed",
                f"this server does not answer to the name {host[:100]!r};"
                " add it to control_plane.allowed_hosts, or use 127.0.0.1",
            )
        # A browser says where the page comes from; other clients do not send this.
        _, _, page_host = headers.get(b"origin", f"//{host}").partition("//")
        foreign = page_host.lower() != host.lower()
        if foreign and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            raise ProblemError(403, "cross-origin", "requests of other web pages are refused")
        if self._token and scope["path"] not in OPEN_PATHS:
            scheme, _, sent = headers.get(b"authorization", "").partition(" ")
            right = hmac.compare_digest(sent.strip().encode("utf-8", "replace"), self._token)
            if scheme.lower() != "bearer" or not right:
                raise ProblemError(
                    401,
                    "token-needed",
                    "send the API token as Authorization: Bearer TOKEN",
                    headers={"WWW-Authenticate": 'Bearer realm="beacon-detect"'},
                )


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


class BodyReader:
    """Reads request bodies, bounded one by one and all together.

    Parameters
    ----------
    limit
        Asked for the greatest size of a body, bytes.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._held = 0
        self.decoding = asyncio.Semaphore(DECODERS)
        """To be held while a body is decoded."""
        self.refused = 0
        """Requests turned away because too many bodies were in memory."""

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of ``request``, counted as held until the exit.

        Raises
        ------
        ProblemError
            413 beyond the limit, 408 when the client stalls, 503 when too many
            bodies are held at once.
        """
        limit, held = self._limit(), 0
        chunks: list[bytes] = []
        try:
            async for chunk in _pieces(request, limit):
                held += len(chunk)
                self._held += len(chunk)
                if self._held > BODIES_IN_FLIGHT * limit:
                    self.refused += 1
                    raise ProblemError(
                        503,
                        "busy",
                        "too many requests are being read; send this one again",
                        headers={"Retry-After": "1"},
                    )
                chunks.append(chunk)
            body = b"".join(chunks)
            chunks.clear()
            yield body
        finally:
            self._held -= held


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the pieces of a body as they arrive; ProblemError when it is too large or stalls."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    # A sender that is cut off may never read why, so a body that is not absurd is read
    # to its end before it is refused.
    if size > DRAINED * limit:
        raise _too_large(limit)
    size = 0
    clock = asyncio.get_running_loop().time
    try:
        end = clock() + BODY_SECONDS
        async with asyncio.timeout(CHUNK_TIMEOUT_SECONDS) as deadline:
            async for chunk in request.stream():
                deadline.reschedule(min(clock() + CHUNK_TIMEOUT_SECONDS, end))
                size += len(chunk)
                if size <= limit:
                    yield chunk
                elif size > DRAINED * limit:
                    break
    except (TimeoutError, ClientDisconnect):
        raise ProblemError(408, "body-stalled", "the request body did not arrive in time") from None
    if size > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        413,
        "body-too-large",
        f"the request body is larger than {limit >> 20} MiB (control_plane.max_request_mb);"
        " send smaller batches",
    )
