"""The histogram's curve is the chance of the evidence, its marks are the analysis's windows."""

from __future__ import annotations

import numpy as np
import pytest
from docs.figures.intervals import SLEEP, Chance, example


def test_the_law_drawn_fills_the_window_most() -> None:
    best = Chance.fitting(40, 80)
    others = [Chance(best.mean * factor) for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0)]

    assert best.share(40, 80) == pytest.approx(0.25)  # an octave: one quarter
    assert all(law.share(40, 80) < best.share(40, 80) for law in others)


def test_its_area_in_the_window_is_the_share_of_the_evidence() -> None:
    row = example().episodes
    low, high = float(row.window_low[0]), float(row.window_high[0])

    assert Chance.fitting(low, high).share(low, high) == pytest.approx(
        row.chance_share[0], rel=1e-9
    )


def test_the_window_holds_the_sleep_and_three_multiples_are_marked() -> None:
    found = example()
    multiples = found.histogram.multiples

    assert found.episodes.window_low[0] < SLEEP < found.episodes.window_high[0]
    assert set(multiples.tolist()) == {0, 1, 2, 3, 4}


def test_the_window_holds_many_times_what_chance_puts_there_and_strays_stay_unexplained() -> None:
    found = example()
    row, bars = found.episodes, found.histogram

    assert row.window_count[0] > 3 * row.chance_share[0] * row.intervals[0]
    assert 0 < np.sum(bars.counts - bars.explained) < 0.2 * len(found.intervals)
