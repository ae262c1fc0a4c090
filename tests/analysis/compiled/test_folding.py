"""The compiled folding counts and folds like the plain one."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.folding import (
    core_interval,
    divided,
    explained_interval,
    fold,
    relative_half_width,
)
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


def test_a_fraction_that_explains_more_is_found_and_counted() -> None:
    intervals = np.array([180.0, 60.0, 181.0, 119.0, 179.0, 61.0, 180.0, 121.0])
    multiples = np.array([1, 0, 1, 0, 1, 0, 1, 0])
    half_width = relative_half_width(176.0, 184.0, 180.0)

    assert half_width == 0.03
    assert divided(intervals, multiples, 180.0, half_width) == (1_081 / 18, 10)
    assert divided(intervals[::2], multiples[::2], 180.0, half_width) == (0.0, 0)


def test_single_sleeps_need_not_be_seen_where_the_night_hides_them() -> None:
    intervals = np.array([2.0, 3.0, 2.0, 3.0, 2.0, 2.0, 3.0, 2.0]) * 14 * 3_600
    multiples = np.where(intervals == 2 * 14 * 3_600, 1, 0)

    assert divided(intervals, multiples, 2 * 14 * 3_600.0, 0.03) == (14 * 3_600.0, 11)
    assert divided(intervals / 60, multiples, 2 * 14 * 60.0, 0.03) == (0.0, 0)
