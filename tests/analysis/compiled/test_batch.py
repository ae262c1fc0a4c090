"""Slices cover every series once, whatever their sizes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.compiled.batch import slice_bounds


@given(lengths=st.lists(st.integers(0, 50), max_size=40), slices=st.integers(1, 9))
def test_bounds_ascend_from_the_first_to_the_last_series(lengths: list[int], slices: int) -> None:
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    bounds = slice_bounds(offsets, slices)

    assert bounds[0] == 0
    assert bounds[-1] == len(lengths)
    assert np.all(np.diff(bounds) > 0)
