"""Shared by the tests of the control plane: a real server, one for each module that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live_server import LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a running server with an empty store; tests of a module share it."""
    live = LiveServer(tmp_path_factory.mktemp("server"))
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture(scope="session")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a running server that no test changes; all tests share it."""
    live = LiveServer(tmp_path_factory.mktemp("idle-server"))
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server of the test's own, not started; it is stopped at the end."""
    live = LiveServer(tmp_path_factory.mktemp("own-server"))
    try:
        yield live
    finally:
        live.stop()
