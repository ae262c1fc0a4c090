"""``status`` shows the documented screen, sensors with losses, and what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from beacon_detect.cli.status import BANNER

SCREEN = f"""\
{BANNER}

═══════════════════════════════════════════════════════════════════
  SYSTEM STATUS
═══════════════════════════════════════════════════════════════════


  ✓ LIVE


  Server:                        127.0.0.1:PORT
  Status:                        Running
  Uptime:                        2.5h
  Events Received:               15,432
  Connection Pairs:              234
  Beacons Detected:              3
  Alerts Generated:              5
"""


def test_the_screen_is_the_documented_one(ask: Callable[..., Any], api: Any) -> None:
    done = ask("status")

    assert done.code == 0
    assert done.out.startswith(SCREEN.replace("PORT", str(api.port)))


def test_sensors_are_listed_with_their_losses_by_reason(ask: Callable[..., Any]) -> None:
    out = ask("status").out

    assert "  host-a              host " in out
    assert "1,012\n" in out
    assert "  lost by host-a: ring_full 1,012\n" in out
    assert "spool_dropped" not in out


def test_channels_are_listed_with_their_failures(ask: Callable[..., Any]) -> None:
    assert (
        "  webhook   on      4           1         2        connection refused\n"
        in ask("status").out
    )


def test_without_sensor_it_says_what_to_start(ask: Callable[..., Any], api: Any) -> None:
    api.answers["status"] = api.answer("/api/v1/status", {}) | {"sensors": []}

    assert "No sensor has reported yet" in ask("status").out


def test_what_needs_attention_is_told(ask: Callable[..., Any], api: Any) -> None:
    answer = copy.deepcopy(api.answer("/api/v1/status", {}))
    answer["config"] |= {"last_reload_error": "c.yaml:1:1: bad", "needs_restart": ["a.b"]}
    answer["analyzer"]["last_error"] = "out of memory"
    answer["intake"] = {"not_valid": 3, "too_large": 0}
    api.answers["status"] = answer
    out = ask("status").out

    assert "  ! the last reload was refused: c.yaml:1:1: bad\n" in out
    assert "  ! changed, but waiting for a restart: a.b\n" in out
    assert "  ! the last analysis failed: out of memory\n" in out
    assert "  ! turned away: not_valid 3\n" in out


def test_json_is_the_answer(ask: Callable[..., Any], api: Any) -> None:
    assert json.loads(ask("status", "-o", "json").out) == api.answer("/api/v1/status", {})


def test_offline_is_shown_on_stdout_and_explained_on_stderr(
    cli: Callable[..., Any], closed_port: int
) -> None:
    done = cli("--host", "127.0.0.1", "--port", closed_port, "status")

    assert done.code == 3
    assert "  ✗ OFFLINE\n" in done.out
    assert "LIVE" not in done.out
    assert "Connection refused" in done.err


def test_offline_as_json(cli: Callable[..., Any], closed_port: int) -> None:
    done = cli("--host", "127.0.0.1", "--port", closed_port, "status", "-o", "json")

    assert done.code == 3
    assert json.loads(done.out)["status"] == "offline"


def test_a_missing_token_is_not_offline(ask: Callable[..., Any], api: Any) -> None:
    api.token = "right"
    done = ask("status")

    assert (done.code, done.out) == (4, "")
    assert "--token-file" in done.err
