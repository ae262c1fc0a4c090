"""The schema holds every documented setting and describes each of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from beacon_detect.config.schema import (
    Config,
    secret_paths,
    section_paths,
    settings,
)

DOCUMENTED_DEFAULTS = {
    "data_plane.interface": "",
    "data_plane.control_plane_host": "127.0.0.1",
    "data_plane.control_plane_port": 9090,
    "control_plane.listen_address": "127.0.0.1",
    "control_plane.listen_port": 9090,
    "control_plane.data_retention": 86_400,
    "detection.min_connections": 10,
    "detection.cv_threshold": 0.15,
    "detection.alert_threshold": 0.7,
    "detection.jitter_threshold": 5.0,
    "detection.analysis_interval": 60.0,
    "whitelist.destination_ports": [53, 123],
}


def value_at(config: Config, path: str) -> object:
    value: object = config
    for part in path.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("path", "default"), list(DOCUMENTED_DEFAULTS.items()))
def test_documented_defaults_hold(path: str, default: object) -> None:
    assert value_at(Config(), path) == default


@pytest.mark.parametrize(("path", "info"), list(settings()), ids=lambda value: str(value)[:40])
def test_every_setting_says_what_it_means_and_in_which_unit(
    path: tuple[str, ...], info: object
) -> None:
    assert getattr(info, "description", "")
    if path[-1].endswith(("interval", "timeout", "idle", "age", "backoff", "cooldown")):
        assert info.json_schema_extra["unit"] == "seconds"  # type: ignore[attr-defined]


def test_sections_and_secrets_are_known_by_path() -> None:
    assert {("detection",), ("alerting", "syslog")} <= section_paths()
    assert secret_paths() == {("alerting", "webhook", "url"), ("alerting", "webhook", "headers")}


def test_a_ring_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValidationError, match="power of two"):
        Config.model_validate({"data_plane": {"ring_buffer_pages": 65}})


def test_a_webhook_without_a_url_is_refused() -> None:
    with pytest.raises(ValidationError, match="url is empty"):
        Config.model_validate({"alerting": {"webhook": {"enabled": True}}})


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::", "0.0.0.0"])
def test_a_listener_has_an_address(address: str) -> None:
    config = Config.model_validate({"control_plane": {"listen_address": address}})

    assert config.control_plane.listen_address == address


def test_a_listener_address_is_no_name() -> None:
    with pytest.raises(ValidationError, match="IP address"):
        Config.model_validate({"control_plane": {"listen_address": "example.org"}})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_listener_on_loopback_is_local(address: str) -> None:
    assert Config.model_validate(
        {"control_plane": {"listen_address": address}}
    ).control_plane.is_local


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_any_other_listener_is_not_local(address: str) -> None:
    config = Config.model_validate({"control_plane": {"listen_address": address}})

    assert not config.control_plane.is_local
