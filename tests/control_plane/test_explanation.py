"""An explanation sees what the analyzer sees, and stores and tells nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from beacon_detect.config import load_config
from beacon_detect.control_plane.explanation import (
    Explained,
    explain,
    find_pair,
    subject_of,
    subject_of_finding,
    subject_of_pair,
)
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.control_plane.pair_choice import PairQuery
from beacon_detect.control_plane.settings import Settings
from beacon_detect.control_plane.storage import alert_store
from beacon_detect.errors import NotFoundError
from beacon_detect.records import SECOND, Kind
from live_server import beacon, noise
from patience import PATIENCE
from records_factory import make_header, make_records

SRC = "10.0.0.5"
CONFIG = """
control_plane: {data_dir: DIR, working_set_events: 10000}
detection: {analysis_interval: 3600}
alerting: {syslog_enabled: false, file_enabled: false}
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[ControlPlane]:
    file = tmp_path / "c.yaml"
    file.write_text(CONFIG.replace("DIR", str(tmp_path / "data")), "utf-8")
    with ControlPlane(Settings(load_config(file, environment={}), environment={})) as running:
        running.analyzer.request().result(
            PATIENCE
        )  # the pass of the start, so that none comes later
        yield running


def send(system: ControlPlane, *tables: pa.Table) -> None:
    for table in tables:
        system.store.append(make_header(), table).result(PATIENCE)


def analyzed(system: ControlPlane, *tables: pa.Table) -> None:
    send(system, *tables)
    system.analyzer.request().result(PATIENCE)


def explained(system: ControlPlane, dst: str, port: int | None = None) -> Explained:
    pair = find_pair(system, PairQuery(SRC, dst, port))
    return explain(system, subject_of_pair(system, pair), time.time_ns())


def test_what_a_pass_found_is_what_is_measured(system: ControlPlane) -> None:
    analyzed(system, beacon(jitter=0.2, dst="203.0.113.1"))

    done = explained(system, "203.0.113.1")

    assert done.finding is not None
    assert done.found is not None
    assert done.found.episodes.score[0] == done.finding.current_score
    assert done.assessment is not None
    assert (done.assessment.risk, done.evidence) == (done.finding.risk, done.finding.evidence)
    assert done.subject.id == done.finding.id


def waiting(system: ControlPlane) -> tuple[int, int, int]:
    """Return what waits for the next pass."""
    counters = system.working_set.counters
    return counters.events, counters.pairs, counters.dirty


def test_an_explanation_changes_nothing(system: ControlPlane) -> None:
    send(system, beacon(dst="203.0.113.1"))
    before = waiting(system)

    for _ in range(3):
        assert explained(system, "203.0.113.1").finding is None

    assert waiting(system) == before
    assert not system.analyzer.findings()
    assert not alert_store.list_alerts(system.store, limit=10)
    analyzed(system)
    assert len(system.analyzer.findings()) == 1


def test_events_have_the_wall_time_of_their_records(system: ControlPlane) -> None:
    """The clocks of two boots differ by different constants; intervals are of the steady one."""
    now = time.time_ns()
    wall = now - np.arange(40)[::-1] * 60 * SECOND
    steady = wall - np.where(np.arange(40) < 20, 1000, 5000) * SECOND
    send(system, make_records(40, time=wall, series_time=steady, dst="203.0.113.1"))

    done = explained(system, "203.0.113.1")

    order = np.argsort(steady)
    assert done.times.tolist() == steady[order].tolist()
    assert done.wall.tolist() == wall[order].tolist()


def test_what_memory_does_not_hold_is_read_from_the_disk(system: ControlPlane) -> None:
    send(system, beacon(dst="203.0.113.1"))
    system.working_set.forget(time.time_ns() + 1)

    done = explained(system, "203.0.113.1")

    assert done.found is not None
    assert done.found.events == 40


def test_a_finding_whose_records_are_gone_is_said_to_have_none(system: ControlPlane) -> None:
    analyzed(system, beacon(dst="203.0.113.1"))
    [finding] = system.analyzer.findings()
    future = time.time_ns() + 10**12
    system.working_set.forget(future)
    system.pairs.forget(future)
    system.store.transact(lambda c: c.execute("DELETE FROM record")).result(PATIENCE)

    done = explain(system, subject_of_finding(system, finding), time.time_ns())

    assert done.found is None
    assert done.subject.summary.dst == "203.0.113.1"
    assert done.subject.summary.connections == finding.connections


def test_of_two_series_of_a_pair_the_one_with_the_finding_is_explained(
    system: ControlPlane,
) -> None:
    analyzed(
        system,
        noise(60, dst="203.0.113.1"),
        beacon(30, kind=Kind.BURST, connection_id=[5] * 30, dst="203.0.113.1"),
    )

    done = explained(system, "203.0.113.1")

    assert done.subject.series == "bursts"
    assert done.verdict.flagged


def rotating(count: int) -> list[pa.Table]:
    """Return a beacon that goes to another address of one name each time."""
    now = time.time_ns()
    return [
        make_records(1, time=[now - (count - i) * 60 * SECOND], dst=f"203.0.113.{i % 12}", name="c2.example")
        for i in range(count)
    ]  # fmt: skip


def test_a_group_is_explained_as_one_series_and_its_pairs_name_it(system: ControlPlane) -> None:
    analyzed(system, *rotating(120))
    [group] = [f for f in system.analyzer.findings() if f.series == "name"]

    whole = explain(system, subject_of(system, group.id), time.time_ns())
    member = explained(system, "203.0.113.3")

    assert whole.found is not None
    assert whole.found.events == 120
    assert whole.found.episodes.score[0] == group.current_score
    assert (whole.subject.summary.addresses, whole.verdict.flagged) == (12, True)
    assert f"told together with others: finding {group.id}" in " ".join(member.verdict.why_not)
    assert "12 addresses of c2.example" in " ".join(member.verdict.why_not)


def test_a_pair_is_found_by_its_number_and_by_the_id_of_a_series_without_finding(
    system: ControlPlane,
) -> None:
    send(system, noise(dst="203.0.113.1"))
    pair = find_pair(system, PairQuery(SRC, "203.0.113.1"))
    subject = subject_of_pair(system, pair)

    for identifier in (subject.id, str(pair.pair_id)):
        found = subject_of(system, identifier)
        assert (found.key, found.kind) == (subject.key, subject.kind)


@pytest.mark.parametrize("identifier", ["", "0" * 16, "f" * 16, "9" * 30, "x", "²"])
def test_an_id_of_nothing_is_said_to_be_none(system: ControlPlane, identifier: str) -> None:
    with pytest.raises(NotFoundError, match="there is no beacon or pair"):
        subject_of(system, identifier)
