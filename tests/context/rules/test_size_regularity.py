"""Sizes speak only where they were measured and are alike."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.size_regularity import RULE


@pytest.mark.parametrize(("regularity", "speaks"), [(None, False), (0.5, False), (0.95, True)])
def test_alike_sizes_raise_a_little(facts: Any, regularity: float | None, speaks: bool) -> None:
    assert (RULE(facts(size_regularity=regularity)) is not None) is speaks


@pytest.mark.parametrize(
    "fixed", [{"protocol": 1}, {"protocol": 58}, {"protocol": 17, "dst_port": 123}]
)
def test_sizes_that_the_protocol_fixes_say_nothing(facts: Any, fixed: dict[str, int]) -> None:
    assert RULE(facts(size_regularity=1.0, **fixed)) is None
