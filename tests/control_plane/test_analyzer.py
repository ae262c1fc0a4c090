"""A pass over real parts: what it finds is saved with its alerts, what fails stays due."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from beacon_detect.config import Config
from beacon_detect.control_plane import analyzer as analyzer_module
from beacon_detect.control_plane.alerts.manager import AlertManager
from beacon_detect.control_plane.analyzer import AnalysisFailedError, Analyzer, Pass
from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.storage import alert_store, finding_store
from beacon_detect.control_plane.storage.store import CommittedBatch, Store
from beacon_detect.control_plane.whitelist import Whitelist
from beacon_detect.control_plane.working_set import WorkingSet
from beacon_detect.records import SECOND, Kind
from live_server import beacon, noise
from patience import PATIENCE, eventually
from records_factory import make_header

QUIET: dict[str, Any] = {"syslog": {"enabled": False}, "file": {"enabled": False}}


class Bench:
    """The analyzer with the parts around it, without server and threads of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = Config.model_validate({"alerting": QUIET})
        self.working_set = WorkingSet(max_events=100_000, series_length=1024)
        self.pairs = PairTable()
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.folder, memory_limit_mb=128, on_commit=self.committed)
        self.alerts = AlertManager(self.store, self.config.alerting, 0.7)
        self.analyzer = Analyzer(
            store=self.store,
            working_set=self.working_set,
            pairs=self.pairs,
            alerts=self.alerts,
            config=lambda: self.config,
            whitelist=lambda: Whitelist(self.config.whitelist),
        )

    def committed(self, batches: list[CommittedBatch]) -> None:
        for batch in batches:
            self.working_set.add(batch.pair_ids, batch.table)
            self.pairs.add(batch)

    def set(self, **sections: dict[str, Any]) -> None:
        tree = self.config.model_dump()
        for name, values in sections.items():
            tree[name] |= values
        self.config = Config.model_validate(tree)

    def send(self, table: pa.Table) -> None:
        self.store.append(make_header(), table).result()

    def alerted(self) -> list[str]:
        return [found.alert.finding_id for found in alert_store.list_alerts(self.store, limit=100)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def test_a_beacon_is_found_with_its_interval_and_random_traffic_is_not(bench: Bench) -> None:
    bench.send(beacon(interval=60.0, jitter=0.1, dst="203.0.113.50"))
    bench.send(noise(dst="203.0.113.51"))

    done = bench.analyzer.run_pass()

    [finding] = bench.analyzer.findings()
    assert (finding.dst, finding.process) == ("203.0.113.50", "curl")
    assert finding.interval == pytest.approx(60.0, rel=0.05)
    assert finding.score >= 0.7
    assert (done.run, done.pairs, done.beacons, done.new) == (1, 2, 1, [finding.id])
    assert bench.analyzer.finding(finding.id) == finding


def test_bursts_in_a_connection_that_stays_open_are_a_series_of_their_own(bench: Bench) -> None:
    bench.send(beacon(kind=Kind.BURST, connection_id=[1] * 40))

    bench.analyzer.run_pass()

    [finding] = bench.analyzer.findings()
    assert finding.series == "bursts"


def test_finding_and_alert_are_stored_together(bench: Bench) -> None:
    bench.send(beacon())

    bench.analyzer.run_pass()

    [finding] = finding_store.load(bench.store)
    assert bench.alerted() == [finding.id]


def test_only_pairs_with_new_records_are_analyzed_again(bench: Bench) -> None:
    bench.send(beacon(dst="203.0.113.50"))
    bench.send(beacon(dst="203.0.113.51"))
    assert bench.analyzer.run_pass().pairs == 2

    bench.send(beacon(1, dst="203.0.113.51"))

    assert bench.analyzer.run_pass().pairs == 1
    assert bench.analyzer.run_pass().pairs == 0


def test_fewer_events_than_min_connections_wait(bench: Bench) -> None:
    bench.set(detection={"min_connections": 41})
    bench.send(beacon(40))
    assert bench.analyzer.run_pass().pairs == 0

    bench.set(detection={"min_connections": 40})

    assert bench.analyzer.run_pass().new


def test_a_lower_finding_threshold_keeps_more(bench: Bench) -> None:
    bench.send(noise())
    assert bench.analyzer.run_pass().new == []

    bench.set(detection={"finding_threshold": 0.0})
    bench.send(noise())

    assert len(bench.analyzer.run_pass().new) == 1


@pytest.mark.parametrize(
    ("setting", "strict", "loose"), [("cv_threshold", 0.01, 1.0), ("jitter_threshold", 0.1, 60.0)]
)
def test_the_thresholds_of_the_scores_have_their_effect(
    bench: Bench, setting: str, strict: float, loose: float
) -> None:
    scores = []
    for number, value in enumerate((strict, loose)):
        bench.set(detection={setting: value, "finding_threshold": 0.0})
        bench.send(beacon(interval=60.0, jitter=0.3, dst=f"203.0.113.{number}"))
        [new] = bench.analyzer.run_pass().new
        finding = bench.analyzer.finding(new)
        assert finding is not None
        scores.append(finding.base_score)

    assert scores[0] < scores[1]


def test_weighted_scoring_makes_the_base_score_the_score(bench: Bench) -> None:
    bench.set(detection={"scoring": "weighted"})
    bench.send(beacon(interval=60.0, jitter=0.3))
    bench.set(detection={"scoring": "weighted", "finding_threshold": 0.0})
    bench.send(beacon(interval=60.0, jitter=0.3, dst="203.0.113.9"))
    bench.analyzer.run_pass()

    assert bench.analyzer.findings()
    assert all(f.score == pytest.approx(f.base_score) for f in bench.analyzer.findings())


def test_the_weights_decide_what_the_base_score_is_made_of(bench: Bench) -> None:
    only = {"cv": 0.0, "periodicity": 0.0, "jitter": 0.0}
    for number, name in enumerate(only):
        bench.set(detection={"finding_threshold": 0.0, "weights": only | {name: 3.0}})
        bench.send(beacon(interval=60.0, jitter=0.3, dst=f"203.0.113.{number}"))

        [new] = bench.analyzer.run_pass().new

        finding = bench.analyzer.finding(new)
        assert finding is not None
        assert finding.base_score == getattr(finding, f"{name}_score")
        assert finding.base_score not in {
            getattr(finding, f"{other}_score") for other in only if other != name
        }


def test_whitelisted_pairs_become_findings_but_alert_nobody(bench: Bench) -> None:
    bench.set(whitelist={"destination_ips": ["203.0.113.0/24"]})
    bench.send(beacon(dst="203.0.113.50"))

    done = bench.analyzer.run_pass()

    assert (done.beacons, done.new) == (0, [])
    assert len(bench.analyzer.findings()) == 1
    assert bench.alerted() == []


def test_a_failed_pass_is_counted_shown_and_made_up_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.send(beacon())

    def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(finding_store, "save", broken)
        with pytest.raises(AnalysisFailedError, match="disk full"):
            bench.analyzer.run_pass()

    state = bench.analyzer.state()
    assert (state.runs, state.failures, state.last_error) == (1, 1, "disk full")
    assert bench.analyzer.findings() == ()
    assert bench.alerted() == []

    assert len(bench.analyzer.run_pass().new) == 1
    assert bench.analyzer.state().last_error == ""


def test_findings_survive_a_restart_and_keep_what_they_reached(bench: Bench) -> None:
    bench.send(beacon())
    bench.analyzer.run_pass()
    before = bench.analyzer.findings()
    bench.store.close()

    bench.open()

    assert bench.analyzer.findings() == before
    assert bench.analyzer.run_pass().new == []
    assert len(bench.alerted()) == 1


def test_more_findings_than_the_bound_drop_the_lowest_and_count_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyzer_module, "MAX_FINDINGS", 2)
    bench.set(detection={"finding_threshold": 0.0})
    for number, jitter in enumerate((0.0, 0.4, 0.8)):
        bench.send(beacon(jitter=jitter, dst=f"203.0.113.{number}"))

    bench.analyzer.run_pass()

    assert [finding.dst for finding in bench.analyzer.findings()] == ["203.0.113.0", "203.0.113.1"]
    assert {finding.dst for finding in finding_store.load(bench.store)} == {
        "203.0.113.0",
        "203.0.113.1",
    }
    assert bench.analyzer.state().findings_dropped == 1


