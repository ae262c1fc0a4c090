"""The shipped model file is readable, complete, and refused when it does not fit the code."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.model import load_model, parse_model


def text() -> str:
    return files("beacon_detect.analysis").joinpath("model/timing.json").read_text("utf-8")


def test_the_shipped_model_says_what_it_was_fitted_on() -> None:
    fitted_on = load_model().fitted_on

    assert fitted_on["beacons"] > 10_000
    assert fitted_on["chance"] > 20_000


def test_scores_rise_with_the_log_odds_and_hold_the_cut_offs() -> None:
    model = load_model()

    assert np.all(np.diff(model.log_odds) > 0)
    assert np.all(np.diff(model.scores) > 0)
    assert {0.7, 0.8, 0.9} <= set(model.scores.tolist())
    assert model.calibrate(np.array([-1e9, 1e9])).tolist() == [0.0, 1.0]


def test_every_node_leads_to_a_leaf_of_its_own_tree() -> None:
    forest = load_model().forest
    ends = np.append(forest.roots[1:], len(forest.feature))
    tree = np.searchsorted(ends, np.arange(len(forest.feature)), side="right")
    inner = forest.feature >= 0

    for child in (forest.left, forest.right):
        assert np.all(child[inner] > np.flatnonzero(inner))
        assert np.array_equal(tree[child[inner]], tree[inner])
    assert forest.feature.max() < len(FEATURES)


def test_the_ceiling_rises_with_the_check_ins_and_holds_beyond_its_last_step() -> None:
    steps = json.loads(text())["ceiling"]
    ceiling = load_model().forest.ceiling
    counts, heights = (np.array(column) for column in zip(*steps, strict=True))

    assert np.all(np.diff(counts) > 0)
    assert np.all(np.diff(heights) > 0)
    assert len(ceiling) == counts[-1] + 1
    assert ceiling[counts].tolist() == heights.tolist()
    assert ceiling[0] == heights[0]


def test_a_model_of_other_features_is_refused() -> None:
    document = json.loads(text())
    document["features"][0] = "phase of the moon"

    with pytest.raises(ValueError, match="other features"):
        parse_model(json.dumps(document))


def test_another_schema_is_refused() -> None:
    document = json.loads(text()) | {"schema": "beacon-detect.model/9"}

    with pytest.raises(ValueError, match="schema"):
        parse_model(json.dumps(document))
