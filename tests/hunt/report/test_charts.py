"""Charts: well-formed pictures with a title, for any series."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from beacon_detect.analysis import Settings
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import Row, rank, score
from beacon_detect.hunt.report import charts
from beacon_detect.hunt.report.views import View, views

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=["regular", "jittered", "heavy", "few", "daily"])
def finding(request: pytest.FixtureRequest, make_chunk: Callable) -> tuple[Row, View]:
    random = np.random.default_rng(2)
    times = {
        "regular": np.arange(500) * 60.0,
        "jittered": np.cumsum(random.uniform(30, 60, 80)),
        "heavy": np.cumsum(random.uniform(0.4, 0.6, 6000)),
        "few": np.arange(6) * 5.0,
        "daily": np.arange(12) * 86_400.0,
    }[request.param]
    sizes = random.integers(0, 10**9 if request.param == "heavy" else 900, len(times))
    some = Collector()
    some.add(make_chunk(times + 1.7e9, bytes_out=sizes, bytes_in=sizes // 3))
    row = rank(some, score(some, Settings())[0], 0.0)[0]
    return row, views(some, [row])[0]


def test_every_picture_is_well_formed_and_titled(finding: tuple[Row, View]) -> None:
    row, view = finding
    pictures = [
        charts.raster_chart(view, row),
        charts.histogram_chart(view, row),
        charts.periodogram_chart(view, row),
        charts.sizes_chart(view),
        charts.timeline_chart([row], row.first_seen, row.last_seen),
    ]
    for picture in pictures:
        root = ET.fromstring(picture)
        _, _, width, height = map(float, root.get("viewBox", "").split())
        assert root.find("title") is not None
        assert "nan" not in picture
        for element in root.iter("text"):
            assert 0 <= float(element.get("x", 0)) <= width
            assert 0 <= float(element.get("y", 0)) <= height


def curve_and_mark(picture: str) -> tuple[list[tuple[float, float]], float]:
    root = ET.fromstring(picture)
    (curve,) = (one.get("d", "") for one in root.iter("path") if one.get("class") == "curve")
    (mark,) = (float(one.get("x1", "")) for one in root.iter("line") if one.get("class") == "found")
    points = [tuple(map(float, point.split())) for point in curve[1:].split("L")]
    return [(x, y) for x, y in points], mark


@pytest.mark.parametrize("count", [6, 100, 6_000])
def test_the_periodogram_is_highest_where_the_interval_is_marked(
    count: int, make_chunk: Callable
) -> None:
    random = np.random.default_rng(3)
    times = np.arange(count) * 60.0 if count == 6 else np.cumsum(random.uniform(48, 72, count))
    some = Collector()
    some.add(make_chunk(times + 1.7e9))
    (row,) = rank(some, score(some, Settings())[0], 0.0)
    picture = charts.periodogram_chart(views(some, [row])[0], row)
    points, mark = curve_and_mark(picture)
    peak, _ = min(points, key=lambda point: point[1])

    assert peak == pytest.approx(mark, abs=0.03 * charts.WIDTH)
    assert all(charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM for _, y in points)
    assert ("out of reach" in picture) == (count == 6)
    assert ("is above the line" in picture) == (count != 6)
    assert len(picture) < 6_000


def test_a_line_that_was_crossed_is_not_called_out_of_reach(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk(np.arange(6) * 60.0))
    (row,) = rank(some, score(some, Settings())[0], 0.0)
    (view,) = views(some, [row])
    # Ten events in every interval, all in step: more power than one event each can have.
    picture = charts.periodogram_chart(replace(view, leading=np.tile([0.1] * 9 + [59.1], 6)), row)

    assert "is above the line" in picture
    assert "out of reach" not in picture


def test_the_periodogram_says_what_it_was_made_of(make_chunk: Callable) -> None:
    random = np.random.default_rng(3)
    beacon = np.cumsum(random.uniform(55, 65, 150))
    visits = beacon[-1] + 5_000 + np.cumsum(random.exponential(300, 300))
    said = []
    for times in (beacon, np.concatenate([beacon, visits]), np.arange(500) * 60.0):
        some = Collector()
        some.add(make_chunk(times + 1.7e9))
        (row,) = rank(some, score(some, Settings())[0], 0.0)
        picture = charts.periodogram_chart(views(some, [row])[0], row)
        said += [text for text in ET.fromstring(picture).itertext() if "period (log)" in text]

    assert said == [
        "period (log); 149 intervals",
        "period (log); 149 intervals of the leading episode",
        "period (log); 192 newest intervals",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 s"),
        (60, "1 min"),
        (90, "90 s"),
        (900, "15 min"),
        (21_600, "6 h"),
        (86_400, "1 d"),
    ],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert charts.nice_time(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e9, "2 GB")]
)
def test_sizes_are_short(count: float, text: str) -> None:
    assert charts.nice_bytes(count) == text


@pytest.mark.parametrize("top", [0, 1, 7, 100, 12345.0, 0.03])
def test_axis_steps_are_few_and_inside(top: float) -> None:
    steps = charts.nice_steps(top)

    assert steps[0] == 0
    assert len(steps) <= 6
    assert steps[-1] <= top * (1 + 1e-9)
