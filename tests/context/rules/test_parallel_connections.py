"""One connection at a wake-up is how implants ask, several are how pages are fetched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context import ContextSettings, Facts, assess
from beacon_detect.context.rules.parallel_connections import RULE


def pair(**changes: Any) -> Facts:
    return Facts("10.0.0.5", "203.0.113.7", 443, **changes)


@pytest.mark.parametrize(("each", "delta"), [(2.0, -0.1), (2.9, -0.1), (3.0, -0.25), (40.0, -0.25)])
def test_several_connections_at_once_lower_the_risk(facts: Any, each: float, delta: float) -> None:
    said = RULE(facts(connections_per_check_in=each))

    assert said is not None
    assert said.delta == delta
    assert f"{each:.1f} connections" in said.reason


@pytest.mark.parametrize("each", [1.0, 1.9])
def test_one_connection_and_a_retry_now_and_then_are_neutral(facts: Any, each: float) -> None:
    assert RULE(facts(connections_per_check_in=each)) is None


@given(st.floats(1.25, 100), st.floats(0.25, 1))
def test_connections_side_by_side_lower_the_risk_most_whatever_their_number(
    each: float, share: float
) -> None:
    said = RULE(pair(connections_per_check_in=each, side_by_side=share))

    assert said is not None
    assert said.delta == RULE.lowest == -0.3
    assert f"{share:.0%} of its connections beside others" in said.reason


@given(st.floats(1, 100), st.none() | st.floats(0, 0.25, exclude_max=True))
def test_few_or_unknown_connections_side_by_side_leave_it_to_the_number(
    each: float, share: float | None
) -> None:
    said = RULE(pair(connections_per_check_in=each, side_by_side=share))

    assert said == RULE(pair(connections_per_check_in=each))


@pytest.mark.parametrize("share", [0.25, 0.95, 1.0])
def test_a_poller_whose_connections_outlast_its_interval_is_neutral(
    facts: Any, share: float
) -> None:
    assert RULE(facts(connections_per_check_in=1.0004, side_by_side=share)) is None


def test_perfect_timing_with_connections_side_by_side_is_no_alert(facts: Any) -> None:
    risk = assess(
        0.999, facts(connections_per_check_in=2.0, side_by_side=0.5), ContextSettings()
    ).risk

    assert risk < 0.7
