"""``server`` runs the control plane, and a bad configuration stops it before it starts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from patience import PATIENCE, eventually


def config(folder: Path, port: int) -> Path:
    file = folder / "c.yaml"
    file.write_text(
        f"control_plane: {{listen_port: {port}, data_dir: {folder}/data}}\n"
        f"alerting: {{syslog_enabled: false, file_path: {folder}/alerts.json}}\n",
        "utf-8",
    )
    return file


def test_it_answers_every_verb_and_ends_as_asked(
    cli: Callable[..., Any], tmp_path: Path, closed_port: int
) -> None:
    file = config(tmp_path, closed_port)
    command = [sys.executable, "-m", "beacon_detect", "server", "-c", str(file)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert server.poll() is None, (tmp_path / "log").read_text("utf-8")
            return cli("--host", "127.0.0.1", "--port", closed_port, "status").code != 3

        eventually(answers, "the server answers")
        for words in (
            ["status"],
            ["status", "-o", "json"],
            ["beacons", "--min-score", "0.5", "--severity", "HIGH", "--since", "1h"],
            ["alerts", "--severity", "LOW", "--severity", "HIGH", "--since", "2026-01-31"],
            ["connections", "--src-ip", "10.0.0.1", "--dst-ip", "2001:db8::1"],
            ["long-conns", "--min-duration", "60"],
            ["beacons", "--include-whitelisted", "-o", "json"],
            ["alerts", "-o", "jsonl"],
            ["connections", "--csv"],
            ["long-conns", "-o"],
        ):
            done = cli("--host", "127.0.0.1", "--port", closed_port, *words)
            assert done.code == 0, (words, done.err)
        server.send_signal(signal.SIGTERM)

        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()
        server.wait()


def test_a_bad_configuration_is_told_with_its_code(cli: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("control_plane: {listen_prt: 1}\n", "utf-8")
    done = cli("server", "-c", file)

    assert done.code == 78
    assert f"{file}:1:17: control_plane.listen_prt: unknown key" in done.err


def test_an_open_listener_without_token_is_refused(
    shell: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        f"control_plane: {{listen_address: 0.0.0.0, data_dir: {tmp_path}/data}}\n", "utf-8"
    )
    done = shell("server", "-c", file, BEACON_API_TOKEN="")

    assert done.returncode == 78
    assert "token" in done.stderr
    assert "Traceback" not in done.stderr
