"""Severities begin exactly at the documented scores."""

from __future__ import annotations

import pytest

from beacon_detect.analysis import severity


@pytest.mark.parametrize(
    ("score", "name"),
    [(1.0, "CRITICAL"), (0.9, "CRITICAL"), (0.8999, "HIGH"), (0.8, "HIGH"), (0.7999, "MEDIUM"),
     (0.7, "MEDIUM"), (0.6999, "LOW"), (0.0, "LOW")],
)  # fmt: skip
def test_each_cut_off_belongs_to_the_higher_severity(score: float, name: str) -> None:
    assert severity(score) == name
