"""Health answers everybody, and tells nothing that an outsider should not know."""

from __future__ import annotations

from beacon_detect import __version__
from live_server import LiveServer


def test_it_says_that_the_server_answers(idle_server: LiveServer) -> None:
    assert idle_server.fetch("health") == {"status": "ok", "version": __version__}
