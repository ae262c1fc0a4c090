"""``/analyze``: a pass now, instead of at the next interval."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from beacon_detect.control_plane.api.models import Analyzed
from beacon_detect.control_plane.api.parameters import Parameters, System

router = APIRouter(tags=["findings"])


@router.post("/analyze")
async def analyze(_none: Annotated[Parameters, Query()], system: System) -> Analyzed:
    """Analyze every pair with new records now and say what was found."""
    # Others may wait for the same pass, so a caller that goes away must not cancel it.
    done = await asyncio.shield(asyncio.wrap_future(system.analyzer.request()))
    return Analyzed(
        run=done.run,
        pairs_analyzed=done.pairs,
        beacons_found=done.beacons,
        duration_seconds=done.duration,
        new=done.new,
    )
