"""``replay``: files through a control plane, or a clear word why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.cli.main import run
from beacon_detect.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_without_a_control_plane_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], closed_port: int
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,src,dst\n1700000000,10.0.0.5,192.0.2.7\n")

    words = ["--host", "127.0.0.1", "--port", str(closed_port), "replay", str(path), "--now"]
    assert run(words) == ExitCode.UNREACHABLE
    assert "no control plane can be reached" in capsys.readouterr().err


def test_an_empty_file_needs_no_control_plane(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,src,dst\n")

    assert run(["--port", "9", "replay", str(path)]) == ExitCode.OK
    assert "nothing to replay" in capsys.readouterr().err
