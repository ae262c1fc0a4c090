"""New after weeks of watching is a reason; new on the first day is none."""

from __future__ import annotations

from typing import Any

from beacon_detect.context.rules.first_seen import DAY, RULE


def test_a_new_destination_is_raised_once_the_watch_is_old(facts: Any) -> None:
    said = RULE(facts(age=3600.0, watched=10 * DAY))

    assert said is not None
    assert said.delta > 0


def test_an_old_acquaintance_is_lowered(facts: Any) -> None:
    said = RULE(facts(age=31 * DAY, watched=40 * DAY))

    assert said is not None
    assert said.delta < 0


def test_nothing_is_new_in_the_first_week(facts: Any) -> None:
    assert RULE(facts(age=60.0, watched=6 * DAY)) is None
    assert RULE(facts(age=5 * DAY, watched=10 * DAY)) is None
