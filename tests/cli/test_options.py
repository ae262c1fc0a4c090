"""Options that several verbs share mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.cli.options import since_moment

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


@given(st.integers(0, 10_000), st.sampled_from([("m", 60), ("h", 3600), ("d", 86_400)]))
def test_how_long_ago_is_counted_from_now(number: int, unit: tuple[str, int]) -> None:
    expected = NOW - timedelta(seconds=number * unit[1])

    assert since_moment(f"{number}{unit[0]}", NOW) == expected


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1.5h", NOW - timedelta(minutes=90)),
        ("30S", NOW - timedelta(seconds=30)),
        ("1w", NOW - timedelta(days=7)),
        ("2026-01-30T08:00Z", NOW - timedelta(days=1)),
        ("2026-01-30T10:00:00+02:00", NOW - timedelta(days=1)),
    ],
)
def test_a_moment_is_understood(text: str, moment: datetime) -> None:
    assert since_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "15", "m", "-5m", "2026-13-01", "999999999w"])
def test_what_is_no_moment_is_a_usage_error(cli: Callable[..., Any], text: str) -> None:
    done = cli("beacons", f"--since={text}")

    assert done.code == 2
    assert "is neither like 15m" in done.err


def test_since_is_sent_as_the_api_takes_it(ask: Callable[..., Any], api: Any) -> None:
    ask("alerts", "--since", "2026-01-31T09:00:00.25+01:00")

    assert api.asked[0][1]["since"] == ["2026-01-31T08:00:00.250000Z"]


def test_severities_may_be_repeated_and_written_small(ask: Callable[..., Any], api: Any) -> None:
    ask("alerts", "--severity", "high", "--severity", "CRITICAL")

    assert api.asked[0][1]["severity"] == ["HIGH", "CRITICAL"]
    assert ask("alerts", "--severity", "huge").code == 2


@pytest.mark.parametrize(
    ("verb", "option"),
    [("beacons", "--min-score"), ("long-conns", "--min-duration"), ("watch", "--interval")],
)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "ten"])
def test_what_is_no_number_is_a_usage_error(
    cli: Callable[..., Any], verb: str, option: str, text: str
) -> None:
    done = cli(verb, f"{option}={text}")

    assert done.code == 2
    assert option in done.err
