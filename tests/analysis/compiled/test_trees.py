"""The compiled sum over trees equals the plain one."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.compiled.trees import MOST_LEAVES, arrange, log_odds
from beacon_detect.analysis.features import FEATURE, FEATURES
from beacon_detect.analysis.forest import Forest
from beacon_detect.analysis.forest import log_odds as walk
from beacon_detect.analysis.model import load_model


def plain(features: np.ndarray, forest: Forest) -> float:
    return float(walk(features[None, :], forest)[0])


def chain(leaves: int) -> Forest:
    """Return one tree that asks feature 3 for 0, 1, 2, ... and goes left at the first not exceeded."""
    inner, nodes = leaves - 1, 2 * leaves - 1
    number = np.arange(inner)
    zeros = np.zeros(leaves, np.int64)
    return Forest(
        baseline=0.5,
        roots=np.array([0]),
        feature=np.concatenate((np.full(inner, 3), zeros - 1)),
        threshold=np.concatenate((number, zeros)).astype(float),
        left=np.concatenate((inner + number, zeros)),
        right=np.concatenate((number[1:], [nodes - 1], zeros)),
        value=np.concatenate((0 * number, np.arange(leaves))).astype(float),
        ceiling=np.array([np.inf]),
    )


def test_trees_sum_to_the_reference_s() -> None:
    forest = load_model().forest
    trees, reachable = arrange(forest), np.zeros(len(forest.roots), np.int64)
    for features in np.random.default_rng(1).normal(0, 2, (50, len(FEATURES))):
        assert np.isclose(log_odds(features, trees, reachable), plain(features, forest))


def test_a_value_at_its_threshold_goes_left_as_in_the_reference() -> None:
    forest = load_model().forest
    trees, reachable = arrange(forest), np.zeros(len(forest.roots), np.int64)
    inner = np.flatnonzero(forest.feature >= 0)
    for node in np.random.default_rng(2).choice(inner, 50):
        features = np.zeros(len(FEATURES))
        features[forest.feature[node]] = forest.threshold[node]

        assert np.isclose(log_odds(features, trees, reachable), plain(features, forest))


def test_the_largest_tree_reaches_each_of_its_leaves_and_a_larger_one_is_refused() -> None:
    forest = chain(MOST_LEAVES)
    trees, reachable = arrange(forest), np.zeros(1, np.int64)
    for leaf in range(MOST_LEAVES):
        features = np.full(len(FEATURES), leaf - 0.5)

        assert log_odds(features, trees, reachable) == plain(features, forest) == 0.5 + leaf

    with pytest.raises(ValueError, match="leaves"):
        arrange(chain(MOST_LEAVES + 1))


def test_both_stop_at_the_ceiling() -> None:
    forest = load_model().forest._replace(ceiling=np.array([-99.0] * 7 + [np.inf]))
    trees, reachable = arrange(forest), np.zeros(len(forest.roots), np.int64)
    features = np.zeros(len(FEATURES))
    for check_ins, capped in ((6, True), (7, False), (5_000, False)):
        features[FEATURE.check_ins] = np.log2(check_ins)

        assert (log_odds(features, trees, reachable) == -99.0) == capped
        assert (plain(features, forest) == -99.0) == capped
