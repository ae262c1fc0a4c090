"""``config`` checks and shows what the daemons would run with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from beacon_detect.config import OVERRIDES_NAME, Config, load_config, masked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(
        f"control_plane:\n  data_dir: {tmp_path}/data\n"
        "detection:\n  cv_threshold: 0.2\n"
        "alerting:\n  webhook_url: https://example.org/SECRET\n"
        "  webhook:\n    headers: {X-Key: SECRET}\n",
        "utf-8",
    )
    return path


def test_a_sound_file_is_ok(cli: Callable[..., Any], file: Path) -> None:
    done = cli("config", "check", "-c", file)

    assert (done.code, done.out, done.err) == (0, f"OK {file}\n", "")


def test_a_listener_that_will_need_a_token_is_noted(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "open.yaml"
    path.write_text(
        f"control_plane:\n  data_dir: {tmp_path}/data\n  listen_address: 0.0.0.0\n", "utf-8"
    )
    done = cli("config", "check", "-c", path)

    assert (done.code, done.out) == (0, f"OK {path}\n")
    assert "0.0.0.0 needs a token" in done.err


def test_no_file_is_ok_too(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("beacon_detect.config.load.SEARCH_PATH", ())

    assert cli("config", "check").out == "OK (no file: the defaults hold)\n"


def test_faults_are_told_with_their_place_and_code(cli: Callable[..., Any], file: Path) -> None:
    file.write_text("detection:\n  min_conections: 5\n  cv_threshold: x\n", "utf-8")
    done = cli("config", "check", "-c", file)

    assert (done.code, done.out) == (78, "")
    assert f"{file}:2:3: detection.min_conections: unknown key" in done.err
    assert f"{file}:3:17: detection.cv_threshold: must be a number (got 'x')" in done.err


def test_what_the_api_stored_is_checked_too(
    cli: Callable[..., Any], file: Path, tmp_path: Path
) -> None:
    overrides = tmp_path / "data" / OVERRIDES_NAME
    overrides.parent.mkdir()
    overrides.write_text("detection: {cv_threshold: none}\n", "utf-8")
    done = cli("config", "check", "-c", file)

    assert done.code == 78
    assert f"{overrides}:1:27: detection.cv_threshold" in done.err


def test_what_is_shown_loads_again_and_secrets_are_masked(
    cli: Callable[..., Any], file: Path, tmp_path: Path
) -> None:
    done = cli("config", "show", "-c", file)
    shown = tmp_path / "shown.yaml"
    shown.write_text(done.out.replace("********", "https://example.org/"), "utf-8")

    assert "SECRET" not in done.out
    assert "X-Key: '********'" in done.out
    assert load_config(shown, environment={}).config.detection.cv_threshold == 0.2


def test_origins_are_shown_as_comments(
    cli: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEACON_DETECT_DETECTION__MIN_CONNECTIONS", "12")
    out = cli("config", "show", "--origin", "-c", file).out

    assert f"  cv_threshold: 0.2  # {file}:4:17\n" in out
    assert (
        "  min_connections: 12  # environment variable BEACON_DETECT_DETECTION__MIN_CONNECTIONS\n"
    ) in out
    assert "  jitter_threshold: 5.0  # default\n" in out
    assert yaml.safe_load(out)["detection"]["min_connections"] == 12


def test_json_has_the_shape_of_the_api(cli: Callable[..., Any], file: Path) -> None:
    answer = json.loads(cli("config", "show", "-o", "json", "--origin", "-c", file).out)

    assert answer["schema"] == "beacon-detect.config/1"
    assert answer["file"] == str(file)
    assert set(answer["config"]) == set(Config.model_fields)
    assert answer["config"]["alerting"]["webhook"]["url"] == "********"
    assert answer["origins"]["detection.cv_threshold"] == f"{file}:4:17"
    assert answer["origins"]["alerting.webhook.headers"] == f"{file}:8:14"
    assert answer["origins"]["logging.level"] == "default"


@pytest.mark.root
def test_a_user_who_may_not_read_the_changes_is_told_so(tmp_path: Path, file: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    code = (
        "import os, sys\n"
        "from beacon_detect.cli.main import run\n"
        "import beacon_detect.cli.config, beacon_detect.config.render, yaml\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"sys.exit(run(['config', 'check', '-c', {str(file)!r}]))"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, f"OK {file}\n")
    assert "changed through the API, if any, cannot be read by this user" in done.stderr


def test_the_control_plane_means_the_same_file_and_hides_the_same_secrets(
    file: Path, tmp_path: Path
) -> None:
    from beacon_detect.control_plane.settings import Settings

    loaded = load_config(file, environment={})
    settings = Settings(loaded, environment={})

    assert settings.overrides == tmp_path / "data" / OVERRIDES_NAME
    assert settings.masked() == masked(loaded.config)
