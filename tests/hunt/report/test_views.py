"""Views: the numbers behind the pictures follow from the series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis import Settings
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import rank, score
from beacon_detect.hunt.report.views import MAX_RASTER_ROWS, raster, spectrum, views

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_view_has_the_check_ins_that_were_scored_with_their_bytes(make_chunk: Callable) -> None:
    starts = np.arange(30) * 60.0
    some = Collector()
    some.add(make_chunk(np.sort(np.concatenate([starts, starts + 0.2])), bytes_out=10, bytes_in=3))
    rows = rank(some, score(some, Settings())[0], 0.0)
    (view,) = views(some, rows)

    assert view.times.tolist() == pytest.approx(starts.tolist())
    assert view.intervals.tolist() == pytest.approx([60.0] * 29)
    assert view.bytes_out.tolist() == [20] * 30
    assert view.bytes_in.tolist() == [6] * 30
    assert rows[0].check_ins == len(view.times)


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_a_regular_series_rises_above_the_line_at_its_interval(jitter: float) -> None:
    intervals = np.random.default_rng(3).uniform(60 * (1 - jitter), 60 * (1 + jitter), 100)
    found = spectrum(intervals, 60.0)
    at = int(np.argmin(np.abs(found.periods - 60)))

    assert found.strength[at] > 0.9
    assert found.strength[at] > found.false_alarm[at]


def test_random_series_cross_the_line_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    crossed = 0
    for _ in range(400):
        found = spectrum(random.exponential(60, 60), 60.0)
        crossed += bool((found.strength > found.false_alarm).any())

    assert crossed <= 8


@given(
    st.lists(st.floats(0, 1e7), min_size=2, max_size=60), st.floats(0.5, 90_000), st.floats(0, 2e9)
)
def test_every_check_in_has_a_place_in_the_raster(
    offsets: list[float], interval: float, start: float
) -> None:
    times = np.sort(np.array(offsets)) + start
    folded = raster(times, interval)

    assert 1 <= folded.rows <= MAX_RASTER_ROWS + 1
    assert ((folded.row >= 0) & (folded.row < folded.rows)).all()
    assert ((folded.place >= 0) & (folded.place <= 1)).all()


def test_regular_check_ins_stand_in_columns() -> None:
    folded = raster(np.arange(200) * 60.0 + 1.7e9, 60.0)
    columns = np.unique(np.round(folded.place, 6))

    assert len(columns) == folded.intervals
