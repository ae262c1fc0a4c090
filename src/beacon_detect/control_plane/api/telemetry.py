"""``/telemetry``: batches of records, answered when they are on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from beacon_detect.control_plane.api.models import Accepted
from beacon_detect.control_plane.api.parameters import Bodies, Parameters, System
from beacon_detect.control_plane.intake import decode_body
from beacon_detect.wire import ARROW_CONTENT_TYPE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from beacon_detect.control_plane.lifecycle import ControlPlane
    from beacon_detect.control_plane.storage.store import Appended

router = APIRouter(tags=["telemetry"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": 128},
            "description": description,
        }
        for name, description in (
            ("Beacon-Sensor", "Name of the sensor, where the body does not say it"),
            ("Beacon-Batch", "Id of the batch; the same id is counted once"),
            ("Content-Encoding", "gzip or zstd"),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {
            ARROW_CONTENT_TYPE: _BINARY,
            "application/x-ndjson": _BINARY,
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "sensor": "firewall-1",
                    "batch": "2026-01-31-0001",
                    "records": [
                        {
                            "time": "2026-01-31T08:00:00Z",
                            "src": "10.0.0.5",
                            "dst": "203.0.113.7",
                            "dst_port": 443,
                            "protocol": "TCP",
                        }
                    ],
                },
            },
        },
    },
}


@router.post("/telemetry", openapi_extra=_BODY)
async def receive_telemetry(
    request: Request, _none: Annotated[Parameters, Query()], system: System, bodies: Bodies
) -> Accepted:
    """Take a batch of records; the answer comes when it is on disk.

    The whole batch is taken or refused. Refused records are named in ``faults``.
    """
    async with bodies.read(request) as body:
        # Compressed bodies grow when they are decoded, so only a few are at a time.
        async with bodies.decoding:
            batch, stored = await run_in_threadpool(_append, request, body, system)
        done = await asyncio.shield(asyncio.wrap_future(stored))
    return Accepted(batch=batch, records=done.records, duplicate=done.duplicate)


def _append(request: Request, body: bytes, system: ControlPlane) -> tuple[str, Future[Appended]]:
    """Decode a body and hand it to the writer; return the batch's id and its outcome to come."""
    header, table = decode_body(
        body,
        content_type=request.headers.get("content-type", ""),
        content_encoding=request.headers.get("content-encoding", ""),
        fields=request.headers,
        max_bytes=system.settings.running.control_plane.max_request_mb << 20,
    )
    return header.batch, system.store.append(header, table)
