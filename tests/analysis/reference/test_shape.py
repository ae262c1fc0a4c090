"""What the features of shape are at perfection and under chance."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.reference import shape

EVEN = np.full(200, 60.0)
CHANCE = np.random.default_rng(2).exponential(60, 4_000)


def test_even_intervals_have_no_spread() -> None:
    assert shape.folded_cv(EVEN, 60.0, 0.0) == 0
    assert shape.logs(EVEN, 60.0, 0.0)[1] == pytest.approx(0)
    assert shape.spreads(EVEN, 1 / 60)[0] == pytest.approx(np.log(4))


def test_a_window_stands_out_only_where_the_density_is_not_smooth() -> None:
    heavy = np.random.default_rng(3).lognormal(4, 1.5, 300)
    with_sleep = np.concatenate((heavy, np.full(60, 60.0)))

    smooth, peaked = (shape.spreads(x, 1 / 60)[1] for x in (heavy, with_sleep))

    assert smooth < 3.5
    assert peaked > smooth + 0.5
    assert shape.spreads(EVEN, 1 / 60)[1] == pytest.approx(np.log1p(len(EVEN) * np.log(5)))


def test_chance_counts_like_poisson_and_its_neighbours_agree_by_chance() -> None:
    values, _ = shape.logs(CHANCE, 60.0, 0.0)
    serial, _, near, evidence = shape.neighbours(values)

    assert shape.fano(CHANCE, 60.0, 0.0) == pytest.approx(0, abs=0.4)
    assert serial == pytest.approx(0, abs=0.06)
    assert near == pytest.approx(np.tanh(0.175), abs=0.06)
    assert evidence < 3.5


def test_waits_that_double_grow_and_chance_does_as_often_as_not() -> None:
    rng = np.random.default_rng(7)
    waits = 2.0 ** (np.arange(60) % 6) * rng.uniform(0.8, 1.2, 60)
    visits = rng.exponential(60, 4_000)

    assert shape.growth((np.cumsum(waits) * 1e9).astype(np.int64)) > 0.6
    assert shape.growth((np.cumsum(waits[::-1]) * 1e9).astype(np.int64)) < -0.6
    assert shape.growth((np.cumsum(visits) * 1e9).astype(np.int64)) == pytest.approx(0, abs=0.1)
    assert shape.growth(np.arange(50) * 60) == 0


def test_a_changed_sleep_is_a_second_window() -> None:
    intervals = np.concatenate((EVEN, np.full(60, 17.0)))
    multiples = np.concatenate((np.ones(200, np.int64), np.zeros(60, np.int64)))
    window = shape.second_window(intervals, multiples, 0.0, 1 / 60)

    assert window is not None
    assert window.count == 60
    assert window.low <= 17 < window.high


def test_a_schedule_is_locked_and_a_loop_is_not() -> None:
    rng = np.random.default_rng(3)
    delays = rng.uniform(0, 20, 201)
    schedule = 60 + np.diff(delays)
    loop = 60 + rng.uniform(-10, 10, 200)

    assert shape.schedule_lock(schedule, 60.0, 0.1) < shape.schedule_lock(loop, 60.0, 0.1) - 1


def test_a_day_needs_most_of_a_day() -> None:
    assert shape.day_hours(EVEN) == -1
    assert shape.day_hours(np.full(100, 1_800.0)) == 1


def test_equal_sizes_share_one_window() -> None:
    assert shape.size_share(np.full(2_000, 512)) == 1
