"""So that ``python3 -m control_plane.server`` and ``….cli`` work from a checkout; the code is in ``src``."""

from __future__ import annotations
