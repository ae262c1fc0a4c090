"""An explanation tells the same as the score it explains, and leaves no interval out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import MIN_CHECK_INS, SeriesBatch, Settings, analyze
from beacon_detect.analysis.explanation import (
    BARS_PER_INTERVAL,
    MAX_BARS,
    SeriesExplanation,
    explain_series,
)

SECOND = 1_000_000_000


def beacon(interval: float, count: int, jitter: float = 0.0, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(interval * rng.uniform(1 - jitter, 1 + jitter, count))


def explain(seconds: np.ndarray, sizes: int = 100) -> SeriesExplanation:
    times = np.rint(seconds * SECOND).astype(np.int64)
    alike = np.full(len(times), sizes)
    return explain_series(times, alike, alike, Settings())


def any_series() -> st.SearchStrategy[np.ndarray]:
    def make(interval: float, count: int, jitter: float, seed: int, missing: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        seconds = beacon(interval, count, jitter, seed)
        noise = rng.uniform(0, interval * count, count // 4)
        return np.sort(np.concatenate([seconds[rng.random(count) >= missing], noise]))

    return st.builds(
        make,
        st.floats(0.5, 50_000),
        st.integers(0, 120),
        st.floats(0, 1),
        st.integers(0, 999),
        st.sampled_from([0.0, 0.2, 0.5]),
    )


@examples(max_examples=15)
@given(any_series())
def test_the_histogram_counts_every_interval_once(seconds: np.ndarray) -> None:
    found = explain(seconds)
    bars = found.histogram

    assert bars.counts.sum() + bars.longer == len(found.intervals)
    assert len(bars.edges) == len(bars.counts) + 1
    assert len(bars.counts) <= MAX_BARS
    assert (np.diff(bars.edges) >= 0).all()


@examples(max_examples=15)
@given(any_series())
def test_what_is_explained_lies_in_marked_bars(seconds: np.ndarray) -> None:
    bars = explain(seconds).histogram

    assert (bars.explained <= bars.counts).all()
    assert (bars.multiples[bars.explained > 0] > 0).all()


@examples(max_examples=15)
@given(any_series())
def test_the_leading_episode_is_the_one_the_score_is_of(seconds: np.ndarray) -> None:
    found = explain(seconds)
    times = np.rint(seconds * SECOND).astype(np.int64)
    sizes = np.full(len(times), 100)
    scored = analyze(SeriesBatch(np.array([0, len(times)]), times, sizes, sizes), Settings())

    assert found.scored == (scored.abstained[0] == 0)
    if found.scored:
        for name in ("score", "base_score", "interval", "check_ins", "size_out", "first_event"):
            expected = pytest.approx(getattr(scored, name)[0], rel=1e-9)
            assert getattr(found.episodes, name)[0] == expected
        assert len(found.intervals) == found.episodes.check_ins[0] - 1
        assert found.against_random is not None


def test_the_window_and_its_multiples_are_marked() -> None:
    seconds = np.delete(beacon(60.0, 60), [10, 20, 30, 31])
    found = explain(seconds)
    bars = found.histogram
    marked = {
        int(multiple): int(bars.counts[bars.multiples == multiple].sum())
        for multiple in np.unique(bars.multiples)
    }

    # Three check-ins alone and two in a row are missing, of 59 intervals.
    assert (marked[1], marked[2], marked[3]) == (52, 2, 1)
    assert marked[0] == 0
    assert bars.explained.sum() == 55
    assert found.episodes.missed[0] == 4
    assert bars.edges[1] - bars.edges[0] <= 60.0 / BARS_PER_INTERVAL * 1.001


def test_silences_are_counted_as_longer() -> None:
    seconds = beacon(60.0, 40)
    seconds[20:] += 60.0 * 9

    assert explain(seconds).histogram.longer == 1


@pytest.mark.parametrize("count", range(MIN_CHECK_INS))
def test_too_few_check_ins_have_intervals_but_no_score(count: int) -> None:
    found = explain(beacon(60.0, count))

    assert not found.scored
    assert len(found.check_ins) == count
    assert found.histogram.counts.sum() == max(count - 1, 0)
    assert found.histogram.multiples.sum() == 0
    assert found.against_random is None


def test_check_ins_that_were_left_out_are_not_shown_as_such() -> None:
    rng = np.random.default_rng(5)
    wake_ups = np.cumsum(600 * rng.uniform(0.9, 1.1, 60))
    opened = (wake_ups[:, None] + 0.2 * np.arange(4)).ravel()
    seconds = np.sort(np.concatenate((opened, rng.uniform(0, wake_ups[-1], 120))))
    found = explain(seconds)

    assert found.episodes.left_out[0] > 100
    assert len(found.check_ins) == found.episodes.check_ins[0] == len(found.intervals) + 1
    assert np.abs(seconds[found.check_ins] - wake_ups).max() < 60


def test_check_ins_of_several_connections_are_told_by_their_first() -> None:
    seconds = np.sort(np.concatenate([beacon(60.0, 30) + offset for offset in (0.0, 0.3, 0.7)]))
    found = explain(seconds)

    assert found.events == 90
    assert found.check_ins.tolist() == list(range(0, 90, 3))


def test_a_changed_sleep_inside_an_episode_is_found_where_it_changed() -> None:
    steps = np.concatenate([np.full(60, 60.0), np.full(20, 150.0)])
    found = explain(np.cumsum(steps * np.random.default_rng(2).uniform(0.97, 1.03, 80)))

    [change] = found.sleep_changes
    assert change.event == 59
    assert change.before == pytest.approx(60.0, rel=0.03)
    assert change.after == pytest.approx(150.0, rel=0.03)


def test_a_change_from_one_episode_to_the_next_is_found() -> None:
    early = beacon(30.0, 60, 0.05)
    late = early[-1] + 86_400 + beacon(300.0, 60, 0.05)
    found = explain(np.concatenate([early, late]))

    assert len(found.episodes) == 2
    [change] = found.sleep_changes
    assert (change.event, round(change.before), round(change.after, -1)) == (60, 30, 300)


@pytest.mark.parametrize("seed", range(5))
def test_steady_sleep_and_random_traffic_have_no_change(seed: int) -> None:
    gaps = np.random.default_rng(seed).exponential(60.0, 80)

    assert explain(beacon(60.0, 80, 0.3, seed)).sleep_changes == ()
    assert explain(np.cumsum(gaps)).sleep_changes == ()


def test_mixed_intervals_are_no_change() -> None:
    steps = np.where(np.random.default_rng(1).random(80) < 0.7, 60.0, 150.0)

    assert explain(np.cumsum(steps)).sleep_changes == ()
