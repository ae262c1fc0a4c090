"""Errors as problem documents (RFC 9457): one shape for every failure of the API.

``type`` is a stable name for programs, ``detail`` a sentence for people and
``faults`` a list where there is more than one thing to mend.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from beacon_detect.control_plane.analyzer import AnalysisFailedError
from beacon_detect.control_plane.intake import (
    BodyTooLargeError,
    RecordFaultsError,
    UnsupportedBodyError,
)
from beacon_detect.control_plane.pair_choice import SeveralPairsError
from beacon_detect.control_plane.settings import HiddenError, RefusedError
from beacon_detect.control_plane.storage.database import DatabaseDownError
from beacon_detect.control_plane.storage.writer import StoreBusyError, StoreClosedError
from beacon_detect.errors import BeaconError, ConfigError, DataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

_STATUS_OF: tuple[tuple[type[BeaconError], int, str], ...] = (
    (NotFoundError, 404, "not-found"),
    (SeveralPairsError, 400, "several-pairs"),
    (ConfigError, 400, "configuration-not-valid"),
    (RefusedError, 403, "change-refused"),
    (HiddenError, 409, "set-by-environment"),
    (UnsupportedBodyError, 415, "media-type"),
    (BodyTooLargeError, 413, "body-too-large"),
    (RecordFaultsError, 422, "records-not-valid"),
    (DataError, 400, "data-not-valid"),
    (StoreBusyError, 503, "busy"),
    (StoreClosedError, 503, "stopping"),
    (DatabaseDownError, 503, "database-down"),
    (AnalysisFailedError, 500, "analysis-failed"),
)
"""Which answer each error of the control plane becomes; anything else is a fault of ours."""


class Problem(BaseModel):
    """An error: what went wrong, in words for programs and for people."""

    type: str = Field(examples=["urn:beacon-detect:problem:unknown-parameter"])
    title: str
    status: int
    detail: str
    faults: list[Any] = Field(default_factory=list, description="What to mend, one entry each")


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        faults: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.faults = list(faults)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer to send."""
        problem = Problem(
            type=f"urn:beacon-detect:problem:{self.name}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            faults=self.faults,
        )
        content = problem.model_dump(exclude_defaults=True)
        return JSONResponse(content, self.status, self.headers, media_type=CONTENT_TYPE)


def install(app: FastAPI) -> None:
    """Make every failure of ``app`` a problem document; call after all middleware is added."""
    import duckdb
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    app.exception_handler(ProblemError)(_on_problem)
    app.exception_handler(BeaconError)(_on_error)
    app.exception_handler(RequestValidationError)(_on_parameters)
    app.exception_handler(HTTPException)(_on_http)
    for kind in (
        OSError,
        duckdb.IOException,
        duckdb.TransactionException,
        duckdb.OutOfMemoryException,
    ):
        app.exception_handler(kind)(_on_storage)
    app.add_middleware(FaultBarrier)


async def _on_problem(_request: Request, error: ProblemError) -> JSONResponse:
    return error.response()


async def _on_error(_request: Request, error: BeaconError) -> JSONResponse:
    for kind, status, name in _STATUS_OF:
        if isinstance(error, kind):
            return from_error(error, status, name).response()
    raise error


def from_error(error: BeaconError, status: int, name: str) -> ProblemError:
    """Return the problem for an error of ours; a message of several lines lists faults."""
    lines = error.message.splitlines()
    detail = lines[0] if len(lines) == 1 else f"{len(lines)} faults; the first: {lines[0]}"
    faults = list(getattr(error, "faults", ())) or (lines if len(lines) > 1 else [])
    headers = (
        {"Retry-After": str(RETRY_AFTER_SECONDS)}
        if status == HTTPStatus.SERVICE_UNAVAILABLE
        else {}
    )
    if error.hint:
        detail += f" ({error.hint})"
    return ProblemError(status, name, detail, faults=faults, headers=headers)


async def _on_parameters(_request: Request, error: RequestValidationError) -> JSONResponse:
    faults = [_parameter_fault(fault) for fault in error.errors()]
    unknown = any(fault["type"] == "extra_forbidden" for fault in error.errors())
    name = "unknown-parameter" if unknown else "parameter-not-valid"
    return ProblemError(400, name, faults[0], faults=faults).response()


def _parameter_fault(fault: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"][1:])
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown parameter"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]} (got {str(fault.get('input'))[:80]!r})"


async def _on_http(request: Request, error: HTTPException) -> JSONResponse:
    details = {
        404: f"{request.url.path} does not exist; the API is described in /openapi.json",
        405: f"{request.method} is not possible on {request.url.path}",
    }
    status = HTTPStatus(error.status_code)
    name = status.phrase.lower().replace(" ", "-")
    detail = details.get(status, str(error.detail))
    return ProblemError(status, name, detail, headers=error.headers).response()


async def _on_storage(request: Request, error: Exception) -> JSONResponse:
    """Answer that the disk (or what is under the database) took nothing; another try may work."""
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    log.error("not stored", method=request.method, path=request.url.path, error=reason)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = f"nothing was stored: {reason}"
    return ProblemError(503, "not-stored", detail, headers=headers).response()


class FaultBarrier:
    """Middleware that turns what nobody expected into one entry of the log and a problem.

    FastAPI's own handler of last resort raises the error again, and the server
    above would log it a second time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer for whatever it raises."""
        begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except Exception:
            if begun:
                # Too late for another answer; the server closes the connection.
                raise
            log.exception("request failed", method=scope.get("method"), path=scope.get("path"))
            detail = "the server failed to answer; its log says why"
            await ProblemError(500, "fault", detail).response()(scope, receive, send)
