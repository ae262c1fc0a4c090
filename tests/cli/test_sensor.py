"""``sensor`` says what is missing, with the documented code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_bad_configuration_is_told_with_its_code(cli: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("data_plane: {interfac: eth0}\n", "utf-8")
    done = cli("sensor", "-c", file)

    assert done.code == 78
    assert "did you mean data_plane.interface?" in done.err


@pytest.mark.root
def test_a_missing_interface_is_told_without_traceback(
    shell: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"data_plane: {{interface: nosuch0, spool_dir: {tmp_path}/spool}}\n", "utf-8")
    done = shell("sensor", "-c", file)

    assert done.returncode == 5
    assert "nosuch0" in done.stderr
    assert "Traceback" not in done.stderr
