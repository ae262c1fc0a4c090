"""The calibrated score: a sum over small decision trees, without walking them.

On a walk the processor waits at every node for a comparison it could not guess.
Here the nodes of all trees are sorted by feature and threshold instead: one run
over each feature meets the tests that fail, each strikes out the leaves it makes
unreachable, and the leftmost leaf left is the one a walk would end at.
Limit: ``MOST_LEAVES`` leaves a tree.

References
----------
.. [1] Lucchese et al., "QuickScorer: a fast algorithm to rank documents with
   additive ensembles of regression trees", SIGIR (2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beacon_detect.analysis.compiled.jit import jit, reorderable
from beacon_detect.analysis.features import FEATURE, FEATURES

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.forest import Forest

MOST_LEAVES = 62
"""A leaf is a bit of a signed number, and one beyond the last must be a number too."""
MANTISSA_BITS = 52
EXPONENT_BIAS = 1023


class Trees(NamedTuple):
    """The forest sorted by what is tested.

    Feature ``f`` is tested by the nodes ``begins[f] <= k < begins[f + 1]``, in
    the order of their thresholds; where it is above, ``kept[k]`` has the bits of the
    leaves that can still be reached in tree ``tree[k]``.
    """

    baseline: float
    begins: Integers
    threshold: Floats
    tree: Integers
    kept: Integers
    value: Floats
    ceiling: Floats


@jit
def number_leaves(forest: Forest, place: Integers, kept: Integers, tree: Integers) -> None:
    """Write the place of each leaf in its tree, from the left, and what each inner node keeps."""
    waiting = np.empty(len(forest.feature), np.int64)
    parent = np.empty(len(forest.feature), np.int64)
    for number in range(len(forest.roots)):
        waiting[0], parent[0], depth, leaves = forest.roots[number], -1, 1, 0
        while depth > 0:
            depth -= 1
            node, above = waiting[depth], parent[depth]
            if above >= 0:  # a right branch: every leaf of the left one has been numbered
                kept[above] = ~((1 << leaves) - (1 << place[above]))
            place[node], tree[node] = leaves, number
            if forest.feature[node] < 0:
                leaves += 1
            else:
                waiting[depth], parent[depth] = forest.right[node], node
                waiting[depth + 1], parent[depth + 1] = forest.left[node], -1
                depth += 2


def arrange(forest: Forest) -> Trees:
    """Sort the nodes of a forest by feature and threshold.

    Parameters
    ----------
    forest
        The trees as the model file has them.

    Raises
    ------
    ValueError
        A tree has more than ``MOST_LEAVES`` leaves.
    """
    place, kept, tree = np.zeros((3, len(forest.feature)), np.int64)
    number_leaves(forest, place, kept, tree)
    leaf = forest.feature < 0
    if place[leaf].max() >= MOST_LEAVES:
        raise ValueError(f"a tree of the model has more than {MOST_LEAVES} leaves")
    value = np.zeros((len(forest.roots), place[leaf].max() + 1))
    value[tree[leaf], place[leaf]] = forest.value[leaf]
    inner = np.flatnonzero(~leaf)
    order = inner[np.lexsort((forest.threshold[inner], forest.feature[inner]))]
    return Trees(
        baseline=forest.baseline,
        begins=np.searchsorted(forest.feature[order], np.arange(len(FEATURES) + 1)),
        threshold=forest.threshold[order],
        tree=tree[order],
        kept=kept[order],
        value=value,
        ceiling=forest.ceiling,
    )


@jit
def strike_out(features: Floats, trees: Trees, reachable: Integers) -> None:
    """Leave in ``reachable`` the bits of the leaves of each tree that no failed test excludes."""
    reachable[:] = -1
    for feature in range(len(features)):
        x = features[feature]
        for k in range(trees.begins[feature], trees.begins[feature + 1]):
            if x <= trees.threshold[k]:
                break
            reachable[trees.tree[k]] &= trees.kept[k]


@reorderable
def leaf_total(value: Floats, reachable: Integers) -> float:
    """Return the sum of the values of the leftmost leaves that are reachable."""
    total = 0.0
    for tree in range(len(reachable)):
        lowest = reachable[tree] & -reachable[tree]
        # The exponent of a power of two is the place of its bit.
        leaf = (np.float64(lowest).view(np.int64) >> MANTISSA_BITS) - EXPONENT_BIAS
        total += value[tree, leaf]
    return total


@jit
def log_odds(features: Floats, trees: Trees, reachable: Integers) -> float:
    """Return the baseline plus the value of the leaf each tree leads to, at most the ceiling."""
    strike_out(features, trees, reachable)
    total = trees.baseline + leaf_total(trees.value, reachable)
    check_ins = int(2.0 ** features[FEATURE.check_ins] + 0.5)
    return float(min(total, trees.ceiling[min(check_ins, len(trees.ceiling) - 1)]))
