"""The feature list: names once, positions in order, a meaning for each."""

from __future__ import annotations

from beacon_detect.analysis.features import FEATURE, FEATURE_NAMES, FEATURES


def test_names_and_positions_agree() -> None:
    assert tuple(feature.name for feature in FEATURES) == FEATURE_NAMES
    assert tuple(FEATURE) == tuple(range(len(FEATURES)))


def test_every_feature_says_what_it_means_and_where_it_points() -> None:
    assert all(feature.meaning and feature.group for feature in FEATURES)
    assert {feature.direction for feature in FEATURES} == {-1, 0, 1}
