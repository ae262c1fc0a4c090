"""`make up` as a newcomer meets it: it watches, a loop of connections appears, Ctrl-C ends all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.world import SERVER_V4, Process, namespaces, process
from network_wire import Wire
from patience import eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "beacon_detect"]


@pytest.fixture(scope="module")
def spaces() -> Iterator[Wire]:
    """A namespace of its own, so that the documented port 9090 is free there."""
    with namespaces() as made:
        yield made


def up(spaces: Wire, folder: Path) -> list[str]:
    state = str(folder / "state")
    command = ["-m", "beacon_detect", "up", "-c", "config/config.yaml", "--state-dir", state]
    return [*spaces.in_client(), "env", "-C", str(ROOT), sys.executable, *command]


def programs() -> set[int]:
    """Return the ids of the BPF programs now loaded, as the kernel lists them."""
    libbpf = ctypes.CDLL("libbpf.so.1")
    found: set[int] = set()
    number = ctypes.c_uint32(0)
    while libbpf.bpf_prog_get_next_id(number, ctypes.byref(number)) == 0:
        found.add(number.value)
    return found


def programs_of(pid: int) -> set[int]:
    """Return the ids of the BPF programs that a process tree holds open."""
    held: set[int] = set()
    for process_id in [pid, *children_of(pid)]:
        # Files and processes may be gone by the time they are looked at.
        for entry in Path(f"/proc/{process_id}").glob("fdinfo/*"):
            with contextlib.suppress(OSError):
                held |= {
                    int(i)
                    for i in re.findall(r"^prog_id:\s+(\d+)", entry.read_text(), re.MULTILINE)
                }
    return held


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [int(child) for child in found]


def in_space(spaces: Wire, *words: str) -> str:
    done = subprocess.run(
        [*spaces.in_client(), *CLI, *words], capture_output=True, text=True, check=False
    )
    return done.stdout


def test_up_shows_a_beacon_with_its_process_and_leaves_nothing(
    spaces: Wire, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        running: Process = stack.enter_context(process(up(spaces, tmp_path), tmp_path / "up.log"))
        eventually(lambda: "9090" in running.text(), what="up says where the API is")
        eventually(lambda: "LIVE" in in_space(spaces, "status"), what="status is LIVE")
        eventually(
            lambda: "No sensor" not in in_space(spaces, "status"),
            what="the sensor reports",
        )
        held = programs_of(running.child.pid)
        assert held <= programs()
        assert held

        listener = stack.enter_context(
            process(
                [*spaces.in_server(), sys.executable, "-u", "-m", "http.server", "8080"],
                tmp_path / "listener.log",
            )
        )
        eventually(lambda: "Serving" in listener.text(), what="the web server listens")
        loop = f"while :; do curl -s -m 60 http://{SERVER_V4}:8080/ >/dev/null; sleep 1; done"
        stack.enter_context(process([*spaces.in_client(), "sh", "-c", loop], tmp_path / "curl.log"))
        eventually(lambda: "curl" in in_space(spaces, "beacons"), what="the beacon is listed")

        tree = [running.child.pid, *children_of(running.child.pid)]
        tree += [grandchild for child in tree[1:] for grandchild in children_of(child)]
        assert running.stop(signal.SIGINT) in (0, 130), running.text()
        eventually(lambda: not programs() & held, what="no program is left")
        assert [pid for pid in tree if Path(f"/proc/{pid}").exists()] == []


def test_up_leaves_nothing_even_when_it_is_killed(spaces: Wire, tmp_path: Path) -> None:
    with process(up(spaces, tmp_path), tmp_path / "up.log") as running:
        eventually(lambda: "LIVE" in in_space(spaces, "status"), what="status is LIVE")
        held = eventually(
            lambda: programs_of(running.child.pid), what="the kernel program is loaded"
        )
        children = children_of(running.child.pid)
        os.kill(running.child.pid, signal.SIGKILL)

        eventually(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in children),
            what="the children end",
        )
        eventually(lambda: not programs() & held, what="no program is left")
