"""Groups are lowered most, calls from outside less, neighbours a little, the internet not at all."""

from __future__ import annotations

from typing import Any

from beacon_detect.context.rules.destination import RULE


def test_nobody_commands_through_a_group(facts: Any) -> None:
    for group in ("239.255.255.250", "ff02::fb", "255.255.255.255"):
        said = RULE(facts(dst=group))
        assert said is not None
        assert said.delta == -0.7


def test_internal_destinations_are_lowered_a_little(facts: Any) -> None:
    said = RULE(facts(dst="10.0.0.9", dst_internal=True))

    assert said is not None
    assert -0.2 < said.delta < 0


def test_calls_from_outside_are_lowered_more_than_neighbours(facts: Any) -> None:
    said = RULE(facts(src="203.0.113.9", src_internal=False, dst="10.0.0.9", dst_internal=True))

    assert said is not None
    assert said.delta == -0.3
    assert "from outside" in said.reason


def test_a_resolver_passes_on_what_it_is_asked_and_is_no_end(facts: Any) -> None:
    inside = {"dst": "10.0.0.1", "dst_internal": True, "dst_port": 53}

    assert RULE(facts(**inside, protocol=17)) is None
    assert RULE(facts(**inside, protocol=132)) is not None


def test_the_internet_is_neutral(facts: Any) -> None:
    assert RULE(facts()) is None
