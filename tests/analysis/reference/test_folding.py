"""Missed check-ins are counted by the multiples they leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.arrays import Integers
from beacon_detect.analysis.reference.check_ins import find_check_ins
from beacon_detect.analysis.reference.folding import divided, fold


@given(st.sets(st.integers(1, 98), max_size=20))
def test_the_missed_of_a_steady_beacon_are_counted_exactly(missing: set[int]) -> None:
    kept = np.array([i for i in range(100) if i not in missing])
    runs = np.diff(kept)
    found, *_ = find_check_ins(kept * 60_000_000_000)
    folded = fold(found)

    if runs.max() <= 6:
        assert folded.missed == len(missing)
        assert folded.intervals == pytest.approx(60)
        assert folded.explained_interval == pytest.approx(60)


def seen_by_day(sleep: float, jitter: float, count: int) -> Integers:
    """Return the check-ins, ns, of an implant that is only seen between eight and six."""
    rng = np.random.default_rng(4)
    times = np.cumsum(sleep * rng.uniform(1 - jitter, 1 + jitter, count))
    hour = times % 86_400 / 3_600
    return np.asarray(times[(hour >= 8) & (hour < 18)] * 1e9, np.int64)


@pytest.mark.parametrize("hours", [6.0, 6.3, 7.3])
def test_several_sleeps_of_an_implant_seen_by_day_are_told_from_one(hours: float) -> None:
    found, *_ = find_check_ins(seen_by_day(hours * 3_600, 0.05, 100))
    folded = fold(found)
    fraction = divided(folded)

    assert folded.interval == pytest.approx(3 * hours * 3_600, rel=0.05)
    assert fraction is not None
    assert fraction[0] == pytest.approx(hours * 3_600, rel=0.02)
    assert fraction[1] > folded.missed


@pytest.mark.parametrize("hours", [10.5, 11.0, 13.5, 14.0])
def test_a_sleep_that_the_night_always_hides_is_told_from_its_multiples(hours: float) -> None:
    times = seen_by_day(hours * 3_600, 0.02, 60)
    found, *_ = find_check_ins(times)
    fraction = divided(fold(found))

    assert (np.diff(times) * 1e-9 < 1.5 * hours * 3_600).sum() < 2
    assert fraction is not None
    assert fraction[0] == pytest.approx(hours * 3_600, rel=0.02)


def fraction_of(intervals: list[float], seed: int = 1) -> tuple[float, int] | None:
    """Return what the intervals are divided into, with half a per cent of noise."""
    rng = np.random.default_rng(seed)
    seconds = np.cumsum(np.array([0.0, *intervals]) * rng.uniform(0.995, 1.005, len(intervals) + 1))
    found, *_ = find_check_ins((seconds * 1e9).astype(np.int64))
    return divided(fold(found))


@pytest.mark.parametrize("times", [2, 3])
def test_the_longest_sleep_that_explains_them_is_told(times: int) -> None:
    rng = np.random.default_rng(times)
    intervals = rng.choice([600.0, 600.0 * times, 600.0 * (times + 1)], 600, p=[0.15, 0.55, 0.3])
    fraction = fraction_of(intervals.tolist())

    assert fraction is not None
    assert fraction[0] == pytest.approx(600, rel=0.02)
    assert fraction[1] == pytest.approx(intervals.sum() / 600 - 600, abs=2)


@pytest.mark.parametrize("other", [80.0, 90.0, 100.0, 150.0])
def test_two_sleeps_are_not_divided_into_what_they_share(other: float) -> None:
    rng = np.random.default_rng(3)

    assert fraction_of(rng.choice([60.0, other], 60, p=[0.7, 0.3]).tolist()) is None


@given(st.sets(st.integers(1, 98), max_size=40), st.floats(0, 0.3))
def test_a_beacon_that_is_seen_at_each_sleep_is_never_divided(
    missing: set[int], jitter: float
) -> None:
    kept = np.array([i for i in range(100) if i not in missing])
    rng = np.random.default_rng(len(missing))
    found, *_ = find_check_ins(
        np.cumsum(60e9 * rng.uniform(1 - jitter, 1 + jitter, 100)).astype(np.int64)[kept]
    )
    folded = fold(found)

    if folded.interval < 90:
        assert divided(folded) is None


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_seldom_divided(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = [np.cumsum(rng.exponential(60e9, 60)).astype(np.int64) for _ in range(40)]
    folded = [fold(found[0]) for times in series if (found := find_check_ins(times))]

    assert sum(divided(one) is not None for one in folded) <= 4
