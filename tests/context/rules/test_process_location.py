"""Programs from temporary, hidden or vanished places are raised; installed ones are not."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.process_location import RULE


@pytest.mark.parametrize(
    ("path", "delta"),
    [
        ("/memfd:x (deleted)", 0.4),
        ("/tmp/a/implant", 0.3),
        ("/dev/shm/x", 0.3),
        ("/var/tmp/x (deleted)", 0.4),
        ("/home/u/app (deleted)", 0.3),
        ("/home/u/.hidden/app", 0.2),
        ("/usr/lib/.x", 0.2),
        ("/usr/sbin/sshd (deleted)", 0.05),
    ],
)
def test_odd_places(facts: Any, path: str, delta: float) -> None:
    said = RULE(facts(executable=path))

    assert said is not None
    assert said.delta == delta


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/usr/bin/curl",
        "/home/u/.local/bin/tool",
        "/home/u/.vscode/x",
        "/opt/app/run",
        "/tmpfiles/x",
    ],
)
def test_usual_places_say_nothing(facts: Any, path: str) -> None:
    assert RULE(facts(executable=path)) is None
