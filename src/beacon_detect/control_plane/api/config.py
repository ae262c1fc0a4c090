"""``/config``: the configuration, and changes to it while running."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from beacon_detect.control_plane.api.models import Configuration, ConfigurationUpdate
from beacon_detect.control_plane.api.parameters import Bodies, Parameters, System
from beacon_detect.control_plane.api.problems import ProblemError

router = APIRouter(tags=["configuration"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"detection": {"alert_threshold": 0.8}},
            }
        },
    }
}


@router.get("/config")
def show_config(_none: Annotated[Parameters, Query()], system: System) -> Configuration:
    """Show the configuration; secrets are masked."""
    settings = system.settings
    return Configuration(
        file=str(settings.loaded.file) if settings.loaded.file else None,
        needs_restart=settings.needs_restart(),
        config=settings.masked(),
    )


@router.post("/config", openapi_extra=_BODY)
async def update_config(
    request: Request,
    _none: Annotated[Parameters, Query()],
    system: System,
    bodies: Bodies,
) -> ConfigurationUpdate:
    """Change settings: validated as a whole, applied, stored; or refused as a whole."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(415, "media-type", "send the settings as application/json")
    async with bodies.read(request) as body:
        tree = _parse(body)
    trusted: bool = request.app.state.has_token
    update = await run_in_threadpool(system.settings.update, tree, trusted=trusted)
    return ConfigurationUpdate(
        applied=update.applied,
        needs_restart=update.needs_restart,
        config=system.settings.masked(),
    )


def _parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``; ProblemError when it is none."""
    try:
        tree = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "json-not-valid", f"the body is not JSON: {error}") from None
    if not isinstance(tree, dict) or not tree:
        raise ProblemError(
            400, "json-not-valid", 'send an object of sections, like {"detection": {…}}'
        )
    return tree


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
