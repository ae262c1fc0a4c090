"""Fit the trees and turn scikit-learn's into plain arrays.

Gradient boosting with small trees and monotone constraints on the features that
can speak one way only.  The others may speak either way as the rest of a series
says (the spread of a retry is smaller than that of most beacons), so nothing in
the trees keeps a perfect beacon at the top whatever the generator forgot: the
ceiling does.  Limit: one thread, because sums over threads would not be the same
twice.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from beacon_detect.analysis.features import FEATURE, FEATURES
from beacon_detect.analysis.forest import Forest

TREES = 300
LEAVES = 24
RATE = 0.08
SEED = 7
NO_CEILING = np.array([np.inf])


def fit(features: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> Forest:
    """Fit a forest that gives the log odds of a beacon.

    Parameters
    ----------
    features
        One row per series.
    label
        1 for a beacon, 0 for chance.
    weight
        Weight of each row.
    """
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_bins=255,
        early_stopping=False,
        monotonic_cst=[feature.direction for feature in FEATURES],
        random_state=SEED,
    )
    model.fit(features, label, sample_weight=weight)
    return flatten(model)


def flatten(model: HistGradientBoostingClassifier) -> Forest:
    """Return the trees of a fitted model as one set of arrays."""
    roots: list[int] = []
    parts: list[np.ndarray] = []
    size = 0
    for (predictor,) in model._predictors:  # scikit-learn has no public way to the nodes
        nodes = predictor.nodes
        roots.append(size)
        moved = nodes.copy()
        inner = moved["is_leaf"] == 0
        moved["left"][inner] += size
        moved["right"][inner] += size
        parts.append(moved)
        size += len(nodes)
    nodes = np.concatenate(parts)
    leaf = nodes["is_leaf"] == 1
    return Forest(
        baseline=float(model._baseline_prediction.ravel()[0]),
        roots=np.array(roots, np.int64),
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
        left=np.where(leaf, 0, nodes["left"]).astype(np.int64),
        right=np.where(leaf, 0, nodes["right"]).astype(np.int64),
        value=np.where(leaf, nodes["value"], 0.0),
        ceiling=NO_CEILING,
    )


def by_evidence() -> Forest:
    """Return a forest that only counts evidence: what chooses the episodes before there is a model."""
    steps = np.arange(0.25, 9, 0.25)
    nodes = np.arange(len(steps)) * 3
    size = 3 * len(steps)
    feature = np.full(size, -1)
    feature[nodes] = FEATURE.evidence
    threshold, value = np.zeros(size), np.zeros(size)
    left, right = np.zeros(size, np.int64), np.zeros(size, np.int64)
    threshold[nodes] = steps
    left[nodes], right[nodes] = nodes + 1, nodes + 2
    value[nodes + 2] = 0.25
    return Forest(
        0.0, nodes.astype(np.int64), feature.astype(np.int64), threshold, left, right, value, NO_CEILING
    )  # fmt: skip


def predict(trees: Forest, features: np.ndarray) -> np.ndarray:
    """Return the log odds of many rows at once."""
    total = np.full(len(features), trees.baseline)
    rows = np.arange(len(features))
    for root in trees.roots:
        nodes = np.full(len(features), root)
        while True:
            feature = trees.feature[nodes]
            inner = feature >= 0
            if not inner.any():
                break
            left = features[rows, np.maximum(feature, 0)] <= trees.threshold[nodes]
            following = np.where(left, trees.left[nodes], trees.right[nodes])
            nodes = np.where(inner, following, nodes)
        total += trees.value[nodes]
    return total
