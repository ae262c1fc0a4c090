"""The compiled folding counts and folds like the plain one."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.folding import core_interval, explained_interval, fold
from beacon_detect.analysis.compiled.workspace import workspace


def test_multiples_are_found_and_folded() -> None:
    intervals = np.array([60.0, 61.0, 119.0, 59.0, 300.0, 7.0])
    w = workspace(10)
    interval = core_interval(intervals, 58.0, 62.0)
    missed = fold(intervals, 58.0, 62.0, interval, w)

    assert interval == 60
    assert missed == 1 + 4
    assert w.multiples[:6].tolist() == [1, 1, 2, 1, 5, 0]
    assert explained_interval(intervals, w.multiples[:6], 0.0) == (60 + 61 + 119 + 59 + 300) / 10
