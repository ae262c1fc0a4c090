"""Laws of the scores: what must hold for every beacon, whatever its interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import (
    MIN_CHECK_INS,
    Abstention,
    Results,
    SeriesBatch,
    Settings,
    analyze,
    warm_up,
)
from beacon_detect.analysis.engine import SMALL_BATCH

SECOND = 1_000_000_000
intervals = st.floats(1.0, 43_200.0)
Score = Callable[..., Results]


def perfect(interval: float, count: int) -> np.ndarray:
    return np.arange(count) * round(interval * SECOND)


def uniform(interval: float, jitter: float, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sleeps = interval * rng.uniform(1 - jitter, 1 + jitter, count)
    return np.rint(np.cumsum(sleeps) * 1e9).astype(np.int64)


def poisson(interval: float, count: int, seed: int) -> np.ndarray:
    sleeps = np.random.default_rng(seed).exponential(interval, count)
    return np.rint(np.cumsum(sleeps) * 1e9).astype(np.int64)


def any_series() -> st.SearchStrategy[np.ndarray]:
    kinds = st.sampled_from([perfect_of, uniform_of, poisson])
    return st.builds(
        lambda kind, interval, count, seed: kind(interval, count, seed),
        kinds,
        st.floats(0.05, 5_000.0),
        st.integers(0, 80),
        st.integers(0, 1_000),
    )


def perfect_of(interval: float, count: int, _seed: int) -> np.ndarray:
    return perfect(interval, count)


def uniform_of(interval: float, count: int, seed: int) -> np.ndarray:
    return uniform(interval, 0.4, count, seed)


def one(times: np.ndarray, settings: Settings | None = None) -> Results:
    return analyze(SeriesBatch.from_lists([times]), settings or Settings())


@given(interval=intervals, count=st.integers(MIN_CHECK_INS, 120))
def test_a_perfect_beacon_scores_at_least_99_hundredths_at_every_interval_and_length(
    interval: float, count: int
) -> None:
    result = one(perfect(interval, count))

    assert result.score[0] >= 0.99
    assert result.interval[0] == pytest.approx(interval, rel=1e-6)
    assert result.dominant_period[0] == pytest.approx(interval, rel=1e-6)


@pytest.mark.parametrize("interval", [0.01, 1.0, 60.0, 3_600.0])
@pytest.mark.parametrize("count", [10, 40, 300])
def test_poisson_traffic_stays_below_one_half(interval: float, count: int, score: Score) -> None:
    results = score(*(poisson(interval, count, seed) for seed in range(60)))

    assert results.score.max() < 0.5
    assert np.median(results.score) < 0.2


@pytest.mark.parametrize("interval", [1.0, 60.0, 3_600.0])
def test_twenty_percent_jitter_is_still_a_beacon(interval: float, score: Score) -> None:
    results = score(*(uniform(interval, 0.2, 100, seed) for seed in range(40)))

    assert results.score.min() >= 0.7
    assert results.score.mean() >= 0.8
    assert results.jitter == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("interval", [1.0, 60.0, 7_200.0])
def test_more_jitter_never_scores_higher_on_average(interval: float, score: Score) -> None:
    means = [
        score(*(uniform(interval, jitter, 60, seed) for seed in range(25))).score.mean()
        for jitter in (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
    ]

    assert means == sorted(means, reverse=True)


@given(times=any_series(), shift=st.integers(0, 2_000_000_000 * SECOND))
@examples(max_examples=60)
def test_shifting_time_changes_nothing(times: np.ndarray, shift: int) -> None:
    here, there = one(times), one(times + shift)

    assert there.score[0] == here.score[0]
    assert there.interval[0] == here.interval[0]


@given(times=any_series(), factor=st.integers(2, 50))
@examples(max_examples=60)
def test_stretching_time_changes_no_score_but_the_one_in_seconds(
    times: np.ndarray, factor: int
) -> None:
    gaps = np.diff(times).astype(float)
    # Two limits are in seconds, duplicates and the cap on a check-in: stay between them.
    gaps *= 300 * SECOND / factor / gaps.max(initial=1.0)
    times = np.cumsum(np.maximum(gaps, SECOND // 100)).astype(np.int64)
    here, there = one(times), one(times * factor)

    assert there.cv_score[0] == pytest.approx(here.cv_score[0], abs=1e-6)
    assert there.periodicity_score[0] == pytest.approx(here.periodicity_score[0], abs=1e-6)
    assert there.interval[0] == pytest.approx(here.interval[0] * factor, rel=1e-6)


@given(series=st.lists(any_series(), min_size=1, max_size=6), data=st.data())
@examples(max_examples=40)
def test_the_order_of_series_does_not_matter(series: list[np.ndarray], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(series))))
    settings = Settings()
    plain = analyze(SeriesBatch.from_lists(series), settings)
    shuffled = analyze(SeriesBatch.from_lists([series[i] for i in order]), settings)

    assert shuffled.score.tolist() == plain.score[list(order)].tolist()


@pytest.mark.parametrize("interval", [1.0, 60.0, 3_600.0])
def test_ten_percent_missed_check_ins_are_counted_and_forgiven(
    interval: float, score: Score
) -> None:
    thinned = []
    for seed in range(30):
        times = uniform(interval, 0.1, 150, seed)
        keep = np.random.default_rng(seed + 1_000).random(150) > 0.1
        thinned.append(times[keep])
    results = score(*thinned)

    assert results.score.min() >= 0.9
    assert results.missed.mean() == pytest.approx(15, abs=3)


@pytest.mark.parametrize("interval", [5.0, 60.0, 3_600.0])
def test_two_connections_per_check_in_do_not_hurt(interval: float, score: Score) -> None:
    doubled = []
    for seed in range(30):
        times = uniform(interval, 0.1, 80, seed)
        delay = np.random.default_rng(seed).exponential(0.15, 80) * 1e9
        doubled.append(np.sort(np.concatenate((times, times + delay.astype(np.int64)))))
    results = score(*doubled)

    assert results.score.min() >= 0.85
    assert results.connections_per_check_in == pytest.approx(2.0, abs=0.15)
    assert results.interval == pytest.approx(interval, rel=0.05)


@given(count=st.integers(0, MIN_CHECK_INS - 1))
def test_too_few_check_ins_abstain_instead_of_scoring(count: int) -> None:
    result = one(perfect(60.0, count))

    assert result.abstained[0] == Abstention.TOO_FEW_CHECK_INS
    assert result.score[0] == 0


def test_events_at_one_instant_abstain(score: Score) -> None:
    assert score(np.zeros(50, np.int64)).abstained[0] == Abstention.TOO_FEW_CHECK_INS


def test_cv_threshold_is_where_the_cv_score_is_one_half(score: Score) -> None:
    times = uniform(60.0, 0.3, 200, 1)
    cv = score(times).cv[0]

    half = score(times, settings=Settings(cv_threshold=float(cv))).cv_score[0]

    assert half == pytest.approx(0.5)


def test_jitter_threshold_has_an_effect(score: Score) -> None:
    times = uniform(30.0, 0.2, 200, 1)
    strict, lenient = (
        score(times, settings=Settings(jitter_threshold=seconds)).jitter_score[0]
        for seconds in (5.0, 8.0)
    )

    assert strict < lenient


def test_weights_are_proportions(score: Score) -> None:
    times = uniform(60.0, 0.25, 100, 1)
    only_cv = score(times, settings=Settings(weights=(3.0, 0.0, 0.0)))

    assert only_cv.base_score[0] == pytest.approx(only_cv.cv_score[0])


def test_a_large_batch_takes_the_compiled_path_and_agrees() -> None:
    settings = Settings()
    series = [uniform(60.0, 0.3, 30, seed) for seed in range(SMALL_BATCH + 1)]
    large = analyze(SeriesBatch.from_lists(series), settings)
    small = analyze(SeriesBatch.from_lists(series[:50]), settings)

    assert large.score[:50] == pytest.approx(small.score, abs=1e-9)


def test_warm_up_needs_no_data() -> None:
    warm_up()
