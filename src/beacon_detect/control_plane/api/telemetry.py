"""``/telemetry``: batches of records, answered when they are on disk."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["telemetry"])
