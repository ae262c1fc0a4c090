"""The daemons' log: format and level do what the settings say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, structlog
from beacon_detect.config.schema import Logging
from beacon_detect.logs import configure_logging, set_level
configure_logging(Logging(format={format!r}, level={level!r}))
log = structlog.get_logger()
log.debug("small"); log.info("pass done", pairs=3); log.error("broken")
logging.getLogger("library").warning("from a %s", "library")
set_level("error"); log.info("too late")
"""


def written(style: str, level: str = "info") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(format=style, level=level)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("style", ["json", "auto"])
def test_without_a_terminal_each_event_is_one_json_object(style: str) -> None:
    events = [json.loads(line) for line in written(style)]

    assert [event["event"] for event in events] == ["pass done", "broken", "from a library"]
    assert events[0]["pairs"] == 3
    assert events[0]["level"] == "info"
    assert events[0]["timestamp"].endswith("Z")


def test_the_console_format_is_for_people() -> None:
    lines = written("console")

    assert len(lines) == 3
    assert "pass done" in lines[0]
    assert "pairs=3" in lines[0]
    assert "\x1b[" not in lines[0]


@pytest.mark.parametrize(("level", "events"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])  # fmt: skip
def test_the_level_is_the_least_that_is_written(level: str, events: int) -> None:
    assert len(written("json", level)) == events


FAILURE = """
import structlog
from beacon_detect.config.schema import Logging
from beacon_detect.logs import configure_logging
configure_logging(Logging(format={format!r}))
def work(token):
    raise OSError("disk full")
try: work("tell" + "tale")
except OSError: structlog.get_logger().exception("work failed")
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_never_shows_the_values_of_variables(style: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILURE.format(format=style)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "disk full" in done.stderr
    assert "work" in done.stderr
    assert "telltale" not in done.stderr
