"""Connections become check-ins at the valley, and chance stays chance after a collapse."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.reference.check_ins import (
    densest_window,
    find_check_ins,
    kl_divergence,
    mean_gap_rate,
    starts_at,
)


def ns(seconds: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(seconds) * 1e9).astype(np.int64)


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_every_wake_up_is_one_check_in(connections: int) -> None:
    wake_ups = np.arange(40) * 60.0
    times = ns((wake_ups[:, None] + 0.2 * np.arange(connections)).ravel())
    found = find_check_ins(times)

    assert found is not None
    assert len(found.starts) == 40
    assert found.intervals == pytest.approx(60)


def test_events_within_a_millisecond_are_one() -> None:
    assert len(starts_at(np.array([0, 900_000, 5_000_000]), 0.0)) == 2


def test_evidence_against_chance_is_small_for_poisson_at_any_collapse() -> None:
    times = ns(np.cumsum(np.random.default_rng(1).exponential(10, 2_000)))
    for gap in (0.0, 1.0, 5.0, 20.0):
        excess = np.diff(starts_at(times, gap)) * 1e-9 - gap
        window = densest_window(excess, mean_gap_rate(times))
        assert len(excess) * window.divergence < 15


def test_divergence_is_zero_below_the_null_and_finite_at_one() -> None:
    assert kl_divergence(0.1, 0.2) == 0
    assert kl_divergence(1.0, 0.25) == pytest.approx(np.log(4))


def test_fewer_than_six_events_have_no_check_ins() -> None:
    assert find_check_ins(ns(np.arange(5) * 60.0)) is None
