"""A change of the configuration happens as a whole or not at all, and secrets stay secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from beacon_detect.config import MASK, Config, load_config
from beacon_detect.control_plane.settings import HiddenError, RefusedError, Settings
from beacon_detect.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    write(path, {"detection": {"cv_threshold": 0.2}})
    return path


def write(path: Path, tree: dict[str, Any]) -> None:
    home = {"control_plane": {"data_dir": str(path.parent)}}
    path.write_text(yaml.safe_dump(home | tree), "utf-8")


def open_settings(file: Path, environment: dict[str, str] | None = None) -> Settings:
    environment = environment or {}
    return Settings(load_config(file, environment=environment), environment=environment)


def test_an_update_is_in_force_at_once_and_after_a_restart(file: Path) -> None:
    settings = open_settings(file)

    update = settings.update({"detection": {"alert_threshold": 0.8}}, trusted=False)

    assert update.applied == ["detection.alert_threshold"]
    assert update.needs_restart == []
    for now in (settings, open_settings(file)):
        assert now.running.detection.alert_threshold == 0.8
        assert now.running.detection.cv_threshold == 0.2


def test_the_stored_changes_are_readable_by_their_owner_only(file: Path) -> None:
    settings = open_settings(file)
    settings.update(
        {"alerting": {"webhook": {"url": "https://example.test/secret"}}}, trusted=False
    )

    assert stat.S_IMODE(settings.overrides.stat().st_mode) == 0o600
    assert sorted(p.name for p in file.parent.iterdir()) == ["config-overrides.yaml", "config.yaml"]


def test_documented_spellings_are_accepted(file: Path) -> None:
    settings = open_settings(file)

    settings.update(
        {"whitelist": {"ports": [99]}, "alerting": {"file_enabled": False}}, trusted=False
    )

    assert settings.running.whitelist.destination_ports == [99]
    assert not settings.running.alerting.file.enabled


def test_changes_edited_by_hand_are_built_upon(file: Path) -> None:
    settings = open_settings(file)
    settings.overrides.write_text("whitelist:\n  ports: [1]\nalerting:\n  file_enabled: false\n")

    settings.update({"whitelist": {"destination_ports": [2]}}, trusted=False)

    assert settings.running.whitelist.destination_ports == [2]
    assert not settings.running.alerting.file.enabled


def test_changes_broken_by_hand_are_told_with_their_place(file: Path) -> None:
    settings = open_settings(file)
    settings.overrides.write_text("alerting: [\n")

    with pytest.raises(ConfigError, match=r"config-overrides.yaml:2:1: not valid YAML"):
        settings.update({"detection": {"alert_threshold": 0.8}}, trusted=False)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"detection": {"alert_threshold": 0.9, "cv_threshold": -1}}, "detection.cv_threshold"),
        ({"detection": {"alert_treshold": 0.9}}, "did you mean detection.alert_threshold"),
        ({"detection": {"alert_threshold": "0.9"}}, "detection.alert_threshold"),
        ({"alerting": {"webhook_enabled": True}}, "url is empty"),
        ({"detection": 3}, "detection"),
    ],
)
def test_one_fault_refuses_the_whole_update(file: Path, tree: dict[str, Any], message: str) -> None:
    settings = open_settings(file)

    with pytest.raises(ConfigError, match=message):
        settings.update(tree, trusted=True)

    assert settings.running.detection.alert_threshold == 0.7
    assert not settings.overrides.exists()


def test_a_null_puts_a_setting_back_to_the_value_of_the_file(file: Path) -> None:
    settings = open_settings(file)
    settings.update({"detection": {"cv_threshold": 0.5, "alert_threshold": 0.9}}, trusted=False)

    update = settings.update({"detection": {"cv_threshold": None}}, trusted=False)

    assert update.applied == ["detection.cv_threshold"]
    assert settings.running.detection.cv_threshold == 0.2
    assert settings.running.detection.alert_threshold == 0.9
    settings.update({"detection": None}, trusted=False)
    assert settings.running.detection.alert_threshold == 0.7


def test_a_setting_that_needs_a_restart_is_kept_for_it(file: Path) -> None:
    settings = open_settings(file)

    update = settings.update({"control_plane": {"listen_port": 9191}}, trusted=False)

    assert update.needs_restart == ["control_plane.listen_port"]
    assert settings.running.control_plane.listen_port == 9090
    assert settings.needs_restart() == ["control_plane.listen_port"]
    assert open_settings(file).running.control_plane.listen_port == 9191


def test_a_value_hidden_by_the_environment_is_refused_by_name(file: Path) -> None:
    settings = open_settings(file, {"BEACON_DETECT_DETECTION__ALERT_THRESHOLD": "0.6"})

    with pytest.raises(HiddenError, match="BEACON_DETECT_DETECTION__ALERT_THRESHOLD"):
        settings.update({"detection": {"alert_threshold": 0.8}}, trusted=False)
    settings.update({"detection": {"cv_threshold": 0.3}}, trusted=False)

    assert settings.running.detection.alert_threshold == 0.6
    assert settings.running.detection.cv_threshold == 0.3


def test_secrets_are_masked_and_the_mask_posted_back_keeps_them(file: Path) -> None:
    secret = {"url": "https://example.test/T0K3N", "headers": {"Authorization": "Bearer abc"}}
    write(file, {"alerting": {"webhook": secret}})
    settings = open_settings(file)
    shown = settings.masked()["alerting"]["webhook"]
    assert shown["url"] == MASK
    assert shown["headers"] == {"Authorization": MASK}

    settings.update(
        {"alerting": {"webhook": {**shown, "headers": {**shown["headers"], "X-Team": "soc"}}}},
        trusted=False,
    )

    webhook = settings.running.alerting.webhook
    assert webhook.url == secret["url"]
    assert webhook.headers == {"Authorization": "Bearer abc", "X-Team": "soc"}
    assert "T0K3N" not in settings.overrides.read_text("utf-8")


def test_a_mask_without_a_value_behind_it_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="X-New: is a mask"):
        open_settings(file).update(
            {"alerting": {"webhook": {"headers": {"X-New": MASK}}}}, trusted=True
        )


def test_an_empty_secret_is_shown_empty(file: Path) -> None:
    assert open_settings(file).masked()["alerting"]["webhook"]["url"] == ""


@pytest.mark.parametrize(
    ("tree", "trusted"),
    [
        ({"control_plane": {"data_dir": "/elsewhere"}}, True),
        ({"data_plane": {"interface": "eth0"}}, True),
        ({"alerting": {"file_path": "/etc/cron.d/x"}}, False),
        ({"alerting": {"syslog": {"socket_path": "/run/x"}}}, False),
        ({"control_plane": {"token_file": "/etc/shadow"}}, False),
    ],
)
def test_what_the_api_may_not_change_is_refused(
    file: Path, tree: dict[str, Any], trusted: bool
) -> None:
    with pytest.raises(RefusedError):
        open_settings(file).update(tree, trusted=trusted)


def test_a_proven_caller_may_choose_the_alert_file(file: Path) -> None:
    settings = open_settings(file)

    settings.update({"alerting": {"file_path": "/tmp/alerts.json"}}, trusted=True)

    assert settings.running.alerting.file.path == "/tmp/alerts.json"


def test_reload_takes_a_good_file_and_keeps_the_old_values_on_a_bad_one(file: Path) -> None:
    settings = open_settings(file)
    before = settings.hash

    write(file, {"detection": {"cv_threshold": "wide"}})
    assert not settings.reload()
    assert settings.hash == before
    assert "detection.cv_threshold" in (settings.last_reload_error or "")

    write(file, {"detection": {"cv_threshold": 0.4}})
    assert settings.reload()
    assert settings.last_reload_error is None
    assert settings.running.detection.cv_threshold == 0.4


def test_a_change_that_cannot_be_applied_leaves_everything_as_it_was(file: Path) -> None:
    settings = open_settings(file)
    in_force: list[float] = []

    def apply(config: Config) -> None:
        in_force.append(config.detection.alert_threshold)
        if config.detection.alert_threshold > 0.8:
            raise OSError("no such device")

    settings.on_change(apply)

    with pytest.raises(OSError, match="no such device"):
        settings.update({"detection": {"alert_threshold": 0.9}}, trusted=False)

    assert in_force == [0.9, 0.7]
    assert settings.running.detection.alert_threshold == 0.7
    assert os.listdir(file.parent) == ["config.yaml"]  # noqa: PTH208
