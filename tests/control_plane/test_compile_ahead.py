"""The analysis is compiled beside the server, once, and never outlives it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from beacon_detect.analysis import warm_up
from beacon_detect.control_plane import compile_ahead
from beacon_detect.control_plane.compile_ahead import compiled_ahead


def children() -> set[int]:
    """Return the ids of this process's children."""
    found: set[int] = set()
    for each in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread of an earlier test that ends just now
            found |= {int(pid) for pid in each.read_text("utf-8").split()}
    return found


def test_a_compilation_ends_with_the_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    others = children()
    with compiled_ahead():
        (pid,) = children() - others

    assert not Path(f"/proc/{pid}").exists()


def test_nothing_is_started_where_it_was_done_before() -> None:
    warm_up()
    before = children()
    with compiled_ahead():
        assert children() == before


@pytest.mark.slow
def test_the_compilation_leaves_code_that_a_server_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    subprocess.run([sys.executable, "-m", compile_ahead.__name__], check=True)

    assert compile_ahead.is_compiled()
