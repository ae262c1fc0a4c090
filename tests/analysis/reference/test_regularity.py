"""Scores fall as they should, and the spectral line has the false alarms it claims."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.reference.regularity import (
    coherence,
    cv_score,
    false_alarm,
    jitter_score,
    periodicity_score,
    strongest_line,
)


def test_each_score_is_one_at_perfection_and_one_half_at_its_threshold() -> None:
    assert cv_score(0, 0.15) == periodicity_score(1) == jitter_score(0, 60, 5) == 1
    assert cv_score(0.15, 0.15) == periodicity_score(0.5) == pytest.approx(0.5)
    assert jitter_score(12, 60, 12) == pytest.approx(0.5)


@pytest.mark.parametrize("threshold", [0.001, 1e6])
def test_no_threshold_in_seconds_takes_an_interval_for_hopeless(threshold: float) -> None:
    assert 0.2 < jitter_score(0.2 * 3_600, 3_600, threshold) < 0.8


def test_coherence_of_multiples_is_one() -> None:
    assert coherence(np.array([60.0, 120.0, 180.0]), 60.0) == pytest.approx(1)
    assert coherence(np.array([1e6]), 60.0) == 0


def test_the_bound_on_false_alarms_holds_for_poisson_events() -> None:
    rng = np.random.default_rng(1)
    lines = [strongest_line(rng.exponential(1, 150), 1.0) for _ in range(300)]

    for level in (0.5, 0.1, 0.01):
        assert np.mean([line.false_alarm <= level for line in lines]) <= level + 0.03


def test_stronger_lines_are_rarer() -> None:
    bounds = [false_alarm(power, 20) for power in (0.5, 1.5, 2, 3, 5)]

    assert bounds == sorted(bounds, reverse=True)
    assert false_alarm(1.0, 20) == 1
