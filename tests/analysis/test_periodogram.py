"""The curve is the spectrum that is searched, and its line is one that chance seldom crosses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.constants import (
    SPECTRUM_CHECK_INS,
    SPECTRUM_GAP_LIMIT,
    SPECTRUM_HIGHEST,
    SPECTRUM_LOWEST,
)
from beacon_detect.analysis.periodogram import (
    CHANCE,
    CLOCK_POWER,
    POINTS_PER_LINE,
    Periodogram,
    periodogram,
)
from beacon_detect.analysis.reference.regularity import false_alarm, strongest_line


def peak(found: Periodogram) -> float:
    return float(found.periods[found.power.argmax()])


@pytest.mark.parametrize("interval", [0.5, 60.0, 86_400.0])
@pytest.mark.parametrize("count", [8, 30, 500])
def test_a_clock_peaks_at_its_interval_with_the_power_of_its_events_in_step(
    interval: float, count: int
) -> None:
    found = periodogram(np.full(count, interval), interval)

    assert peak(found) == pytest.approx(interval)
    assert found.power.max() == pytest.approx(CLOCK_POWER)


@pytest.mark.parametrize("guess", [0.9, 1.15])
def test_the_peak_stands_at_the_sleep_even_where_the_interval_found_is_a_little_off(
    guess: float,
) -> None:
    found = periodogram(np.full(100, 60.0), 60.0 * guess)

    assert peak(found) == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_jittered_beacon_crosses_the_line_at_its_sleep(missing: float) -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.uniform(48, 72, 250))
    found = periodogram(np.diff(times[rng.random(250) >= missing]), 60.0)

    assert peak(found) == pytest.approx(60, rel=0.05)
    assert found.power.max() > found.chance_line


@pytest.mark.parametrize("count", [20, 100, 300])
def test_random_visits_have_power_one_on_average_and_stay_below_the_line(count: int) -> None:
    found = [
        periodogram(np.random.default_rng(seed).exponential(60, count), 60.0) for seed in range(100)
    ]

    assert np.mean([one.power for one in found]) == pytest.approx(1, abs=0.05)
    assert sum(one.power.max() > one.chance_line for one in found) <= 1


@pytest.mark.parametrize("count", [6, 30, 100, 1_000])
def test_the_line_is_where_the_bound_on_chance_is_one_in_a_hundred(count: int) -> None:
    # Half a segment is four intervals; a clock of so many fills this many segments.
    segments = max(min(count, SPECTRUM_CHECK_INS) - 8, 0) // 4 + 1
    line = periodogram(np.full(count, 60.0), 60.0).chance_line

    assert false_alarm(line, segments) == pytest.approx(CHANCE, rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.floats(0.2, 5))
def test_it_agrees_with_the_line_that_the_analysis_finds(
    seed: int, count: int, guess: float
) -> None:
    intervals = np.random.default_rng(seed).gamma(4, 15, count)
    line, found = strongest_line(intervals, 60 * guess), periodogram(intervals, 60 * guess)
    searched = found.power[::POINTS_PER_LINE]

    assert len(searched) == SPECTRUM_HIGHEST - SPECTRUM_LOWEST + 1
    assert searched.max() == pytest.approx(line.power, rel=1e-6, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(-20, 20))
def test_the_unit_of_time_changes_nothing(seed: int, count: int, octaves: int) -> None:
    # Powers of two, so that no event changes its bin by rounding.
    intervals, scale = np.random.default_rng(seed).exponential(60, count), 2.0**octaves
    one, other = periodogram(intervals, 60.0), periodogram(intervals * scale, 60.0 * scale)

    np.testing.assert_array_equal(one.power, other.power)
    np.testing.assert_allclose(one.periods * scale, other.periods)
    assert one.chance_line == other.chance_line


def test_only_the_newest_check_ins_and_the_cut_gaps_count() -> None:
    rng = np.random.default_rng(2)
    recent = rng.uniform(50, 70, SPECTRUM_CHECK_INS)
    recent[50] = 60 * SPECTRUM_GAP_LIMIT
    silent = recent.copy()
    silent[50] = 1e7
    expected = periodogram(recent, 60.0)

    for series in (np.concatenate([rng.exponential(60, 100_000), recent]), silent):
        np.testing.assert_array_equal(periodogram(series, 60.0).power, expected.power)


def test_so_few_check_ins_are_drawn_below_the_line() -> None:
    found = periodogram(np.full(5, 60.0), 60.0)

    assert peak(found) == pytest.approx(60)
    assert 1 < found.power.max() < CLOCK_POWER < found.chance_line
