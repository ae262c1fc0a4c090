"""So that ``python3 -m data_plane.collector`` works from a checkout; the code is in ``src``."""

from __future__ import annotations
