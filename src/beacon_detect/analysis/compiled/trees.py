"""The calibrated score: a sum over small decision trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.analysis.compiled.jit import jit

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats
    from beacon_detect.analysis.forest import Forest


@jit
def log_odds(features: Floats, forest: Forest) -> float:
    """Return the baseline plus the value of the leaf each tree leads to."""
    total = forest.baseline
    for root in forest.roots:
        node = root
        while forest.feature[node] >= 0:
            if features[forest.feature[node]] <= forest.threshold[node]:
                node = forest.left[node]
            else:
                node = forest.right[node]
        total += forest.value[node]
    return total