def test_findings_past_retention_are_gone_from_memory_and_store_their_alerts_are_not(
    bench: Bench,
) -> None:
    bench.send(beacon(ended=3 * 86_400.0, dst="203.0.113.1"))
    bench.send(beacon(dst="203.0.113.2"))
    bench.analyzer.run_pass()
    _, old = sorted(bench.analyzer.findings(), key=lambda f: -f.last_seen)

    bench.set(control_plane={"finding_retention": 2 * 86_400})
    bench.analyzer.run_pass()

    assert [finding.dst for finding in bench.analyzer.findings()] == ["203.0.113.2"]
    assert bench.analyzer.finding(old.id) is None
    assert [finding.dst for finding in finding_store.load(bench.store)] == ["203.0.113.2"]
    assert old.id in bench.alerted()


@pytest.mark.parametrize(
    ("finding_retention", "data_retention", "kept"),
    [(2_592_000, 86_400, False), (0, 86_400, True), (60, 50 * 86_400, True)],
    ids=["the default is a month", "0 keeps them", "not before their records"],
)
def test_how_long_a_silent_finding_is_kept(
    bench: Bench, finding_retention: int, data_retention: int, kept: bool
) -> None:
    bench.set(
        control_plane={"finding_retention": finding_retention, "data_retention": data_retention}
    )
    bench.send(beacon(ended=31 * 86_400.0))
    bench.analyzer.run_pass()
    bench.analyzer.run_pass()

    assert bool(bench.analyzer.findings()) == kept


