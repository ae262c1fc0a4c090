"""The buffers of one thread, allocated once and reused for every series."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis.constants import (
    RESIDUAL_BINS,
    SPECTRUM_CHECK_INS,
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.interval_bins import BINS, HALF_OCTAVE
from beacon_detect.analysis.rows import ROW_FIELDS
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers

HALVES = BINS // HALF_OCTAVE
LINES = SPECTRUM_HIGHEST - SPECTRUM_LOWEST + 1


class Workspace(NamedTuple):
    """Scratch arrays; the histograms are empty between uses."""

    firsts: Integers
    intervals: Floats
    folded: Floats
    multiples: Integers
    scaled: Floats
    logs: Floats
    counts: Integers
    seconds: Floats
    halves: Integers
    residuals: Integers
    bins: Integers
    power: Floats
    stack: Integers
    row: Floats
    features: Floats


def workspace(longest: int) -> Workspace:
    """Allocate buffers for series of at most ``longest`` events."""
    return Workspace(
        firsts=np.empty(longest + 1, np.int64),
        intervals=np.empty(longest + 1),
        folded=np.empty(longest + 1),
        multiples=np.empty(longest + 1, np.int64),
        scaled=np.empty(longest + 1),
        logs=np.empty(longest + 1),
        counts=np.zeros(BINS, np.int64),
        seconds=np.zeros(BINS),
        halves=np.zeros(HALVES + 2, np.int64),
        residuals=np.zeros(RESIDUAL_BINS + 1, np.int64),
        bins=np.zeros(SPECTRUM_CHECK_INS + 1, np.int64),
        power=np.zeros(LINES),
        stack=np.zeros(3 * (longest // MIN_CHECK_INS + 2), np.int64),
        row=np.zeros(len(ROW_FIELDS)),
        features=np.zeros(len(FEATURES)),
    )
