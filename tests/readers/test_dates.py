"""Dates: every shape of one moment is the same number; what is no date is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.dates import dates_to_ns, zone_seconds

SHAPES = [
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M:%S.000Z", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p", "%b %d, %Y %H:%M:%S.000000000 UTC", "%b %d, %Y @ %H:%M:%S.000",
    "%d/%b/%Y:%H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S GMT", "%Y%m%dT%H%M%SZ",
]  # fmt: skip


@given(st.integers(400_000_000, 7_000_000_000))
def test_every_shape_of_a_moment_gives_the_moment(second: int) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    # Behind the twelfth the order of day and month shows.
    moment = moment.replace(day=13 + moment.day % 15)
    texts = [moment.strftime(shape) for shape in SHAPES]
    for text in texts:
        ns, valid = dates_to_ns(pa.array([text, None]))
        assert valid.tolist() == [True, False], text
        assert int(ns[0]) == int(moment.timestamp()) * 10**9, text


@given(st.integers(-14 * 60, 14 * 60))
def test_a_zone_moves_the_moment(minutes: int) -> None:
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    text = moment.astimezone(timezone(timedelta(minutes=minutes))).strftime("%Y-%m-%d %H:%M:%S%z")

    assert dates_to_ns(pa.array([text]))[0].tolist() == [int(moment.timestamp()) * 10**9]
    assert zone_seconds(text[-5:]) == minutes * 60


def test_one_row_that_tells_the_order_of_day_and_month_tells_it_for_all() -> None:
    american = dates_to_ns(pa.array(["3/4/2024 00:00", "3/14/2024 00:00"]))[0]
    european = dates_to_ns(pa.array(["3/4/2024 00:00", "14/3/2024 00:00"]))[0]

    assert datetime.fromtimestamp(american[0] // 10**9, UTC).month == 3
    assert datetime.fromtimestamp(european[0] // 10**9, UTC).month == 4


@pytest.mark.parametrize("text", ["2023-02-29 00:00:00", "2023-13-01", "31/04/2023 10:00", "0000-01-01 00:00", "2023-01-01 25:00:00", "9999-01-01 00:00:00", "12:30", ""])  # fmt: skip
def test_what_the_calendar_does_not_have_is_no_date(text: str) -> None:
    assert dates_to_ns(pa.array([text]))[1].tolist() == [False]


@given(st.lists(st.text("0123456789-/:., TZJanPM+", max_size=30) | st.none(), max_size=8))
def test_any_text_is_a_date_or_none_and_never_an_error(texts: list[str | None]) -> None:
    ns, valid = dates_to_ns(pa.array(texts, pa.string()))

    assert len(ns) == len(valid) == len(texts)
    assert (ns[~valid] == 0).all()
