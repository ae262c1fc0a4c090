"""What endpoints take: shared query parameters (unknown ones are refused) and the running parts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from beacon_detect.control_plane.api.connection_limits import ConnectionLimits
from beacon_detect.control_plane.api.explanation_desk import ExplanationDesk
from beacon_detect.control_plane.api.models import Severity
from beacon_detect.control_plane.api.security import BodyReader
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.records import SECOND

MAX_LIMIT = 10_000
"""Most entries of one answer: some megabytes, a second of work."""


_FARTHEST = (1 << 63) - 1


class Parameters(BaseModel):
    """Base of all query parameters; on its own: none are taken."""

    model_config = ConfigDict(extra="forbid")


class Limited(Parameters):
    """Parameters of a list."""

    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="Most entries to return")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Severities = Annotated[
    list[Annotated[Severity, BeforeValidator(_upper)]],
    Field(default_factory=list, description="Only this severity; may be repeated"),
]


def _written_out(value: object) -> object:
    """Refuse the bare numbers that pydantic would take for seconds since 1970."""
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("must be a time like 2026-01-31T08:00:00Z")
    return value


Since = Annotated[
    AwareDatetime | None,
    BeforeValidator(_written_out),
    Field(description="Only entries at or after this time, like 2026-01-31T08:00:00Z"),
]


def since_ns(since: datetime | None) -> int:
    """Return wall nanoseconds of a ``since`` parameter, 0 when it is not given."""
    return 0 if since is None else min(int(since.timestamp() * SECOND), _FARTHEST)


def _system(request: Request) -> ControlPlane:
    system: ControlPlane = request.app.state.system
    return system


def _bodies(request: Request) -> BodyReader:
    bodies: BodyReader = request.app.state.bodies
    return bodies


def _connection_limits(request: Request) -> ConnectionLimits:
    limits: ConnectionLimits = request.app.state.connection_limits
    return limits


def _desk(request: Request) -> ExplanationDesk:
    desk: ExplanationDesk = request.app.state.explanations
    return desk


System = Annotated[ControlPlane, Depends(_system)]
Bodies = Annotated[BodyReader, Depends(_bodies)]
Limits = Annotated[ConnectionLimits, Depends(_connection_limits)]
Desk = Annotated[ExplanationDesk, Depends(_desk)]
