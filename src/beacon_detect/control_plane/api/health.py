"""``/health``: whether the server answers; open to everybody, tells nothing else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from beacon_detect import __version__
from beacon_detect.control_plane.api.models import Health
from beacon_detect.control_plane.api.parameters import Parameters

router = APIRouter(tags=["server"])


@router.get("/health")
async def health(_none: Annotated[Parameters, Query()]) -> Health:
    """Say that the server answers."""
    return Health(version=__version__)
