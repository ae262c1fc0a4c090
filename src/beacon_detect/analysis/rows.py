"""The columns that both implementations fill, by name and position."""

from __future__ import annotations

from typing import Final

ROW_FIELDS: Final = (
    "cv_score",
    "periodicity_score",
    "jitter_score",
    "interval",
    "jitter",
    "cv",
    "dominant_period",
    "check_ins",
    "missed",
    "connections_per_check_in",
)
"""Fields of one measured series; units as in :class:`beacon_detect.analysis.types.Results`."""
