"""Values read as documented, and no text from outside reaches a terminal or sheet unharmed."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.cli import formats


@given(st.text())
def test_cleaned_text_is_printable_and_keeps_its_length(text: str) -> None:
    shown = formats.clean(text)

    assert shown.isprintable()
    assert len(shown) == len(text)
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "a\nb", "\u202egpj.exe", "\x07", "a\tb", "\ud800"]
)
def test_control_characters_are_replaced(text: str) -> None:
    assert "�" in formats.clean(text)


@given(st.text())
def test_no_text_becomes_a_formula_in_a_sheet(text: str) -> None:
    cell = str(formats.csv_cell(text))
    line = io.StringIO()
    csv.writer(line).writerow([cell])
    read = next(csv.reader(io.StringIO(line.getvalue())))

    assert read == [cell]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [(1, 1), (0.942, 0.942), (-1, -1), (True, "true"), (False, "false"), (None, None)],
)
def test_numbers_and_flags_stay_what_they_are(value: object, cell: object) -> None:
    assert formats.csv_cell(value) == cell


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.percent(0.942), "94.2%"),
        (formats.percent(1.0), "100.0%"),
        (formats.seconds(60), "60.0s"),
        (formats.seconds(300.04), "300.0s"),
        (formats.duration(42), "42s"),
        (formats.duration(750), "12.5m"),
        (formats.duration(9000), "2.5h"),
        (formats.duration(277_000), "3.2d"),
        (formats.duration(0), "0s"),
        (formats.count(15_432), "15,432"),
        (formats.size(512), "512 B"),
        (formats.size(1_258_291), "1.2 MiB"),
        (formats.size(5 << 40), "5.0 TiB"),
        (formats.size(5 << 50), "5120.0 TiB"),
        (formats.plain(None), ""),
        (formats.local_time(None), "never"),
        (formats.ago(None), "never"),
    ],
)
def test_values_read_as_documented(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 (made aware below)
def test_a_moment_of_the_api_is_read_exactly(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds") + "Z"

    assert formats.parse_moment(text) == moment.replace(tzinfo=UTC)


def test_the_past_is_told_and_the_future_is_now() -> None:
    now = datetime(2026, 1, 31, 8, tzinfo=UTC)

    assert formats.ago("2026-01-31T07:59:57Z", now) == "3s ago"
    assert formats.ago("2026-01-31T09:00:00Z", now) == "0s ago"
    assert formats.ago((now - timedelta(days=2)).isoformat(), now) == "2.0d ago"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.517, "0.517s"), (58.21, "58.2s"), (60.0, "60s"), (119.9, "120s"), (150.0, "2.5m"), (43_200.0, "12.0h")],
)  # fmt: skip
def test_lengths_of_time_keep_their_digits(value: float, text: str) -> None:
    assert formats.span(value) == text