def test_a_pass_works_through_many_series_in_bounded_pieces(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyzer_module, "CHUNK_EVENTS", 50)
    for number in range(5):
        bench.send(beacon(dst=f"203.0.113.{number}"))

    assert len(bench.analyzer.run_pass().new) == 5


def test_requests_before_a_pass_share_it_and_later_ones_get_their_own(bench: Bench) -> None:
    bench.set(detection={"analysis_interval": 3600.0})
    first, second = bench.analyzer.request(), bench.analyzer.request()
    assert first is second
    bench.analyzer.start()

    assert first.result(PATIENCE).run == 1
    assert bench.analyzer.request().result(PATIENCE).run == 2
    assert bench.analyzer.stop(PATIENCE)


def test_a_request_that_a_starting_pass_takes_makes_no_further_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.set(detection={"analysis_interval": 3600.0})
    make_pass = bench.analyzer._periodic._work
    asked: queue.Queue[Future[Pass]] = queue.Queue()

    def asked_at_the_last_moment() -> None:
        if asked.empty():
            asked.put(bench.analyzer.request())
        make_pass()

    monkeypatch.setattr(bench.analyzer._periodic, "_work", asked_at_the_last_moment)
    bench.analyzer.start()
    eventually(lambda: bench.analyzer.state().runs)

    assert asked.queue[0].result(PATIENCE).run == 1
    assert bench.analyzer.request().result(PATIENCE).run == 2
    assert bench.analyzer.stop(PATIENCE)
    assert bench.analyzer.state().runs == 2


def test_the_interval_sets_the_pace(bench: Bench) -> None:
    bench.set(detection={"analysis_interval": 3600.0})
    bench.analyzer.start()
    eventually(lambda: bench.analyzer.state().runs == 1)
    bench.set(detection={"analysis_interval": 0.5})
    bench.analyzer.reschedule()

    eventually(lambda: bench.analyzer.state().runs >= 3)
    assert bench.analyzer.stop(PATIENCE)


def test_a_request_that_waits_while_the_server_stops_is_told(bench: Bench) -> None:
    asked = bench.analyzer.request()

    assert bench.analyzer.stop(PATIENCE)

    with pytest.raises(AnalysisFailedError, match="stopping"):
        asked.result(PATIENCE)


def test_records_that_arrive_during_passes_are_never_missed(bench: Bench) -> None:
    bench.set(detection={"analysis_interval": 0.5})
    bench.analyzer.start()
    tables = [beacon(20, dst=f"203.0.113.{n}") for n in range(20)]
    sender = threading.Thread(target=lambda: [bench.send(table) for table in tables])
    sender.start()
    sender.join()

    bench.analyzer.request().result(PATIENCE)

    assert len(bench.analyzer.findings()) == 20
    assert bench.analyzer.stop(PATIENCE)


def test_a_return_after_silence_is_noted(bench: Bench) -> None:
    bench.send(beacon(ended=7200.0))
    bench.analyzer.run_pass()
    [before] = bench.analyzer.findings()
    assert before.state(time.time_ns()) == "silent"

    bench.send(beacon(3))
    bench.analyzer.run_pass()

    [after] = bench.analyzer.findings()
    assert after.state(time.time_ns()) == "active"
    assert after.returned_at > before.last_seen + 3600 * SECOND


def clock(**columns: Any) -> pa.Table:
    """Return what a time client does: perfect timing that explains itself."""
    return beacon(dst="192.0.2.1", dst_port=123, protocol=17, process="", executable="", **columns)


def test_context_keeps_a_time_client_from_alerting_however_regular(bench: Bench) -> None:
    bench.set(whitelist={"destination_ports": []})
    bench.send(clock())
    bench.send(beacon(dst="203.0.113.50", executable="/tmp/x"))

    done = bench.analyzer.run_pass()

    implant, timer = bench.analyzer.findings()
    assert (implant.dst_port, timer.dst_port) == (443, 123)
    assert timer.score >= 0.9 > 0.5 > timer.risk
    assert (timer.severity, timer.reasons[0].rule) == ("LOW", "infrastructure")
    assert implant.risk > implant.score
    assert bench.alerted() == [implant.id]
    assert done.beacons == 1


def test_changed_rules_weigh_old_findings_again_at_the_next_pass(bench: Bench) -> None:
    bench.set(whitelist={"destination_ports": []})
    bench.send(clock())
    bench.analyzer.run_pass()
    assert bench.alerted() == []

    bench.set(context={"enabled": False})
    bench.analyzer.run_pass()

    [timer] = bench.analyzer.findings()
    assert (timer.risk, timer.reasons) == (timer.score, ())
    assert finding_store.load(bench.store) == [timer]
    assert bench.alerted() == [timer.id]
