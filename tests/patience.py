"""How tests wait for something to happen: on the condition itself, with patience for slow machines.

Shared by all tests; not a test itself. A wait that succeeds costs only the time
it takes, so the patience is far above anything a busy machine needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which what was waited for is taken never to come."""


def eventually(probe: Callable[[], T], what: str = "", *, within: float = PATIENCE) -> T:
    """Return the first true value of ``probe``."""
    deadline = time.monotonic() + within
    while not (value := probe()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what} (last: {value!r})"
        time.sleep(0.02)
    return value
