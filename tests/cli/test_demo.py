"""``demo``: a list and a report, and nothing opened that was not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.cli.main import run
from beacon_detect.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_demo_lists_the_implants_and_writes_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, data = tmp_path / "demo.html", tmp_path / "demo.csv"

    assert run(["demo", "--no-open", "--report", str(report), "--data", str(data)]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "203.0.113.50:443 cdn.updates.example" in out
    assert f"report written: {report}" in err
    assert "<!doctype html>" in report.read_text()
    assert data.read_text().startswith("ts,src,")
