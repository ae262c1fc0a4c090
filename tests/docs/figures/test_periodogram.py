"""The curve is the analysis's spectrum without its bins, and its line is the analysis's bound."""

from __future__ import annotations

import numpy as np
import pytest
from docs.figures.periodogram import (
    PERIODS,
    RATE,
    SLEEP,
    chance_line,
    power,
    segments,
    series,
)

from beacon_detect.analysis.reference.regularity import false_alarm, strongest_line


def test_random_events_have_power_one_on_average() -> None:
    rng = np.random.default_rng(1)
    powers = [power(np.cumsum(rng.exponential(SLEEP, 200))) for _ in range(30)]

    assert np.mean(powers) == pytest.approx(1, abs=0.1)


def test_a_clock_has_the_power_of_its_events_in_step() -> None:
    # All in phase: (sum of weights)^2 over the sum of squares, times 8 a segment: 8 * 2 / 3.
    curve = power(np.arange(200) * SLEEP)

    assert PERIODS[np.argmax(curve)] == pytest.approx(SLEEP, rel=0.01)
    assert curve.max() == pytest.approx(16 / 3, rel=0.01)


def test_the_curve_peaks_where_and_as_the_analysis_says() -> None:
    beacon, _ = series()
    curve = power(beacon)
    line = strongest_line(np.diff(beacon), SLEEP)

    assert PERIODS[np.argmax(curve)] == pytest.approx(line.period, rel=0.05)
    # The analysis puts events into bins of an eighth of an interval, which blurs the line a little.
    assert 0.8 * curve.max() < line.power < 1.05 * curve.max()


def test_the_line_is_where_the_bound_on_chance_is_one_in_a_hundred() -> None:
    assert [false_alarm(chance_line(count), count) for count in (3, 24, 200)] == pytest.approx(
        [RATE] * 3, rel=1e-4
    )


def test_the_beacon_crosses_the_line_and_the_visits_do_not() -> None:
    beacon, visits = series()

    assert power(beacon).max() > chance_line(len(segments(beacon)))
    assert power(visits).max() < chance_line(len(segments(visits)))
