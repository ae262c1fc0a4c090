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
    found = find_check_ins(kept * 60_000_000_000)
    assert found is not None
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
    found = find_check_ins(seen_by_day(hours * 3_600, 0.05, 100))
    assert found is not None
    folded = fold(found)
    fraction = divided(folded)

    assert folded.interval == pytest.approx(3 * hours * 3_600, rel=0.05)
    assert fraction is not None
    assert fraction[0] == pytest.approx(hours * 3_600, rel=0.02)
    assert fraction[1] > folded.missed


@given(st.sets(st.integers(1, 98), max_size=40), st.floats(0, 0.3))
def test_a_beacon_that_is_seen_at_each_sleep_is_never_divided(
    missing: set[int], jitter: float
) -> None:
    kept = np.array([i for i in range(100) if i not in missing])
    rng = np.random.default_rng(len(missing))
    found = find_check_ins(
        np.cumsum(60e9 * rng.uniform(1 - jitter, 1 + jitter, 100)).astype(np.int64)[kept]
    )
    assert found is not None
    folded = fold(found)

    if folded.interval < 90:
        assert divided(folded) is None


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_seldom_divided(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = [np.cumsum(rng.exponential(60e9, 60)).astype(np.int64) for _ in range(40)]
    folded = [fold(found) for times in series if (found := find_check_ins(times))]

    assert sum(divided(one) is not None for one in folded) <= 4
