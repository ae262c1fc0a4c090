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


def test_an_implant_that_works_before_it_sleeps_is_known_by_its_pauses() -> None:
    """Each wake-up opens connections for up to half the sleep, and only then is the sleep timed."""
    rng = np.random.default_rng(2)
    works = rng.uniform(0.1, 30.0, (60, 3)).cumsum(axis=1)
    starts = np.concatenate(([0.0], np.cumsum(works[:-1, -1] + 300.0)))
    found = find_check_ins(
        ns(np.concatenate((starts[:, None], starts[:, None] + works), 1).ravel())
    )

    assert found is not None
    assert found.starts.tolist() == ns(starts).tolist()
    assert found.busy == pytest.approx(np.median(works[:, -1]))
    assert found.intervals == pytest.approx(300.0 + found.busy)


def test_a_schedule_keeps_its_starts_however_long_a_check_in_takes() -> None:
    rng = np.random.default_rng(3)
    works = rng.uniform(0.1, 30.0, (60, 3)).cumsum(axis=1)
    starts = np.arange(60) * 300.0
    found = find_check_ins(
        ns(np.concatenate((starts[:, None], starts[:, None] + works), 1).ravel())
    )

    assert found is not None
    assert found.busy == 0
    assert found.intervals == pytest.approx(300.0)


def test_the_clock_of_a_log_is_no_rhythm_of_its_traffic() -> None:
    """Visits of many connections each, stamped in whole seconds, as page loads are in such a log."""
    rng = np.random.default_rng(4)
    visits = np.cumsum(rng.exponential(300.0, 40))
    times = np.sort((visits[:, None] + rng.uniform(0, 6, (40, 12))).ravel())
    finer, whole = find_check_ins(ns(times)), find_check_ins(ns(np.floor(times)))

    assert finer is not None
    assert whole is not None
    assert np.median(whole.intervals) > 100
    assert len(whole.starts) == pytest.approx(len(finer.starts), abs=3)


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


def test_the_choice_of_a_collapse_is_clear_for_a_beacon_and_not_for_chance() -> None:
    rng = np.random.default_rng(8)
    beacon = np.cumsum(60 * rng.uniform(0.8, 1.2, 120))
    chance = np.cumsum(rng.lognormal(3, 1.5, 120))
    clear, unclear = (find_check_ins((times * 1e9).astype(np.int64)) for times in (beacon, chance))

    assert clear is not None
    assert unclear is not None
    assert clear.merits.collapses == 1
    assert clear.merits.runner_up == 0
    assert unclear.merits.collapses > 1
    assert unclear.merits.runner_up > 0
    for found in (clear, unclear):
        assert found.merits.best >= max(found.merits.runner_up, found.merits.uncollapsed)


def test_a_rhythm_that_is_looked_at_last_keeps_its_merits() -> None:
    slow, fast = (find_check_ins(np.arange(60) * seconds * 1_000_000_000) for seconds in (5, 1))

    assert slow is not None
    assert fast is not None
    assert fast.merits.over(0.5).best == 2 * fast.merits.best
    assert fast.merits.uncollapsed == pytest.approx(slow.merits.uncollapsed, rel=1e-9)
