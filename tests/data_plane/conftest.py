"""Shared by the sensor's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from network_wire import Wire, make_wire


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """Two namespaces with a cable between them, for the whole session."""
    with make_wire() as made:
        yield made
