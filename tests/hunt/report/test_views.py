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
from beacon_detect.hunt.report.views import MAX_RASTER_ROWS, raster, views

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


def test_bytes_of_check_ins_that_were_left_out_count_for_none(make_chunk: Callable) -> None:
    random = np.random.default_rng(5)
    wake_ups = np.cumsum(600 * random.uniform(0.9, 1.1, 60))
    opened = (wake_ups[:, None] + 0.2 * np.arange(4)).ravel()
    visits = random.uniform(0, wake_ups[-1], 120)
    some = Collector()
    some.add(make_chunk(np.sort(np.concatenate([opened, visits])), bytes_out=10, bytes_in=3))
    rows = rank(some, score(some, Settings())[0], 0.0)
    (view,) = views(some, rows)

    assert len(view.times) == rows[0].check_ins == 60
    assert np.median(view.bytes_out) == 40
    assert view.bytes_out.max() <= 60
    assert view.bytes_in.tolist() == (view.bytes_out * 3 // 10).tolist()


def test_the_leading_episode_is_free_of_what_came_after_it(make_chunk: Callable) -> None:
    random = np.random.default_rng(3)
    beacon = np.cumsum(random.uniform(55, 65, 150))
    visits = beacon[-1] + 5_000 + np.cumsum(random.exponential(300, 300))
    some = Collector()
    some.add(make_chunk(np.concatenate([beacon, visits])))
    rows = rank(some, score(some, Settings())[0], 0.0)
    (view,) = views(some, rows)

    assert view.leading.tolist() == pytest.approx(np.diff(beacon).tolist())
    assert len(view.intervals) > 400


def test_intervals_are_pauses_where_the_analysis_found_pauses(make_chunk: Callable) -> None:
    # Works for up to a minute, then sleeps 300 s.
    random, times, now = np.random.default_rng(4), list[float](), 0.0
    for connections in random.integers(2, 8, 80).tolist():
        times += (now + np.cumsum(random.exponential(5, connections))).tolist()
        now = times[-1] + 300
    some = Collector()
    some.add(make_chunk(np.array(times)))
    rows = rank(some, score(some, Settings())[0], 0.0)
    (view,) = views(some, rows)

    assert np.ptp(view.intervals) < np.ptp(np.diff(view.times))
    assert np.median(view.intervals) == pytest.approx(rows[0].interval, rel=0.02)


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
