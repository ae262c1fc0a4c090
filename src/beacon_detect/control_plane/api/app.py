"""The API as an application: routes, guard, problem documents, OpenAPI document.

There is no page with documentation: such pages load scripts from elsewhere,
which a security tool must not. ``/openapi.json`` describes everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from beacon_detect import __version__
from beacon_detect.control_plane.api import (
    alerts,
    analyze,
    beacons,
    config,
    connections,
    explain,
    health,
    problems,
    status,
    telemetry,
)
from beacon_detect.control_plane.api.connection_limits import ConnectionLimits
from beacon_detect.control_plane.api.explanation_desk import ExplanationDesk
from beacon_detect.control_plane.api.security import BodyReader, Guard, allowed_hosts

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from beacon_detect.control_plane.lifecycle import ControlPlane

PREFIX = "/api/v1"
RESOURCES = (health, status, beacons, explain, alerts, connections, config, telemetry, analyze)
"""Modules with a ``router``: one for each resource."""


def create_app(system: ControlPlane, *, token: str) -> FastAPI:
    """Return the application that answers for ``system``.

    Parameters
    ----------
    token
        What clients must send; empty when none is needed.
    """
    app = FastAPI(
        title="Beacon Detect",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    limits = system.settings.running.control_plane
    app.state.system = system
    app.state.has_token = bool(token)
    app.state.bodies = BodyReader(
        lambda: system.settings.running.control_plane.max_request_mb << 20
    )
    app.state.connection_limits = ConnectionLimits()
    app.state.explanations = ExplanationDesk()
    for resource in RESOURCES:
        app.include_router(resource.router, prefix=PREFIX)
    app.add_middleware(Guard, token=token, hosts=allowed_hosts(limits))
    problems.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the errors as they really are."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = problems.Problem.model_json_schema()
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {
                    "description": "What went wrong",
                    "content": {problems.CONTENT_TYPE: problem},
                }
                operation["security"] = [] if path.endswith("/health") else [{"token": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema
