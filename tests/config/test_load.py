"""Loading: precedence, origins, the search for the file, and every documented spelling."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from beacon_detect.config.environment import variable_name
from beacon_detect.config.load import (
    OVERRIDES_NAME,
    SEARCH_PATH,
    find_config_file,
    load_config,
    load_effective,
    parse_update,
    validate_tree,
)
from beacon_detect.config.schema import Config, settings
from beacon_detect.errors import ConfigError, PermissionMissingError

DOCUMENTED = """
data_plane:
  interface: "eth0"
  export_interval: 120
  control_plane_host: "127.0.0.1"
  control_plane_port: 9090
  max_buffer_size: 500000
  ring_buffer_pages: 128

control_plane:
  listen_address: "0.0.0.0"
  listen_port: 9090
  data_retention: 3600
  cleanup_interval: 120

detection:
  min_connections: 10
  cv_threshold: 0.15
  alert_threshold: 0.7
  jitter_threshold: 5.0
  analysis_interval: 60

alerting:
  syslog_enabled: true
  file_enabled: true
  file_path: "/var/log/beacon-detect/alerts.json"
  webhook_enabled: false
  webhook_url: ""

whitelist:
  source_ips: []
  destination_ips:
    - "8.8.8.8"
    - "8.8.4.4"
    - "1.1.1.1"
  ports:
    - 53
    - 123
    - 67
    - 68
  pairs:
    - "10.0.0.5:169.254.169.254:80"
"""


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    return path


def get(config: Config, path: tuple[str, ...]) -> Any:
    value: Any = config
    for part in path:
        value = getattr(value, part)
    return value


def test_every_documented_name_is_accepted_as_documented(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "c.yaml", DOCUMENTED), environment={}).config

    assert config.data_plane.interface == "eth0"
    assert config.data_plane.export_interval == 120
    assert config.data_plane.max_buffer_size == 500_000
    assert config.data_plane.ring_buffer_pages == 128
    assert config.control_plane.listen_address == "0.0.0.0"
    assert config.control_plane.data_retention == 3600
    assert config.control_plane.cleanup_interval == 120
    assert config.detection == Config().detection
    assert config.alerting == Config().alerting
    assert config.whitelist.destination_ips == ["8.8.8.8", "8.8.4.4", "1.1.1.1"]
    assert config.whitelist.destination_ports == [53, 123, 67, 68]
    assert config.whitelist.pairs == ["10.0.0.5:169.254.169.254:80"]


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_both_forms_of_alerting_mean_the_same(tmp_path: Path, form: str) -> None:
    flat = {
        "syslog_enabled": False,
        "file_enabled": False,
        "file_path": "/tmp/alerts.json",
        "webhook_enabled": True,
        "webhook_url": "https://example.org/hook",
    }
    nested = {
        "syslog": {"enabled": False},
        "file": {"enabled": False, "path": "/tmp/alerts.json"},
        "webhook": {"enabled": True, "url": "https://example.org/hook"},
    }
    tree = {"alerting": flat if form == "flat" else nested}
    alerting = load_config(write(tmp_path / "c.yaml", tree), environment={}).config.alerting

    assert (alerting.syslog.enabled, alerting.file.enabled) == (False, False)
    assert alerting.file.path == "/tmp/alerts.json"
    assert (alerting.webhook.enabled, alerting.webhook.url) == (True, "https://example.org/hook")


def test_both_forms_at_once_with_two_values_are_refused(tmp_path: Path) -> None:
    tree = "alerting:\n  file:\n    path: /a\n  file_path: /b\n"
    with pytest.raises(ConfigError, match=r"c.yaml:4:3: alerting.file_path: also set as"):
        load_config(write(tmp_path / "c.yaml", tree), environment={})


@given(st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
def test_environment_beats_overrides_beat_the_file(
    tmp_path_factory: pytest.TempPathFactory, any_tree: Any, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("layers")
    low, high = data.draw(any_tree), data.draw(any_tree)
    interval = data.draw(st.none() | st.integers(1, 100))
    environment = {"BEACON_DETECT_DETECTION__ANALYSIS_INTERVAL": str(interval)} if interval else {}
    loaded = load_config(
        write(folder / "low.yaml", low),
        overrides=write(folder / "high.yaml", high),
        environment=environment,
    )
    layers = {"low.yaml": validate_tree(low), "high.yaml": validate_tree(high)}
    for path, info in settings():
        if info.json_schema_extra["secret"]:
            continue  # headers merge key by key: the test below
        origin = loaded.origin(path)
        value = get(loaded.config, path)
        if interval and path == ("detection", "analysis_interval"):
            assert (value, origin) == (interval, f"environment variable {variable_name(path)}")
        elif origin == "default":
            assert value == get(Config(), path)
        else:
            source = origin.rpartition("/")[2].partition(":")[0]
            assert value == get(layers[source], path)
            assert source == "high.yaml" or not holds(high, path)


def test_headers_of_two_layers_are_sent_together(tmp_path: Path) -> None:
    def headers(**entries: str) -> dict[str, Any]:
        return {"alerting": {"webhook": {"headers": entries}}}

    loaded = load_config(
        write(tmp_path / "low.yaml", headers(A="1", B="2")),
        overrides=write(tmp_path / "high.yaml", headers(B="3")),
        environment={},
    )

    assert loaded.config.alerting.webhook.headers == {"A": "1", "B": "3"}


def holds(tree: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if part not in tree:
            return False
        tree = tree[part]
    return True


def test_every_value_tells_where_it_was_set(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "detection:\n  cv_threshold: 0.2\nwhitelist:\n  ports: [1]\n")
    environment = {"BEACON_DETECT_ALERTING__FILE_PATH": "/a"}
    loaded = load_config(file, environment=environment)

    assert loaded.file == file
    assert loaded.origin(("detection", "cv_threshold")) == f"{file}:2:17"
    assert loaded.origin(("whitelist", "destination_ports")) == f"{file}:4:10"
    assert loaded.origin(("alerting", "file", "path")) == (
        "environment variable BEACON_DETECT_ALERTING__FILE_PATH"
    )
    assert loaded.origin(("detection", "min_connections")) == "default"


def test_the_search_goes_variable_checkout_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    machine = write(tmp_path / "etc.yaml", "detection: {min_connections: 6}")
    monkeypatch.setattr("beacon_detect.config.load.SEARCH_PATH", (SEARCH_PATH[0], machine))

    assert find_config_file({}) == machine
    (tmp_path / "config").mkdir()
    write(tmp_path / "config" / "config.yaml", "detection: {min_connections: 7}")
    assert find_config_file({}) == Path("config/config.yaml")
    assert load_config(environment={}).config.detection.min_connections == 7
    named = {"BEACON_DETECT_CONFIG": str(write(tmp_path / "n.yaml", "logging: {level: error}"))}
    assert load_config(environment=named).config.logging.level == "error"
    assert load_config(machine, environment=named).config.detection.min_connections == 6


def test_the_documented_places_are_searched() -> None:
    assert [str(path) for path in SEARCH_PATH] == [
        "config/config.yaml",
        "/etc/beacon-detect/config.yaml",
    ]


def test_without_any_file_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("beacon_detect.config.load.SEARCH_PATH", SEARCH_PATH[:1])
    loaded = load_config(environment={})

    assert (loaded.file, loaded.config) == (None, Config())


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(environment={"BEACON_DETECT_CONFIG": str(tmp_path / "none.yaml")})


def test_a_place_that_cannot_be_looked_at_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_name = tmp_path / ("n" * 300)
    monkeypatch.setattr("beacon_detect.config.load.SEARCH_PATH", (long_name,))
    with pytest.raises(ConfigError, match="cannot be looked at"):
        find_config_file({})


def test_the_effective_configuration_holds_what_the_api_changed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = write(tmp_path / "c.yaml", {"control_plane": {"data_dir": str(data)}})

    assert load_effective(file, environment={}).config.detection.min_connections == 10
    data.mkdir()
    write(data / OVERRIDES_NAME, {"detection": {"min_connections": 20}})
    loaded = load_effective(file, environment={})
    assert loaded.config.detection.min_connections == 20
    assert OVERRIDES_NAME in loaded.origin(("detection", "min_connections"))


def test_changes_that_cannot_be_looked_at_are_not_passed_over(tmp_path: Path) -> None:
    beyond = tmp_path / ("n" * 300) / OVERRIDES_NAME

    with pytest.raises(PermissionMissingError, match="cannot be read by this user") as error:
        load_config(write(tmp_path / "c.yaml", ""), overrides=beyond, environment={})
    assert "data_dir" in error.value.hint


def test_an_update_is_taken_in_any_spelling() -> None:
    update = {"alerting": {"file_path": "/a"}, "whitelist": {"ports": [1]}}

    assert parse_update(update) == {
        "alerting": {"file": {"path": "/a"}},
        "whitelist": {"destination_ports": [1]},
    }
    assert update["whitelist"] == {"ports": [1]}


def test_a_tree_without_places_is_refused_by_key() -> None:
    with pytest.raises(ConfigError, match=r"^detection.cv_threshold: must be a number"):
        validate_tree({"detection": {"cv_threshold": "x"}})


def test_the_environment_of_this_process_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEACON_DETECT_DETECTION__MIN_CONNECTIONS", "11")
    file = write(tmp_path / "c.yaml", "")

    assert os.environ["BEACON_DETECT_DETECTION__MIN_CONNECTIONS"] == "11"
    assert load_config(file).config.detection.min_connections == 11
