"""The compiled cuts fall where the plain ones fall."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.compiled.episodes import (
    NEVER,
    is_thin,
    level_of,
    longest_gap,
    may_hold_episodes,
    parts_are_thin,
    shortest_row,
)
from beacon_detect.analysis.reference.episodes import level_of as plain_level_of

SECOND = 1_000_000_000


def test_levels_are_the_reference_s() -> None:
    for silence in (0, 30 * SECOND, 30 * SECOND + 1, 10**17):
        assert level_of(silence) == plain_level_of(silence)


def test_a_silence_exactly_at_a_level_is_not_cut_for_ever() -> None:
    # Rounding once made a gap of exactly 30 s longer than the level that holds it.
    assert level_of(longest_gap(np.array([0, 30 * SECOND]))) == 0


def test_short_and_thin_runs_are_passed_over() -> None:
    steady = np.arange(20) * SECOND

    assert may_hold_episodes(steady)
    assert not may_hold_episodes(steady[:5])
    assert not may_hold_episodes(steady // 10)
    assert not is_thin(steady, 1)
    assert is_thin(steady * 25, 1)
    assert not is_thin(steady * 25, NEVER + 1)


@given(st.lists(st.integers(1, 2_000), min_size=6, max_size=80), st.integers(1, 8))
def test_a_run_whose_parts_are_thin_holds_no_episode(gaps: list[int], level: int) -> None:
    times = np.cumsum([0, *gaps]) * SECOND
    parts = [times[i:j] for i in range(len(times)) for j in range(i + 6, len(times) + 1)]

    assert shortest_row(times) == min(part[5] - part[0] for part in parts)
    if parts_are_thin(times, level):
        assert all(is_thin(part, below) for part in parts for below in range(1, level + 1))
