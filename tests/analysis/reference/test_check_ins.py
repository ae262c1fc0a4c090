"""Connections become check-ins at the valley, and chance stays chance after a collapse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.constants import LARGE_CHECK_IN
from beacon_detect.analysis.reference.check_ins import (
    Collapse,
    densest_window,
    find_check_ins,
    first_events,
    kl_divergence,
    mean_gap_rate,
)


def ns(seconds: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(seconds) * 1e9).astype(np.int64)


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_every_wake_up_is_one_check_in(connections: int) -> None:
    wake_ups = np.arange(40) * 60.0
    times = ns((wake_ups[:, None] + 0.2 * np.arange(connections)).ravel())
    found = find_check_ins(times)[0]

    assert len(found.starts) == 40
    assert found.intervals == pytest.approx(60)


def test_an_implant_that_works_before_it_sleeps_is_known_by_its_pauses() -> None:
    """Each wake-up opens connections for up to half the sleep, and only then is the sleep timed."""
    rng = np.random.default_rng(2)
    works = rng.uniform(0.1, 30.0, (60, 3)).cumsum(axis=1)
    starts = np.concatenate(([0.0], np.cumsum(works[:-1, -1] + 300.0)))
    found, *_ = find_check_ins(
        ns(np.concatenate((starts[:, None], starts[:, None] + works), 1).ravel())
    )

    assert found.starts.tolist() == ns(starts).tolist()
    assert found.busy == pytest.approx(np.median(works[:, -1]))
    assert found.intervals == pytest.approx(300.0 + found.busy)


def test_a_schedule_keeps_its_starts_however_long_a_check_in_takes() -> None:
    rng = np.random.default_rng(3)
    works = rng.uniform(0.1, 30.0, (60, 3)).cumsum(axis=1)
    starts = np.arange(60) * 300.0
    found, *_ = find_check_ins(
        ns(np.concatenate((starts[:, None], starts[:, None] + works), 1).ravel())
    )

    assert found.busy == 0
    assert found.intervals == pytest.approx(300.0)


def test_the_clock_of_a_log_is_no_rhythm_of_its_traffic() -> None:
    """Visits of many connections each, stamped in whole seconds, as page loads are in such a log."""
    rng = np.random.default_rng(4)
    visits = np.cumsum(rng.exponential(300.0, 40))
    times = np.sort((visits[:, None] + rng.uniform(0, 6, (40, 12))).ravel())
    finer, whole = find_check_ins(ns(times))[0], find_check_ins(ns(np.floor(times)))[0]

    assert np.median(whole.intervals) > 100
    assert len(whole.starts) == pytest.approx(len(finer.starts), abs=3)


def test_events_within_a_millisecond_are_one() -> None:
    assert first_events(np.array([0, 900_000, 5_000_000]), 0.0).tolist() == [0, 2]


def test_evidence_against_chance_is_small_for_poisson_at_any_collapse() -> None:
    times = ns(np.cumsum(np.random.default_rng(1).exponential(10, 2_000)))
    for gap in (0.0, 1.0, 5.0, 20.0):
        excess = np.diff(times[first_events(times, gap)]) * 1e-9 - gap
        window = densest_window(excess, mean_gap_rate(times))
        assert len(excess) * window.divergence < 15


def test_divergence_is_zero_below_the_null_and_finite_at_one() -> None:
    assert kl_divergence(0.1, 0.2) == 0
    assert kl_divergence(1.0, 0.25) == pytest.approx(np.log(4))


def test_fewer_than_six_events_have_no_check_ins() -> None:
    assert find_check_ins(ns(np.arange(5) * 60.0)) == []


def test_the_choice_of_a_collapse_is_clear_for_a_beacon_and_not_for_chance() -> None:
    rng = np.random.default_rng(8)
    beacon = np.cumsum(60 * rng.uniform(0.8, 1.2, 120))
    chance = np.cumsum(rng.lognormal(3, 1.5, 120))
    (clear,), (unclear, *_) = (find_check_ins(ns(times)) for times in (beacon, chance))

    assert clear.merits.collapses == 1
    assert clear.merits.other == 0
    assert unclear.merits.collapses > 1
    assert unclear.merits.other > 0
    for found in (clear, unclear):
        assert found.merits.own >= max(found.merits.other, found.merits.uncollapsed)


def test_a_rhythm_that_is_looked_at_last_keeps_its_merits() -> None:
    slow, fast = (find_check_ins(np.arange(60) * seconds * 1_000_000_000)[0] for seconds in (5, 1))

    assert fast.merits.over(0.5).own == 2 * fast.merits.own
    assert fast.merits.uncollapsed == pytest.approx(slow.merits.uncollapsed, rel=1e-9)


def test_what_comes_one_by_one_beside_larger_check_ins_is_left_out() -> None:
    """An implant opens four connections each time; twice as many visits lie anywhere between."""
    rng = np.random.default_rng(5)
    wake_ups = np.cumsum(600 * rng.uniform(0.9, 1.1, 60))
    visits = rng.uniform(0, wake_ups[-1], 120)
    opened = (wake_ups[:, None] + 0.2 * np.arange(4)).ravel()
    found = find_check_ins(ns(np.sort(np.concatenate((opened, visits)))))[0]

    assert found.collapse.large
    assert found.starts.tolist() == pytest.approx(ns(wake_ups).tolist(), abs=1e9)
    assert found.left_out == pytest.approx(120, abs=6)
    assert np.abs(found.intervals / 600 - 1).max() < 0.25


def test_connections_as_slow_as_the_sleep_are_joined_without_a_valley() -> None:
    """The connections of a check-in take up to a second each, and then it sleeps three."""
    rng = np.random.default_rng(6)
    steps = rng.exponential(0.4, (400, 5))
    steps[:, 0] = 3.0
    found, *_ = find_check_ins(ns(np.cumsum(steps.ravel())))

    assert len(found.starts) == pytest.approx(400, rel=0.15)
    assert np.median(found.intervals) - found.busy == pytest.approx(3.0, rel=0.02)


@given(
    st.lists(st.integers(2_000_000, 500_000_000_000), min_size=7, max_size=80),
    st.floats(0, 300),
    st.booleans(),
    st.booleans(),
)
def test_a_collapse_counts_every_event_once(
    gaps: list[int], gap: float, paused: bool, large: bool
) -> None:
    times = np.cumsum(np.array(gaps))
    collapse = Collapse(gap, paused and not large, large)
    firsts, sizes = collapse.firsts_and_sizes(times)
    every, all_sizes = Collapse(gap).firsts_and_sizes(times)

    assert all_sizes.sum() == len(times)
    assert np.isin(firsts, every).all()
    assert (sizes >= (LARGE_CHECK_IN if large else 1)).all()
    assert len(collapse.intervals(times)) == max(len(firsts) - 1, 0)
    if len(firsts) > 1 and not paused:
        assert collapse.intervals(times) == pytest.approx(np.diff(times[firsts]) * 1e-9)
