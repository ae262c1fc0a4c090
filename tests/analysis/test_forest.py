"""The trees of the shipped model keep their promise: what speaks for a beacon never lowers a score."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.episodes import log_odds

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

    assert log_odds(after, forest) >= log_odds(before, forest) - 1e-5
