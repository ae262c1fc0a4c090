"""The sentence names what was measured, and nothing that was not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from beacon_detect.analysis import Results, evidence
from beacon_detect.analysis.evidence import duration

MINUTE = 60_000_000_000


def test_a_beacon_with_missed_check_ins_says_so(score: Callable[..., Results]) -> None:
    times = np.delete(np.arange(60) * MINUTE, [10, 20, 30])
    text = evidence(score(times), 0)

    assert "57 check-ins" in text
    assert "60 s" in text
    assert "3 check-ins explained as missed" in text
    assert "53 of 56 intervals" in text


def test_too_few_check_ins_are_watched(score: Callable[..., Results]) -> None:
    assert "watching" in evidence(score(np.arange(3) * MINUTE), 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 s"),
        (61.2, "61 s"),
        (300.0, "5.0 min"),
        (43_200.0, "12.0 h"),
        (259_200.0, "3.0 d"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_chance_is_named_in_numbers(score: Callable[..., Results]) -> None:
    text = evidence(score(np.arange(41) * MINUTE), 0)

    assert "40 of 40 intervals" in text
    assert "a random source would put at most" in text


def test_a_window_of_several_sleeps_is_called_that(score: Callable[..., Results]) -> None:
    sleeps = np.tile([2, 3, 2, 3, 2, 2, 3, 2], 3) * np.random.default_rng(6).uniform(0.99, 1.01, 24)
    text = evidence(score(np.cumsum(sleeps * 14 * 60 * MINUTE).astype(np.int64)), 0)

    assert "about every 14.0 h" in text
    assert "14 of 23 intervals within" in text
    assert "(2 sleeps), where a random source" in text
    assert "sleeps" not in evidence(score(np.arange(41) * MINUTE), 0)


def test_what_was_left_out_is_counted(score: Callable[..., Results]) -> None:
    rng = np.random.default_rng(5)
    wake_ups = np.cumsum(10 * MINUTE * rng.uniform(0.9, 1.1, 60))
    opened = (wake_ups[:, None] + 0.2e9 * np.arange(4)).ravel()
    visits = rng.uniform(0, wake_ups[-1], 120)
    results = score(np.sort(np.concatenate((opened, visits))).astype(np.int64))
    text = evidence(results, 0)

    assert results.score[0] >= 0.9
    assert f"{results.left_out[0]} smaller ones between them left out" in text
    assert 100 <= results.left_out[0] <= 120
    assert "left out" not in evidence(score(opened.astype(np.int64)), 0)


def test_several_episodes_are_mentioned(score: Callable[..., Results]) -> None:
    day = np.arange(60) * MINUTE
    text = evidence(score(np.concatenate((day, day + 1_440 * MINUTE))), 0)

    assert "the best of 2 episodes" in text
