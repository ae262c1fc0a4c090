"""Missed check-ins are counted by the multiples they leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.reference.check_ins import find_check_ins
from beacon_detect.analysis.reference.folding import fold


@given(st.sets(st.integers(1, 98), max_size=20))
def test_the_missed_of_a_steady_beacon_are_counted_exactly(missing: set[int]) -> None:
    kept = np.array([i for i in range(100) if i not in missing])
    runs = np.diff(kept)
    found = find_check_ins(kept * 60_000_000_000)
    assert found is not None
    folded = fold(found)

    if runs.max() <= 6:
        assert folded.missed == len(missing)
        assert folded.intervals == pytest.approx(60)
        assert folded.explained_interval == pytest.approx(60)
