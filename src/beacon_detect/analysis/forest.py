"""The trees of the model as plain arrays, the same for both implementations, and the plain walk through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis.features import FEATURE

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers


class Forest(NamedTuple):
    """All trees in one set of arrays; a leaf has feature -1 and its share of the log odds in ``value``.

    ``ceiling[n]`` is the most that n check-ins can reach, the last entry also for more:
    nothing is more certain than a perfect beacon.
    """

    baseline: float
    roots: Integers
    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    value: Floats
    ceiling: Floats


def log_odds(features: Floats, forest: Forest) -> Floats:
    """Return the log odds of feature rows, shape ``(n,)``, from ``(n, len(FEATURES))``.

    The baseline plus the value of the leaf each tree leads to, at most the ceiling.
    """
    nodes = np.broadcast_to(forest.roots, (len(features), len(forest.roots)))
    rows = np.arange(len(features))[:, None]
    while True:
        feature = forest.feature[nodes]
        inner = feature >= 0
        if not inner.any():
            check_ins = (2.0 ** features[:, FEATURE.check_ins] + 0.5).astype(np.int64)
            most = forest.ceiling[np.minimum(check_ins, len(forest.ceiling) - 1)]
            total: Floats = np.minimum(forest.baseline + forest.value[nodes].sum(axis=1), most)
            return total
        left = features[rows, feature] <= forest.threshold[nodes]
        following = np.where(left, forest.left[nodes], forest.right[nodes])
        nodes = np.where(inner, following, nodes)
