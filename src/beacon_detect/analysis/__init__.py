"""The detection core: pure functions over arrays of times.

Series of event times go in, scored columns come out; no clock, no configuration
file, no network.  ``analyze`` is the whole interface.  Limit: times must ascend
inside each series.
"""

from __future__ import annotations

from beacon_detect.analysis.engine import analyze, list_episodes, warm_up
from beacon_detect.analysis.evidence import evidence, preface
from beacon_detect.analysis.severity import severity
from beacon_detect.analysis.types import (
    MIN_CHECK_INS,
    SURE_CHECK_INS,
    Abstention,
    Results,
    SeriesBatch,
    Settings,
)

__all__ = [
    "MIN_CHECK_INS",
    "SURE_CHECK_INS",
    "Abstention",
    "Results",
    "SeriesBatch",
    "Settings",
    "analyze",
    "evidence",
    "list_episodes",
    "preface",
    "severity",
    "warm_up",
]
