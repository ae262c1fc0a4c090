"""The shipped model comes from the training, and the training repeats itself bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.model import load_model, parse_model
from training import fit, forest


def separable() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (600, len(FEATURES)))
    return features, features[:, 1] + 0.3 * rng.normal(0, 1, 600) > 0


def test_fitting_twice_gives_the_same_trees() -> None:
    features, label = separable()
    first, second = forest.fit(features, label), forest.fit(features, label)

    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_written_model_reads_back_as_the_same_scorer(tmp_path: Path) -> None:
    features, label = separable()
    trees = forest.fit(features, label)
    knots = fit.score_map(forest.predict(trees, features[~label]), 99.0)
    fit.write(fit.to_document(trees, knots, [[6, 2.0], [20, 9.0]], {}), tmp_path / "model.json")
    back = parse_model((tmp_path / "model.json").read_text("utf-8"))

    assert forest.predict(back.forest, features) == pytest.approx(
        forest.predict(trees, features), abs=1e-3
    )
    assert back.forest.ceiling[[0, 6, 19, 20]].tolist() == [2.0, 2.0, 2.0, 9.0]


def test_cut_offs_are_the_stated_false_positive_rates() -> None:
    chance = np.random.default_rng(2).normal(0, 1, 20_000)
    knots = np.array(fit.score_map(chance, 9.0))
    score = np.interp(chance, knots[:, 0], knots[:, 1])

    for cut, rate in ((0.7, 0.01), (0.8, 0.003), (0.9, 0.001)):
        assert np.mean(score >= cut) == pytest.approx(rate, abs=rate / 5)


def test_the_shipped_model_names_the_worlds_of_the_plans() -> None:
    fitted_on = load_model().fitted_on

    assert fitted_on["worlds"] == [plan.seed for plan in fit.WORLDS]
    assert json.loads(fit.MODEL_PATH.read_text("utf-8"))["version"] == fit.VERSION
