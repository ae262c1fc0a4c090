"""A store in a folder of its own, closed after the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from beacon_detect.control_plane.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Open the store of this test (again); every one opened is closed in the end."""
    opened: list[Store] = []

    def open_(on_commit: Callable[..., None] = lambda _batches: None) -> Store:
        opened.append(Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=on_commit))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()
