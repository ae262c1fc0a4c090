"""The compiled features equal the plain ones and leave their buffers clean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.compiled import shape
from beacon_detect.analysis.compiled.workspace import workspace
from beacon_detect.analysis.reference import shape as plain


def test_histograms_are_left_empty() -> None:
    w = workspace(100)
    intervals = np.random.default_rng(1).exponential(60, 100)
    shape.spreads(intervals, 0.0, 1 / 60, w.histogram)
    shape.size_share(np.arange(100), w.histogram)

    assert w.histogram.counts.sum() == w.histogram.other_counts.sum() == 0


@pytest.mark.parametrize("form", [0.3, 1.0, 30.0])
def test_spreads_and_logs_are_the_reference_s(form: float) -> None:
    w = workspace(200)
    intervals = np.random.default_rng(4).gamma(form, 60 / form, 200)
    values, spread = plain.logs(intervals, 60.0, 1.0)

    assert np.allclose(
        shape.spreads(intervals, 1.0, 1 / 60, w.histogram), plain.spreads(intervals - 1.0, 1 / 60)
    )
    assert np.isclose(shape.fill_logs(intervals, 60.0, 1.0, w.xs, w.logs), spread)
    assert np.allclose(shape.neighbours(w.logs[:200], w.xs, w.ys), plain.neighbours(values))


def test_statistics_are_the_reference_s() -> None:
    w = workspace(300)
    intervals = np.random.default_rng(2).gamma(2, 30, 300)
    multiples = np.random.default_rng(3).integers(0, 3, 300)
    shape.fill_elapsed(intervals, w.elapsed)
    elapsed = w.elapsed[:300]
    time, coverage, early, late = plain.active_shares(intervals, multiples, 60.0, 20.0)

    assert np.isclose(shape.fano(intervals, 60.0, 1.0), plain.fano(intervals, 60.0, 1.0))
    assert np.isclose(shape.halves(elapsed), plain.halves(intervals))
    assert np.isclose(shape.folded_cv(intervals, 60.0, 1.0), plain.folded_cv(intervals, 60.0, 1.0))
    assert shape.coverage(elapsed, 240.0, w.histogram.places) == coverage
    assert np.allclose(
        shape.active_shares(intervals, multiples, 60.0, 20.0), (time, early, late), rtol=1e-12
    )
    assert shape.weak_quarter(multiples) == plain.weak_quarter(multiples)
    assert np.isclose(
        shape.schedule_lock(intervals, 60.0, 0.3, w.xs, w.ys),
        plain.schedule_lock(intervals, 60.0, 0.3),
    )


@pytest.mark.parametrize("interval", [60.0, 1_700.0, 3_600.0, 40_000.0])
def test_the_hours_of_a_day_are_the_reference_s(interval: float) -> None:
    intervals = np.random.default_rng(5).uniform(0.8, 1.2, 60) * interval
    elapsed = np.empty(60)
    shape.fill_elapsed(intervals, elapsed)

    assert shape.day_hours(elapsed) == plain.day_hours(intervals)


def test_of_bursts_the_most_usual_size_counts() -> None:
    for sizes, share in ([1] * 9, 1), ([2, 2, 1, 2, 2], 0.8):
        assert shape.burst_shape(np.array(sizes)) == plain.burst_shape(np.array(sizes)) == share


@given(st.lists(st.integers(0, 10**12), min_size=3, max_size=700))
def test_growth_is_the_reference_s(gaps: list[int]) -> None:
    times = np.cumsum(np.array(gaps))

    assert shape.growth(times) == plain.growth(times)
