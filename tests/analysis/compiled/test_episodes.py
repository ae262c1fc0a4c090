"""The compiled cuts fall where the plain ones fall."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.episodes import level_of, longest_gap, may_be_episode
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

    assert may_be_episode(steady, 1)
    assert not may_be_episode(steady[:5], 1)
    assert not may_be_episode(steady // 10, 1)
    assert not may_be_episode(steady * 25, 1)
