"""Interpreters and transfer tools vouch for nothing, towards the internet."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.interpreter import RULE


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/python3.11",
        "/usr/bin/perl",
        "/bin/bash",
        "/usr/bin/curl",
        "/x/node",
        "/usr/bin/php8.2 (deleted)",
    ],
)
def test_interpreters_are_raised_a_little(facts: Any, path: str) -> None:
    said = RULE(facts(executable=path))

    assert said is not None
    assert 0 < said.delta <= 0.1


def test_the_name_of_the_process_counts_where_its_file_is_not_known(facts: Any) -> None:
    assert RULE(facts(process="bash")) is not None
    assert RULE(facts(process="bash", executable="/usr/bin/chrome")) is None


def test_inside_the_network_scripts_are_usual(facts: Any) -> None:
    assert RULE(facts(process="bash", dst="10.0.0.9", dst_internal=True)) is None


def test_other_programs_say_nothing(facts: Any) -> None:
    assert RULE(facts(executable="/usr/bin/pythonista")) is None
