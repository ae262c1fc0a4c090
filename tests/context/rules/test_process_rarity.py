"""A program on one host of many is rare; one that half the fleet runs is common."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.process_rarity import RULE


@pytest.mark.parametrize(
    ("hosts", "of", "sign"), [(1, 40, 1), (1, 10, 1), (2, 100, 1), (10, 40, 0), (20, 40, -1)]
)
def test_by_hosts(facts: Any, hosts: int, of: int, sign: int) -> None:
    known = {"executable_hosts": hosts, "attributed_hosts": of, "executable_pairs": 3}
    said = RULE(facts(executable="/usr/bin/x", **known))

    assert (0 if said is None else (said.delta > 0) - (said.delta < 0)) == sign


def test_on_a_single_host_by_pairs(facts: Any) -> None:
    one = facts(
        executable="/usr/bin/x", executable_hosts=1, attributed_hosts=1, executable_pairs=1,
        attributed_pairs=80,
    )  # fmt: skip
    few = facts(
        executable="/usr/bin/x", executable_hosts=1, attributed_hosts=1, executable_pairs=1,
        attributed_pairs=8,
    )  # fmt: skip

    said = RULE(one)
    assert said is not None
    assert said.delta > 0
    assert RULE(few) is None


def test_an_unknown_program_says_nothing(facts: Any) -> None:
    assert RULE(facts(attributed_hosts=40, attributed_pairs=400)) is None
