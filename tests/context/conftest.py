"""Facts for the tests of the rules: a neutral pair, changed where a test says so."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context import Facts


def facts_of(**changes: Any) -> Facts:
    """Return facts about a pair towards the internet, of which nothing else is known."""
    return Facts(**{"src": "10.0.0.5", "dst": "203.0.113.7", "dst_port": 443} | changes)


@pytest.fixture
def facts() -> Any:
    return facts_of
