"""Parts start in stages and stop in reverse; each setting of a running server has its effect."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from beacon_detect.config import load_config
from beacon_detect.control_plane.alerts.manager import AlertManager
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.control_plane.settings import Settings
from beacon_detect.control_plane.storage.store import Store, StoreClosedError
from beacon_detect.errors import BeaconError
from beacon_detect.records import SECOND
from live_server import QUIET, beacon
from patience import PATIENCE, eventually
from records_factory import make_header, make_records


def make_settings(folder: Path, **sections: dict[str, Any]) -> Settings:
    """Return the settings of a file with ``sections`` and a data folder beside it."""
    tree: dict[str, dict[str, Any]] = {
        "control_plane": {"data_dir": str(folder / "data")},
        "detection": {"analysis_interval": 3600.0},
        "alerting": dict(QUIET),
    }
    for name, values in sections.items():
        tree.setdefault(name, {}).update(values)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(tree), "utf-8")
    return Settings(load_config(file, environment={}), environment={})


@contextmanager
def running(settings: Settings) -> Iterator[ControlPlane]:
    """Run a control plane; its first pass, which comes by itself, is over."""
    with ControlPlane(settings) as system:
        eventually(lambda: system.analyzer.state().runs, "the first pass")
        yield system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[ControlPlane]:
    with running(make_settings(tmp_path)) as system:
        yield system


def send(system: ControlPlane, table: Any, **header: Any) -> None:
    system.store.append(make_header(**header), table).result(PATIENCE)


def change(system: ControlPlane, **sections: dict[str, Any]) -> None:
    system.settings.update(sections, trusted=True)


def test_what_is_acknowledged_is_in_every_summary(system: ControlPlane) -> None:
    send(system, beacon(40))

    assert len(system.pairs) == 1
    assert system.working_set.counters.events == 40
    assert system.analyzer.request().result(PATIENCE).new


def test_memory_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with running(settings) as system:
        send(system, beacon(40))
        system.analyzer.request().result(PATIENCE)
        [pair], _ = system.pairs.top(10)
        [found] = system.analyzer.findings()

    with running(settings) as system:
        assert system.pairs.top(10) == ([pair], 1)
        assert system.working_set.counters.events == 40
        assert [f.id for f in system.analyzer.findings()] == [found.id]


def test_a_part_that_cannot_start_stops_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Store] = []
    real_open = Store.open

    def remember(*arguments: Any, **options: Any) -> Store:
        opened.append(real_open(*arguments, **options))
        return opened[-1]

    def refuse(*_: Any) -> None:
        raise BeaconError("no channel today")

    monkeypatch.setattr(Store, "open", remember)
    monkeypatch.setattr(AlertManager, "start", refuse)
    before = set(threading.enumerate())

    with pytest.raises(BeaconError, match="no channel today"):
        ControlPlane(make_settings(tmp_path))

    with pytest.raises(StoreClosedError):
        opened[0].append(make_header(), beacon(1))
    assert set(threading.enumerate()) <= before


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with ControlPlane(make_settings(tmp_path)):
        pass

    assert set(threading.enumerate()) <= before


def test_records_past_data_retention_are_deleted_at_each_cleanup(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path, control_plane={"data_retention": 3600, "cleanup_interval": 1}
    )
    with running(settings) as system:
        old = time.time_ns() - 7200 * SECOND
        send(system, make_records(3, time=[old] * 3, dst="203.0.113.1"))
        send(system, make_records(2, time=[time.time_ns()] * 2, dst="203.0.113.2"))

        eventually(lambda: system.store.statistics().records == 2)
        eventually(lambda: len(system.pairs) == 1)
        eventually(lambda: system.working_set.counters.events == 2)


def test_a_shorter_cleanup_interval_holds_at_once(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path, control_plane={"data_retention": 3600, "cleanup_interval": 86_400}
    )
    with running(settings) as system:
        old = time.time_ns() - 7200 * SECOND
        eventually(lambda: system.cleanup.runs > 0)
        send(system, make_records(3, time=[old] * 3))
        assert system.store.statistics().records == 3

        change(system, control_plane={"cleanup_interval": 1})

        eventually(lambda: system.store.statistics().records == 0)


def test_findings_outlive_their_records(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path, control_plane={"data_retention": 86_400, "cleanup_interval": 1}
    )
    with running(settings) as system:
        send(system, beacon(40, ended=7200.0))
        system.analyzer.request().result(PATIENCE)
        [before] = system.analyzer.findings()

        change(system, control_plane={"data_retention": 3600})

        eventually(lambda: system.store.statistics().records == 0)
        system.analyzer.request().result(PATIENCE)
        assert list(system.analyzer.findings()) == [before]
        assert system.detected() == [before]


def test_series_length_bounds_what_is_analyzed(system: ControlPlane) -> None:
    send(system, beacon(100))

    change(system, control_plane={"series_length": 32})

    assert system.working_set.counters.events == 32
    assert system.working_set.counters.dropped["series_length"] == 68


def test_working_set_events_bounds_all_series(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, control_plane={"working_set_events": 10_000})
    with running(settings) as system:
        for number in range(12):
            send(system, beacon(1000, interval=1.0, dst=f"203.0.113.{number}"))
        system.analyzer.request().result(PATIENCE)

        assert system.working_set.counters.events <= 10_000
        assert system.store.statistics().records == 12_000


def test_memory_limit_mb_bounds_the_database(tmp_path: Path) -> None:
    with ControlPlane(make_settings(tmp_path, control_plane={"memory_limit_mb": 128})) as system:
        [row] = system.store.query("SELECT current_setting('memory_limit') AS limit_").to_pylist()

    assert row["limit_"] == "128.0 MiB"


def test_data_dir_is_where_everything_is_kept(tmp_path: Path, system: ControlPlane) -> None:
    change(system, detection={"alert_threshold": 0.8})

    kept = {path.name for path in (tmp_path / "data").iterdir()}

    assert {"beacon-detect.duckdb", "config-overrides.yaml"} <= kept


def test_the_analysis_interval_sets_the_pace(system: ControlPlane) -> None:
    runs = eventually(lambda: system.analyzer.state().runs)

    change(system, detection={"analysis_interval": 0.5})

    eventually(lambda: system.analyzer.state().runs >= runs + 2)


def test_a_lower_alert_threshold_alerts_from_the_next_pass_on(system: ControlPlane) -> None:
    change(system, detection={"alert_threshold": 1.0})
    send(system, beacon(40, jitter=0.15))
    system.analyzer.request().result(PATIENCE)
    assert system.detected() == []

    change(system, detection={"alert_threshold": 0.5})
    send(system, beacon(1))
    system.analyzer.request().result(PATIENCE)

    assert len(system.detected()) == 1
    rows = system.store.query("SELECT count(*) AS alerts FROM alert").to_pylist()
    assert rows == [{"alerts": 1}]


def test_the_log_level_is_changed_while_running(system: ControlPlane) -> None:
    root = logging.getLogger()
    before = root.level
    try:
        change(system, logging={"level": "error"})
        assert root.level == logging.ERROR
    finally:
        root.setLevel(before)


def test_changed_channels_are_used_from_the_next_alert_on(
    system: ControlPlane, tmp_path: Path
) -> None:
    file = tmp_path / "alerts.json"

    change(system, alerting={"file_enabled": True, "file_path": str(file)})
    send(system, beacon(40))
    system.analyzer.request().result(PATIENCE)

    eventually(lambda: file.is_file() and file.read_text("utf-8").count("\n") == 1)
