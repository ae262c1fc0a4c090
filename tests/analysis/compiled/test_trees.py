"""The compiled sum over trees equals the plain one."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.trees import log_odds
from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.episodes import log_odds as plain


def test_trees_sum_to_the_reference_s() -> None:
    forest = load_model().forest
    for features in np.random.default_rng(1).normal(0, 2, (50, len(FEATURES))):
        assert np.isclose(log_odds(features, forest), plain(features, forest))
