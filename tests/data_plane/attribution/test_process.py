"""Processes are named while they live, remembered after, and never confused by a reused id."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beacon_detect.data_plane.attribution.container import ContainerNames
from beacon_detect.data_plane.attribution.process import (
    LONGEST_TEXT,
    RECHECK_NS,
    TRUST_NS,
    Process,
    ProcessTable,
)
from beacon_detect.records import SECOND

TICK = SECOND // os.sysconf("SC_CLK_TCK")
CONTAINER = "ab" * 32


class FakeProc:
    """A procfs tree on disk whose processes come and go as told."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, pid: int, name: str, executable: str, *, at: int, group: str = "/") -> None:
        folder = self.root / str(pid)
        folder.mkdir()
        ticks = at // TICK
        (folder / "stat").write_text(f"{pid} ({name}) S {' '.join(['0'] * 18)} {ticks} 0 0\n")
        (folder / "exe").symlink_to(executable)
        (folder / "cgroup").write_text(f"0::{group}\n")

    def end(self, pid: int) -> None:
        shutil.rmtree(self.root / str(pid))


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


@pytest.fixture
def table(proc: FakeProc) -> ProcessTable:
    return ProcessTable(ContainerNames(proc=proc.root, groups=proc.root), proc.root)


def ask(
    table: ProcessTable, pid: int = 7, comm: bytes = b"curl", *, at: int, opened: bool = True
) -> Process:
    return table.resolve(pid, comm, 0, first=at, opened=opened, now=at)


def test_a_living_process_has_its_own_name_executable_and_container(
    proc: FakeProc, table: ProcessTable
) -> None:
    proc.start(7, "fire (f) x", "/opt/fox", at=SECOND, group=f"/docker/{CONTAINER}")

    found = ask(table, comm=b"Socket Thread", at=2 * SECOND)

    assert found == Process("fire (f) x", "/opt/fox", CONTAINER[:12])


def test_a_process_gone_before_the_first_look_has_its_thread_name(table: ProcessTable) -> None:
    assert ask(table, at=SECOND) == Process("curl", "", "")


def test_an_exited_process_is_remembered_for_its_last_records(
    proc: FakeProc, table: ProcessTable
) -> None:
    proc.start(7, "curl", "/usr/bin/curl", at=SECOND)
    known = ask(table, at=2 * SECOND)
    proc.end(7)

    assert ask(table, at=2 * SECOND + 5 * RECHECK_NS) == known
    assert ask(table, at=2 * SECOND, opened=False) == known


def test_an_exited_process_does_not_explain_connections_for_ever(
    proc: FakeProc, table: ProcessTable
) -> None:
    proc.start(7, "curl", "/usr/bin/curl", at=SECOND)
    ask(table, at=2 * SECOND)
    proc.end(7)

    assert ask(table, at=3 * SECOND + TRUST_NS) == Process("curl", "", "")


def test_a_reused_id_is_noticed_by_its_start_time(proc: FakeProc, table: ProcessTable) -> None:
    proc.start(7, "curl", "/usr/bin/curl", at=SECOND)
    old = ask(table, at=2 * SECOND)
    proc.end(7)
    proc.start(7, "curl", "/tmp/curl", at=100 * SECOND)

    assert ask(table, at=101 * SECOND).executable == "/tmp/curl"
    assert old.executable == "/usr/bin/curl"


def test_a_process_younger_than_the_connection_is_not_taken_for_its_opener(
    proc: FakeProc, table: ProcessTable
) -> None:
    proc.start(7, "innocent", "/usr/bin/innocent", at=100 * SECOND)

    assert ask(table, comm=b"implant", at=50 * SECOND) == Process("implant", "", "")


def test_a_change_of_program_shows_after_a_second(proc: FakeProc, table: ProcessTable) -> None:
    proc.start(7, "sh", "/bin/sh", at=SECOND)
    assert ask(table, comm=b"sh", at=2 * SECOND).executable == "/bin/sh"
    proc.end(7)
    proc.start(7, "curl", "/usr/bin/curl", at=SECOND)

    assert ask(table, comm=b"curl", at=2 * SECOND).executable == "/usr/bin/curl"
    assert ask(table, comm=b"sh", at=2 * SECOND + RECHECK_NS).executable == "/usr/bin/curl"


def test_a_removed_executable_is_marked(proc: FakeProc, table: ProcessTable) -> None:
    proc.start(7, "x", "/tmp/.x (deleted)", at=SECOND)

    assert ask(table, at=2 * SECOND).executable == "/tmp/.x (deleted)"


def test_names_that_are_no_text_are_made_text(proc: FakeProc, table: ProcessTable) -> None:
    proc.start(7, "x", os.fsdecode(b"/tmp/\xff"), at=SECOND)

    assert ask(table, at=2 * SECOND).executable == "/tmp/\\xff"
    assert ask(table, 8, b"\xfe\xff", at=SECOND).name == "\\xfe\\xff"


def test_a_long_path_keeps_its_beginning_and_its_end(proc: FakeProc, table: ProcessTable) -> None:
    for pid, letter in ((7, "d"), (8, "é"), (9, os.fsdecode(b"\xff"))):
        path = f"/home/user/{'/'.join(letter * 800)}/implant (deleted)"
        proc.start(pid, "x", path, at=SECOND)

        executable = ask(table, pid, at=2 * SECOND).executable

        assert LONGEST_TEXT - 10 < len(executable.encode()) <= LONGEST_TEXT
        assert executable.startswith("/home/user/")
        assert executable.endswith("/implant (deleted)")


def test_the_table_is_bounded(proc: FakeProc) -> None:
    table = ProcessTable(ContainerNames(proc=proc.root, groups=None), proc.root, capacity=10)
    for pid in range(1, 100):
        ask(table, pid, at=SECOND)

    assert len(table) == 10


def test_a_group_id_tells_the_container_of_a_process_that_is_gone(tmp_path: Path) -> None:
    group = tmp_path / "groups" / f"docker-{CONTAINER}.scope"
    group.mkdir(parents=True)
    names = ContainerNames(proc=tmp_path, groups=group.parent)
    table = ProcessTable(names, tmp_path)

    found = table.resolve(7, b"wget", group.stat().st_ino, first=SECOND, opened=True, now=SECOND)

    assert found == Process("wget", "", CONTAINER[:12])


def test_this_very_process() -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    table = ProcessTable(ContainerNames())

    found = table.resolve(os.getpid(), b"x", 0, first=now, opened=True, now=now)

    assert found.executable == str(Path(sys.executable).resolve())
    assert found.name == Path("/proc/self/comm").read_text().strip()


def test_a_real_process_with_a_removed_executable(tmp_path: Path) -> None:
    program = tmp_path / "implant"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "30"]) as child:
        program.unlink()
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        table = ProcessTable(ContainerNames())

        found = table.resolve(child.pid, b"implant", 0, first=now, opened=True, now=now)
        child.kill()

    assert found == Process("implant", f"{program} (deleted)", found.container)
