"""The trees of the shipped model keep their promise: what speaks for a beacon never lowers a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis.compiled import trees as compiled
from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.forest import log_odds
from beacon_detect.analysis.model import load_model

POINTED = [i for i, feature in enumerate(FEATURES) if feature.direction]


@given(
    values=st.lists(st.floats(-4, 9), min_size=len(FEATURES), max_size=len(FEATURES)),
    index=st.sampled_from(POINTED),
    step=st.floats(0.01, 5),
)
@examples(max_examples=80)
def test_a_step_in_the_expected_direction_never_lowers_the_log_odds(
    values: list[float], index: int, step: float
) -> None:
    forest = load_model().forest
    before = np.array(values)
    after = before.copy()
    after[index] += step * FEATURES[index].direction

    first, second = log_odds(np.stack((before, after)), forest)

    assert second >= first - 1e-5


@given(st.lists(st.floats(-50, 50), min_size=len(FEATURES), max_size=len(FEATURES)))
def test_many_rows_have_the_log_odds_of_each(row: list[float]) -> None:
    forest = load_model().forest
    trees, reachable = compiled.arrange(forest), np.zeros(len(forest.roots), np.int64)
    rows = np.array([row, [0.0] * len(FEATURES)])

    assert log_odds(rows, forest) == pytest.approx(
        [compiled.log_odds(one, trees, reachable) for one in rows], abs=1e-9
    )
