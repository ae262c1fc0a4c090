"""The raster says what the caption says, and marks what is planted."""

from __future__ import annotations

import numpy as np
import pytest
from docs.figures.check_ins import HOUR, Traffic, readings, traffic

from beacon_detect.analysis import SeriesBatch, Settings, analyze, severity

BEACONS, CHANCE = 4, 2
ROWS = list(traffic())


def test_the_four_beacons_are_critical_and_the_rest_stay_low() -> None:
    named = [severity(readings(row.seconds)[0].score) for row in ROWS]

    assert named == ["CRITICAL"] * BEACONS + ["LOW"] * CHANCE


def test_every_row_is_one_episode_the_office_beacon_with_its_night_too() -> None:
    assert [len(readings(row.seconds)) for row in ROWS] == [1] * len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_counts_what_the_analysis_counts(row: Traffic) -> None:
    times = np.rint(row.seconds * 1e9).astype(np.int64)
    found = analyze(SeriesBatch.from_lists([times]), Settings())
    seen = readings(row.seconds)[0]

    assert len(seen.explained) + len(seen.unexplained) == found.check_ins[0]
    assert len(seen.missed) == found.missed[0]
    assert seen.score == pytest.approx(found.score[0])
    assert len(seen.explained) >= found.window_count[0]


def test_missed_check_ins_are_marked_where_they_would_have_been() -> None:
    kept = np.delete(np.arange(30), [7, 15, 16])
    seen = readings(kept * HOUR)[0]

    assert seen.missed == pytest.approx(np.array([7, 15, 16]) * HOUR)
    assert seen.explained == pytest.approx(kept * HOUR)
    assert len(seen.unexplained) == 0


def test_a_check_in_out_of_step_is_unexplained() -> None:
    seconds = np.sort(np.append(np.arange(30) * HOUR, 10.5 * HOUR))
    seen = readings(seconds)[0]

    assert seen.unexplained == pytest.approx([10.5 * HOUR, 11 * HOUR])
