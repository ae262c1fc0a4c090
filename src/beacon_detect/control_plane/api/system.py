"""What endpoints need from the running server, as parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from beacon_detect.control_plane.api.security import BodyReader
from beacon_detect.control_plane.lifecycle import ControlPlane


def _system(request: Request) -> ControlPlane:
    system: ControlPlane = request.app.state.system
    return system


def _bodies(request: Request) -> BodyReader:
    bodies: BodyReader = request.app.state.bodies
    return bodies


System = Annotated[ControlPlane, Depends(_system)]
Bodies = Annotated[BodyReader, Depends(_bodies)]
