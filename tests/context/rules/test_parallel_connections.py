"""One connection at a wake-up is how implants ask, several are how pages are fetched."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.parallel_connections import RULE


@pytest.mark.parametrize(("each", "delta"), [(2.0, -0.1), (2.9, -0.1), (3.0, -0.25), (40.0, -0.25)])
def test_several_connections_at_once_lower_the_risk(facts: Any, each: float, delta: float) -> None:
    said = RULE(facts(connections_per_check_in=each))

    assert said is not None
    assert said.delta == delta
    assert f"{each:.1f} connections" in said.reason


@pytest.mark.parametrize("each", [1.0, 1.9])
def test_one_connection_and_a_retry_now_and_then_are_neutral(facts: Any, each: float) -> None:
    assert RULE(facts(connections_per_check_in=each)) is None
