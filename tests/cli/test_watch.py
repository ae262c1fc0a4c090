"""``watch`` marks what changed, survives a control plane that goes away, and ends cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.cli.watch import MARK_SECONDS, Marks, View
from beacon_detect.errors import ExitCode
from patience import PATIENCE
from terminal import ENTER, LEAVE, assert_given_back, on_a_terminal


def finding(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "score": 0.8,
        "risk": 0.8,
        "severity": "HIGH",
        "state": "active",
        "src_ip": "10.0.0.1",
        "dst_ip": "203.0.113.5",
        "dst_port": 443,
        "protocol": "TCP",
        "connections": 12,
        "interval_seconds": 60.0,
        "process": "curl",
        "last_seen": None,
        "mark": "",
    } | changes


def test_what_is_there_at_the_start_is_not_new_and_what_comes_is() -> None:
    marks = Marks()

    assert marks.of([finding()], 0) == {}
    assert marks.of([finding(), finding(id="b")], 1) == {"b": "NEW"}


@pytest.mark.parametrize(
    ("change", "mark"),
    [
        ({}, None),
        ({"risk": 0.81}, None),
        ({"risk": 0.82}, "WORSE"),
        ({"risk": 0.805, "severity": "CRITICAL"}, "WORSE"),
        ({"severity": "MEDIUM"}, None),
    ],
)
def test_a_finding_that_rose_is_worse(change: dict[str, Any], mark: str | None) -> None:
    marks = Marks()
    marks.of([finding()], 0)

    assert marks.of([finding(**change)], 1).get("a") == mark


def test_a_finding_that_creeps_up_is_marked_once_it_has_risen_enough() -> None:
    marks = Marks()
    marks.of([finding(risk=0.80)], 0)

    assert marks.of([finding(risk=0.81)], 1) == {}
    assert marks.of([finding(risk=0.82)], 2) == {"a": "WORSE"}


def test_a_finding_that_returns_is_back() -> None:
    marks = Marks()
    marks.of([finding(state="silent")], 0)

    assert marks.of([finding(state="active")], 1) == {"a": "BACK"}
    assert marks.of([finding(state="active")], 1 + MARK_SECONDS) == {}


def test_a_finding_that_left_the_list_and_comes_again_is_not_new() -> None:
    marks = Marks()
    marks.of([finding()], 0)
    marks.of([], 1)

    assert marks.of([finding()], 2) == {}


@given(st.lists(st.lists(st.sampled_from("abc"), unique=True), min_size=1, max_size=6))
def test_each_finding_is_new_at_most_once(lists: list[list[str]]) -> None:
    marks = Marks()
    news = []
    for index, ids in enumerate(lists):
        marked = marks.of([finding(id=name) for name in ids], index * (MARK_SECONDS + 1))
        news += [name for name, mark in marked.items() if mark == "NEW"]

    assert len(news) == len(set(news))
    assert not set(news) & set(lists[0])


def view(**changes: Any) -> View:
    made = View("localhost:9090", 5)
    made.status = {
        "uptime_seconds": 9000,
        "events_received": 15_432,
        "connection_pairs": 234,
        "beacons_detected": 3,
        "alerts_generated": 5,
        "sensors": [{"lost": 7}, {"lost": 4}],
    }
    made.beacons = [finding(mark="NEW"), finding(id="b", severity="CRITICAL")]
    made.total = 2
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_screen_shows_counters_marks_and_how_to_end() -> None:
    state, counters, _, heads, _, first, second, _, foot = view().lines(200, 24, colour=False)

    assert state.startswith("  Beacon Detect  localhost:9090  ✓ LIVE  up 2.5h  ")
    assert counters == ("  events 15,432 · pairs 234 · beacons 3 · alerts 5 · sensors 2 · lost 11")
    assert heads.split()[:3] == ["MARK", "SCORE", "SEVERITY"]
    assert first.startswith("  NEW    80.0% ")
    assert second.startswith("         80.0% ")
    assert foot == "  every 5 s; Ctrl-C or q ends"


@given(st.integers(1, 60), st.integers(1, 200), st.integers(0, 40), st.booleans())
def test_the_screen_is_never_exceeded(height: int, width: int, rows: int, colour: bool) -> None:
    beacons = [finding(id=str(n)) for n in range(rows)]
    lines = view(beacons=beacons, total=rows + 5).lines(width, max(height, 10), colour=colour)

    assert len(lines) <= max(height, 10)
    assert all(len(line.replace("\x1b[31m", "").replace("\x1b[0m", "")) <= width for line in lines)


def test_what_does_not_fit_is_counted() -> None:
    beacons = [finding(id=str(n)) for n in range(30)]
    lines = view(beacons=beacons, total=40).lines(200, 24, colour=False)
    shown = sum("curl" in line for line in lines)

    assert f"  … and {40 - shown} more" in lines


@pytest.mark.parametrize("width", [70, 80, 100, 200])
def test_a_narrow_terminal_still_shows_score_destination_interval_and_process(width: int) -> None:
    lines = view().lines(width, 24, colour=False)
    heads = lines[3].split()

    assert {"MARK", "SCORE", "DEST", "PORT", "INTERVAL", "PROCESS"} <= set(heads)
    assert "curl" in lines[5]
    assert ("LAST" in heads) is (width >= 100)


def test_long_addresses_leave_room_for_port_interval_and_process() -> None:
    source, destination = "2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8::ffff:ffff:ffff:1"
    row = finding(src_ip=source, dst_ip=destination, process="implantd")
    shown = view(beacons=[row]).lines(80, 24, colour=False)[5]

    assert "2001:db8…1234:5678" in shown
    assert all(text in shown for text in ("443", "60.0s", "implantd"))
    assert source in "\n".join(view(beacons=[row]).lines(160, 24, colour=False))


def test_rows_are_painted_by_severity() -> None:
    lines = view().lines(200, 24, colour=True)

    assert lines[5].startswith("\x1b[31m")
    assert lines[6].startswith("\x1b[1;31m")


def test_offline_is_said_and_the_last_list_stays() -> None:
    gone = view(offline="no control plane", offline_since=datetime(2026, 1, 31, 8, 5, 6))  # noqa: DTZ001 (only shown)
    lines = gone.lines(200, 24, colour=False)

    assert "✗ OFFLINE since 08:05:06" in lines[0]
    assert lines[1] == "  no control plane; trying again"
    assert any("curl" in line for line in lines)


def started(port: int, *words: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "beacon_detect", "--host", "127.0.0.1"]
    return subprocess.Popen(
        [*command, "--port", str(port), "watch", "--interval", "0.2", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def read_until(child: subprocess.Popen[str], text: str) -> str:
    assert child.stdout is not None
    seen = ""
    deadline = time.monotonic() + PATIENCE
    while text not in seen:
        assert time.monotonic() < deadline, seen
        seen += child.stdout.readline()
    return seen


def test_without_a_terminal_it_prints_one_plain_report_an_interval(api: Any) -> None:
    with started(api.port) as child:
        seen = read_until(child, "implantd") + read_until(child, "implantd")
        api.rows["beacons"].append(api.rows["beacons"][0] | {"id": "new", "process": "second"})
        seen += read_until(child, "NEW")
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE)

    assert (child.returncode, err) == (0, "")
    assert seen.count("✓ LIVE") >= 3
    assert "\x1b" not in seen


def test_a_control_plane_that_goes_away_is_said_and_asked_again(api: Any) -> None:
    with started(api.port) as child:
        read_until(child, "implantd")
        api.problem, api.status = {"detail": "stopping"}, 503
        read_until(child, "OFFLINE")
        api.status = 200
        read_until(child, "LIVE")
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)

    assert child.returncode == 0


def test_it_starts_while_nothing_listens_yet(closed_port: int) -> None:
    with started(closed_port) as child:
        seen = read_until(child, "Connection refused")
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)

    assert "✗ OFFLINE" in seen
    assert child.returncode == 0


def test_a_missing_token_ends_it_with_its_code(ask: Callable[..., Any], api: Any) -> None:
    api.token = "right"
    done = ask("watch")

    assert done.code == ExitCode.PERMISSION
    assert "--token-file" in done.err


def test_a_reader_that_goes_away_ends_it(api: Any) -> None:
    with started(api.port) as child:
        read_until(child, "implantd")
        assert child.stdout is not None
        child.stdout.close()

        assert child.wait(PATIENCE) == ExitCode.BROKEN_PIPE


@pytest.mark.parametrize("end", [b"\x03", b"q"], ids=["Ctrl-C", "q"])
def test_on_a_terminal_it_leaves_the_terminal_as_it_was(api: Any, end: bytes) -> None:
    command = ["-m", "beacon_detect", "--host", "127.0.0.1", "--port", str(api.port)]
    with on_a_terminal(*command, "watch", "--interval", "0.2") as tty:
        seen = tty.read(b"implantd")
        assert b"\x1b[1;31m" in seen
        os.write(tty.terminal, end)

        assert tty.ended() == 0
        assert_given_back(tty)
        assert tty.seen.endswith(LEAVE)


def test_a_dumb_terminal_gets_plain_reports(api: Any) -> None:
    command = ["-m", "beacon_detect", "--host", "127.0.0.1", "--port", str(api.port)]
    with on_a_terminal(*command, "watch", "--interval", "0.2", terminal_type="dumb") as tty:
        tty.read(b"implantd")
        os.write(tty.terminal, b"\x03")

        assert tty.ended() == 0
        assert b"\x1b" not in tty.drain()


def test_a_wrong_token_is_told_before_the_terminal_is_taken(api: Any) -> None:
    api.token = "right"
    command = ["-m", "beacon_detect", "--host", "127.0.0.1", "--port", str(api.port)]
    with on_a_terminal(*command, "watch") as tty:
        assert tty.ended() == ExitCode.PERMISSION
        assert ENTER not in tty.drain()
        assert b"--token-file" in tty.seen
