"""A series is cut where its own rhythm says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.analysis.constants import BEYOND_DOUBT
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.check_ins import find_check_ins
from beacon_detect.analysis.reference.episodes import (
    ending_silence,
    episodes,
    level_of,
    longest_interval,
    measure_run,
    measure_way,
    runs,
)
from beacon_detect.analysis.rows import ROW
from beacon_detect.analysis.types import Settings

SECOND = 1_000_000_000


def test_levels_hold_their_silence() -> None:
    assert [level_of(seconds * SECOND) for seconds in (0, 30, 31, 60, 61)] == [0, 0, 1, 1, 2]


def test_runs_are_cut_at_silences_and_never_lost() -> None:
    times = np.concatenate((np.arange(20), np.arange(20) + 500, np.arange(20) + 90_000)) * SECOND
    found = [(run.first, run.last) for run, _ in runs(times)]

    assert found[0] == (0, 60)
    assert {(0, 20), (20, 40), (40, 60)} <= set(found)


@pytest.mark.parametrize("gap", [100, 10_000, 1_000_000])
def test_two_stretches_are_two_episodes_only_over_a_long_silence(gap: int) -> None:
    day = np.arange(50) * 60
    times = np.concatenate((day, day + day[-1] + gap)) * SECOND
    found = episodes(times, Settings(), load_model().forest)

    assert len(found) == (1 if gap == 100 else 2)
    assert all(episode.row[ROW.interval] == pytest.approx(60, rel=0.05) for episode in found)


@given(st.floats(0.1, 1e6))
def test_the_silence_that_ends_an_episode_is_the_one_its_interval_allows(interval: float) -> None:
    silence = ending_silence(interval)

    assert 16 * interval <= silence <= 64 * interval
    assert silence <= max(86_400, 16 * interval)
    assert longest_interval(silence) >= interval * (1 - 1e-12)


def test_an_hour_of_silence_is_an_outage_and_a_day_of_it_an_end() -> None:
    hours = 12 * np.arange(60)
    minutes = np.concatenate(
        (hours, hours + hours[-1] + 700, hours + 2 * (hours[-1] + 700) + 4_000)
    )
    found = episodes(minutes * 60 * SECOND, Settings(), load_model().forest)

    assert sorted(episode.row[ROW.check_ins] for episode in found) == [60, 120]


# A beacon, a silence that ends it, and sparse activity of any pace: thin together, not apart.
@given(
    st.floats(5, 3_000),
    st.floats(0, 0.4),
    st.integers(12, 60),
    st.floats(0.1, 1e4),
    st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_what_follows_the_end_of_an_episode_never_hides_it(
    interval: float, jitter: float, count: int, pace: float, later: int
) -> None:
    rng = np.random.default_rng(count)
    beacon = np.cumsum(interval * rng.uniform(1 - jitter, 1 + jitter, count))
    silence = 2.01 * ending_silence(1.5 * interval)
    after = beacon[-1] + silence + np.cumsum(rng.exponential(pace, later))
    alone, followed = (
        max(
            found.row[ROW.log_odds]
            for found in episodes((seconds * 1e9).astype(np.int64), Settings(), load_model().forest)
        )
        for seconds in (beacon, np.concatenate((beacon, after)))
    )

    assert beacon[-1] - beacon[0] < 10 or followed >= alone


def test_a_series_without_an_episode_is_measured_whole() -> None:
    times = (np.arange(8) * 0.05 * SECOND).astype(np.int64)
    [whole] = episodes(times, Settings(), load_model().forest)

    assert whole.row[ROW.episodes] == 0
    assert whole.row[ROW.last_event] == 7


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.9), st.integers(8, 60))
@settings(max_examples=40, deadline=None)
def test_the_model_chooses_a_way_only_where_the_evidence_leaves_a_doubt(
    seed: int, jitter: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    starts = np.cumsum(60e9 * rng.uniform(1 - jitter, 1 + jitter, count))
    times = np.sort(np.concatenate((starts, starts + rng.exponential(1e9, count)))).astype(np.int64)
    trees = load_model().forest
    ways = [measure_way(times, way, None, Settings(), trees) for way in find_check_ins(times)]
    log_odds = [way.row[ROW.log_odds] for way in ways if way]
    leading = measure_run(times, None, Settings(), trees)

    assert leading is not None
    chosen = log_odds[0] if log_odds[0] >= BEYOND_DOUBT else max(log_odds)
    assert leading.row[ROW.log_odds] == chosen
