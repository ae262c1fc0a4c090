"""The histogram that interval lists are read through: sixteen bins an octave, relative to a scale.

A bin is the exponent and the four leading mantissa bits of a float, so finding
it costs a shift and no logarithm.  Intervals are divided by the mean gap of
their series before they are binned, which is why scores do not change when time
is stretched.  Limit: ratios beyond a million to one share the outermost bins.
"""

from __future__ import annotations

import numpy as np

BINS_PER_OCTAVE = 16
FIRST_OCTAVE = -24
OCTAVES = 48
BINS = BINS_PER_OCTAVE * OCTAVES
MANTISSA_SHIFT = 52 - 4
"""A float64 has 52 mantissa bits; the shift leaves the exponent and the first four of them."""
BIN_OFFSET = (1023 + FIRST_OCTAVE) << 4
"""1023 is the exponent bias of IEEE 754 binary64."""

MID_BIN = 1.03
"""Where the mean gap is put: inside a bin, so that rounding does not move a perfect beacon over an edge."""
HALF_OCTAVE = BINS_PER_OCTAVE // 2
WINDOW_WIDTHS = np.array([1, 2, 3, 4, 6, 8, 11, 16, 26], np.int64)
"""Widths in bins of the scanned windows: ratios from about 1.05 to 3."""

_INDEX = np.arange(BINS + BINS_PER_OCTAVE * 2)
EDGES = 2.0 ** (FIRST_OCTAVE + _INDEX // BINS_PER_OCTAVE) * (
    1 + (_INDEX % BINS_PER_OCTAVE) / BINS_PER_OCTAVE
)
"""Lower edge of every bin."""


def exponential_share(ratio: np.ndarray) -> np.ndarray:
    """Return the largest share any exponential law puts into a window ``[a, ratio * a)``.

    The share is ``exp(-s) - exp(-s * ratio)`` with ``s = a / mean``; it is
    largest at ``s = ln(ratio) / (ratio - 1)``, which gives
    ``ratio ** (-1 / (ratio - 1)) * (1 - 1 / ratio)``: one quarter for an octave.
    """
    share: np.ndarray = ratio ** (-1 / (ratio - 1)) * (1 - 1 / ratio)
    return share


NULL_SHARE = exponential_share(
    EDGES[np.arange(BINS_PER_OCTAVE)[None, :] + WINDOW_WIDTHS[:, None]]
    / EDGES[np.arange(BINS_PER_OCTAVE)[None, :]]
)
"""``NULL_SHARE[width, position]`` with the position of the lower edge inside its octave."""


def bin_of(values: np.ndarray) -> np.ndarray:
    """Return the bin of each positive value; values beyond the range share the end bins."""
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)
    bins: np.ndarray = np.clip((bits >> MANTISSA_SHIFT) - BIN_OFFSET, 0, BINS - 1)
    return bins
