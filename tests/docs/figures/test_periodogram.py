"""The picture shows what its caption says: a beacon above the line, visits below it."""

from __future__ import annotations

import pytest
from docs.figures.periodogram import SLEEP, series

from beacon_detect.analysis.periodogram import periodogram


def test_the_beacon_crosses_the_line_at_its_sleep_and_the_visits_do_not() -> None:
    beacon, visits = (periodogram(intervals, SLEEP) for intervals in series())

    assert beacon.periods[beacon.power.argmax()] == pytest.approx(SLEEP, rel=0.05)
    assert beacon.power.max() > beacon.chance_line
    assert visits.power.max() < visits.chance_line
