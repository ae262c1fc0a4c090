"""The curves say what the caption in docs/explanation/detection.md says: a refitted model may need new words."""

from __future__ import annotations

import numpy as np
import pytest
from docs.figures.scores import JITTERS, LENGTHS, Panel, panels

from beacon_detect.analysis.severity import CUT_OFFS

CRITICAL, HIGH, MEDIUM = (cut for cut, _ in CUT_OFFS)


@pytest.fixture(scope="module")
def drawn() -> list[Panel]:
    return panels()


def test_each_panel_has_three_lines_over_all_jitters(drawn: list[Panel]) -> None:
    assert [panel.check_ins for panel in drawn] == list(LENGTHS)
    for panel in drawn:
        assert panel.beacons.shape == (3, len(JITTERS))
        assert np.all(np.diff(panel.beacons, axis=0) >= 0)
        assert np.all(np.diff(panel.visits) >= 0)


def test_up_to_40_per_cent_jitter_ten_check_ins_are_critical(drawn: list[Panel]) -> None:
    for panel in drawn:
        assert panel.beacons[1, JITTERS <= 40].min() >= CRITICAL


def test_much_jitter_costs_less_the_more_check_ins_there_are(drawn: list[Panel]) -> None:
    medians = [panel.beacons[1, -1] for panel in drawn]

    assert medians == sorted(medians)


def test_at_90_per_cent_ten_check_ins_are_lost_among_visits_and_200_stand_out(
    drawn: list[Panel],
) -> None:
    ten, many = drawn[0], drawn[-1]

    assert ten.beacons[1, -1] < ten.visits[-1]
    assert many.beacons[1, -1] >= HIGH


def test_random_visits_stay_below_every_severity(drawn: list[Panel]) -> None:
    assert max(panel.visits[-1] for panel in drawn) < MEDIUM
