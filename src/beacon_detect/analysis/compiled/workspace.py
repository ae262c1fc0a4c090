"""The buffers of one thread, allocated once and reused for every series."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis.constants import (
    RESIDUAL_BINS,
    SHAPE_CHECK_INS,
    SPECTRUM_CHECK_INS,
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.interval_bins import BINS, HALF_OCTAVE, WINDOW_WIDTHS
from beacon_detect.analysis.rows import ROW_FIELDS
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers

HALVES = BINS // HALF_OCTAVE
DUPLICATES = HALVES + 2
"""Where gaps that are no gaps are counted: beyond the half octaves and the neighbours of the last."""
LINES = SPECTRUM_HIGHEST - SPECTRUM_LOWEST + 1
WAVES = 2 * (LINES + 1)
"""A cosine for each line and the squared weight, a sine for each line and a zero: two whole vectors."""
WIDEST = int(WINDOW_WIDTHS[-1])
"""The running total of a histogram starts with so many empty bins."""


class Histogram(NamedTuple):
    """Values, their bins and how many there are of each.

    Both counts are empty and the running total starts with zeros between uses.
    """

    values: Floats
    places: Integers
    counts: Integers
    other_counts: Integers
    upto: Integers


class Workspace(NamedTuple):
    """Scratch arrays.

    A function that is given the workspace counts a reference to every array in it,
    which costs as much as a hundred intervals do: small ones are given their arrays.
    """

    firsts: Integers
    large: Integers
    sizes: Integers
    intervals: Floats
    folded: Floats
    multiples: Integers
    histogram: Histogram
    halves: Integers
    residuals: Integers
    bins: Integers
    sums: Floats
    power: Floats
    elapsed: Floats
    logs: Floats
    xs: Floats
    ys: Floats
    reachable: Integers
    stack: Integers
    row: Floats
    features: Floats
    best_row: Floats
    best_features: Floats


def histogram(longest: int) -> Histogram:
    """Allocate a histogram of at most ``longest`` values."""
    return Histogram(
        values=np.empty(longest + 1),
        places=np.empty(longest + 1, np.int64),
        counts=np.zeros(BINS, np.int64),
        other_counts=np.zeros(BINS, np.int64),
        upto=np.zeros(WIDEST + BINS + 1, np.int64),
    )


def workspace(longest: int, trees: int = 0) -> Workspace:
    """Allocate buffers for series of at most ``longest`` events and a model of ``trees`` trees."""
    return Workspace(
        firsts=np.empty(longest + 1, np.int64),
        large=np.empty(longest + 1, np.int64),
        sizes=np.empty(longest + 1, np.int64),
        intervals=np.empty(longest + 1),
        folded=np.empty(longest + 1),
        multiples=np.empty(longest + 1, np.int64),
        histogram=histogram(longest),
        halves=np.zeros(DUPLICATES + 1, np.int64),
        residuals=np.zeros(RESIDUAL_BINS + 1, np.int64),
        bins=np.zeros(SPECTRUM_CHECK_INS + 1, np.int64),
        sums=np.zeros(WAVES),
        power=np.zeros(LINES + 1),
        elapsed=np.empty(SHAPE_CHECK_INS),
        logs=np.empty(SHAPE_CHECK_INS),
        xs=np.empty(SHAPE_CHECK_INS),
        ys=np.empty(SHAPE_CHECK_INS),
        reachable=np.zeros(trees, np.int64),
        stack=np.zeros(3 * (longest // MIN_CHECK_INS + 2), np.int64),
        row=np.zeros(len(ROW_FIELDS)),
        features=np.zeros(len(FEATURES)),
        best_row=np.zeros(len(ROW_FIELDS)),
        best_features=np.zeros(len(FEATURES)),
    )
