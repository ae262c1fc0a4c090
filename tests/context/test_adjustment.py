"""A rule cannot leave its bounds, whatever its judgement says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context import Facts
from beacon_detect.context.adjustment import Adjustment, Rule

PAIR = Facts(src="10.0.0.5", dst="203.0.113.7")


@given(st.floats(-9, 9))
def test_what_is_beyond_the_bounds_is_cut_off(delta: float) -> None:
    said = Rule("r", -0.2, 0.1, lambda _: (delta, "because"))(PAIR)

    assert said == Adjustment("r", min(max(delta, -0.2), 0.1), "because")


def test_a_rule_with_nothing_to_say_says_nothing(facts: Any) -> None:
    assert Rule("r", -1, 1, lambda _: None)(facts()) is None
