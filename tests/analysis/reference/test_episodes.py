"""A series is cut where its own rhythm says so."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.episodes import episodes, level_of, runs
from beacon_detect.analysis.rows import ROW
from beacon_detect.analysis.types import Settings

SECOND = 1_000_000_000


def test_levels_hold_their_silence() -> None:
    assert [level_of(seconds * SECOND) for seconds in (0, 30, 31, 120, 121)] == [0, 0, 1, 1, 2]


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


def test_a_series_without_an_episode_is_measured_whole() -> None:
    times = (np.arange(8) * 0.05 * SECOND).astype(np.int64)
    [whole] = episodes(times, Settings(), load_model().forest)

    assert whole.row[ROW.episodes] == 0
    assert whole.row[ROW.last_event] == 7
