"""Positions and names of the measured fields agree."""

from __future__ import annotations

from beacon_detect.analysis.rows import ROW, ROW_FIELDS


def test_positions_count_up_in_the_order_of_the_names() -> None:
    assert tuple(ROW) == tuple(range(len(ROW_FIELDS)))
    assert ROW_FIELDS[ROW.log_odds] == "log_odds"


def test_the_three_scores_come_first_for_the_weights() -> None:
    assert ROW_FIELDS[:3] == ("cv_score", "periodicity_score", "jitter_score")
