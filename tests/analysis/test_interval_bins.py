"""Laws of the histogram: bins ascend, hold what they say, and chance is bounded as claimed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.interval_bins import (
    BINS,
    BINS_PER_OCTAVE,
    EDGES,
    NULL_SHARE,
    WINDOW_WIDTHS,
    bin_of,
    exponential_share,
)


@given(st.floats(1e-6, 1e6))
def test_a_value_lies_between_the_edges_of_its_bin(value: float) -> None:
    index = int(bin_of(np.array([value]))[0])

    assert EDGES[index] <= value < EDGES[index + 1]


@given(st.floats(1e-5, 1e5))
def test_doubling_moves_by_one_octave(value: float) -> None:
    low, high = bin_of(np.array([value, 2 * value]))

    assert high - low == BINS_PER_OCTAVE


def test_values_beyond_the_range_share_the_end_bins() -> None:
    assert bin_of(np.array([0.0, -1.0, 1e300])).tolist() == [0, 0, BINS - 1]


@given(ratio=st.floats(1.01, 20), start=st.floats(1e-3, 20))
def test_no_exponential_law_puts_more_into_a_window(ratio: float, start: float) -> None:
    share = np.exp(-start) - np.exp(-start * ratio)

    assert share <= exponential_share(np.array([ratio]))[0] + 1e-12


def test_an_octave_holds_at_most_a_quarter() -> None:
    octave = WINDOW_WIDTHS.tolist().index(BINS_PER_OCTAVE)

    assert NULL_SHARE[octave] == pytest.approx(0.25)
