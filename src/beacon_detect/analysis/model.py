"""The fitted model: trees over named features, and what their log odds mean.

It is read from a JSON file in the package, which says what it was fitted on and
how its scores were set.  Limit: a model file of another feature list is refused,
because its numbers would mean something else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis.features import FEATURE_NAMES
from beacon_detect.analysis.forest import Forest

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

SCHEMA = "beacon-detect.model/2"
MODEL_FILE = "timing.json"


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model.

    Parameters
    ----------
    version
        Changes with every fit whose figures differ.
    forest
        The trees.
    log_odds, scores
        Knots of the map from log odds to score, ascending.
    fitted_on
        What the trees and the map were fitted on, for people.
    """

    version: str
    forest: Forest
    log_odds: Floats
    scores: Floats
    fitted_on: dict[str, Any]

    def calibrate(self, log_odds: Floats) -> Floats:
        """Return scores: 0.70, 0.80 and 0.90 mean 1, 0.3 and 0.1 % false positives."""
        calibrated: Floats = np.interp(log_odds, self.log_odds, self.scores)
        return calibrated


@cache
def load_model() -> Model:
    """Return the model that ships with the package."""
    text = files("beacon_detect.analysis").joinpath("model", MODEL_FILE).read_text("utf-8")
    return parse_model(text)


def parse_model(text: str) -> Model:
    """Read a model file.

    Parameters
    ----------
    text
        JSON as written by the training.

    Raises
    ------
    ValueError
        The file is of another schema or was fitted on other features.
    """
    document = json.loads(text)
    if document.get("schema") != SCHEMA:
        raise ValueError(f"model file: schema {document.get('schema')!r} is not {SCHEMA!r}")
    if tuple(document["features"]) != FEATURE_NAMES:
        raise ValueError("model file: fitted on other features; run the training again")
    knots = np.array(document["scores"], np.float64)
    return Model(
        version=document["version"],
        forest=_forest(document["baseline"], document["trees"], document["ceiling"]),
        log_odds=knots[:, 0],
        scores=knots[:, 1],
        fitted_on=document["fitted_on"],
    )


def _forest(
    baseline: float, trees: list[dict[str, list[float]]], steps: list[list[float]]
) -> Forest:
    """Join the trees; their node numbers count from the root of each.

    Each step of the ceiling holds from its number of check-ins to that of the next.
    """
    sizes = np.array([len(tree["feature"]) for tree in trees])
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    offset = np.repeat(roots, sizes)

    def joined(name: str) -> Floats:
        return np.concatenate([np.array(tree[name], np.float64) for tree in trees])

    return Forest(
        baseline=float(baseline),
        roots=roots,
        feature=joined("feature").astype(np.int64),
        threshold=joined("threshold"),
        left=joined("left").astype(np.int64) + offset,
        right=joined("right").astype(np.int64) + offset,
        value=joined("value"),
        ceiling=_ceiling(steps),
    )


def _ceiling(steps: list[list[float]]) -> Floats:
    """Return the ceiling of each number of check-ins, the last one also that of more."""
    from_check_ins = np.array([step[0] for step in steps])
    height = np.array([step[1] for step in steps], np.float64)
    check_ins = np.arange(int(from_check_ins[-1]) + 1)
    step = np.searchsorted(from_check_ins, check_ins, side="right") - 1
    ceiling: Floats = height[np.maximum(step, 0)]
    return ceiling
