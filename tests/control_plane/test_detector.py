"""Findings are kept, updated and told apart; what was once a beacon never vanishes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis.types import Abstention, Results, SeriesBatch
from beacon_detect.control_plane.detector import Judgement, judge
from beacon_detect.control_plane.findings import Finding, finding_ids
from beacon_detect.control_plane.pairs import PairSummary
from beacon_detect.control_plane.working_set import SeriesGroup
from beacon_detect.records import SECOND

NOW = 1_790_000_000 * SECOND
MINUTE = 60 * SECOND
FURTHER = ("configured_sleep", "false_alarm", "size_out", "size_in")


def group(times: list[int], *, pair_id: int = 7, kind: int = 0) -> SeriesGroup:
    batch = SeriesBatch.from_lists([np.array(times, np.int64)])
    return SeriesGroup(np.array([pair_id], np.uint64), np.array([kind], np.uint8), batch)


def results(score: float, **fields: float) -> Results:
    values = {"base_score": score, "cv_score": score, "periodicity_score": score} | fields
    floats = {name: np.array([value]) for name, value in values.items() if name != "abstained"}
    rest = {name: np.array([0.5]) for name in ("jitter_score", "jitter", "cv", *FURTHER)}
    defaults = {"interval": np.array([60.0]), "dominant_period": np.array([60.0])}
    counts = {name: np.array([1]) for name in ("missed", "episodes")}
    counts["check_ins"] = np.array([10])
    return Results(
        score=np.array([score]),
        connections_per_check_in=np.array([1.0]),
        abstained=np.array([int(fields.get("abstained", Abstention.NONE))]),
        **(rest | defaults | floats | counts),
    )


def summary(**fields: Any) -> PairSummary:
    known = PairSummary(
        pair_id=7,
        src="10.0.0.5",
        dst="203.0.113.7",
        dst_port=443,
        protocol=6,
        connections=10,
        first_seen=NOW - 10 * MINUTE,
        last_seen=NOW,
        bytes_out=1000,
        bytes_in=2000,
        pid=4711,
        process="implant",
        executable="/tmp/implant",
        container="",
        name="",
        sensor="sensor-1",
        direction="outbound",
    )
    return replace(known, **fields)


def one_pass(
    score: float,
    *,
    previous: Finding | None = None,
    times: list[int] | None = None,
    now: int = NOW,
    fields: dict[str, float] | None = None,
    **known: Any,
) -> Judgement:
    times = times or [NOW - i * MINUTE for i in reversed(range(10))]
    return judge(
        group(times),
        results(score, **(fields or {})),
        describe=lambda _pair_id: summary(**known),
        explain=lambda measured, row, events: f"score {measured.score[row]} of {events}",
        previous={previous.id: previous} if previous else {},
        threshold=0.5,
        now_ns=now,
    )


def found(score: float = 0.9, **options: Any) -> Finding:
    [finding] = one_pass(score, **options).findings
    return finding


def test_a_series_over_the_threshold_becomes_a_finding_with_all_that_is_known() -> None:
    judgement = one_pass(0.9)
    [finding] = judgement.findings

    assert judgement.new == [finding.id]
    assert finding.id == finding_ids(np.array([7], np.uint64), np.array([0]))[0]
    assert (finding.src, finding.dst, finding.dst_port) == ("10.0.0.5", "203.0.113.7", 443)
    assert finding.protocol == "TCP"
    assert finding.series == "connections"
    assert (finding.score, finding.current_score, finding.severity) == (0.9, 0.9, "CRITICAL")
    assert (finding.interval, finding.check_ins, finding.missed) == (60.0, 10, 1)
    assert (finding.connections, finding.bytes_out, finding.bytes_in) == (10, 1000, 2000)
    assert (finding.process, finding.pid, finding.sensor) == ("implant", 4711, "sensor-1")
    assert (finding.detected_at, finding.updated_at) == (NOW, NOW)
    assert finding.evidence == "score 0.9 of connections"


@pytest.mark.parametrize(
    ("kind", "series", "addresses", "evidence"),
    [
        (1, "bursts", 1, "bursts inside open connections; score 0.9 of bursts"),
        (2, "name", 8, "rotates over 8 addresses of c2.example; score 0.9 of connections"),
        (3, "process", 8, "rotates over 8 addresses of c2.example; score 0.9 of connections"),
        (2, "name", 1, "all services of c2.example together; score 0.9 of connections"),
    ],
)
def test_what_is_not_the_connections_of_a_pair_is_said_so(
    kind: int, series: str, addresses: int, evidence: str
) -> None:
    [finding] = judge(
        group([NOW - i * MINUTE for i in reversed(range(10))], kind=kind),
        results(0.9),
        describe=lambda _pair_id: summary(name="c2.example", addresses=addresses),
        explain=lambda measured, row, events: f"score {measured.score[row]} of {events}",
        previous={},
        threshold=0.5,
        now_ns=NOW,
    ).findings

    assert (finding.series, finding.addresses, finding.evidence) == (series, addresses, evidence)


def test_what_another_series_says_as_well_makes_no_new_finding_but_updates_an_old_one() -> None:
    def told(previous: dict[str, Finding]) -> list[Finding]:
        return judge(
            group([NOW - i * MINUTE for i in reversed(range(10))]),
            results(0.9),
            describe=lambda _pair_id: summary(),
            explain=lambda _results, _row, _events: "",
            previous=previous,
            threshold=0.5,
            now_ns=NOW,
            untold=np.array([True]),
        ).findings

    old = found(0.8)

    assert told({}) == []
    assert [finding.score for finding in told({old.id: old})] == [0.9]


def test_a_series_below_the_threshold_is_no_finding() -> None:
    assert one_pass(0.49).findings == []


def test_a_series_that_was_not_measured_is_no_finding() -> None:
    abstained = {"abstained": float(Abstention.TOO_FEW_CHECK_INS)}

    assert one_pass(0.9, fields=abstained).findings == []


def test_bursts_and_connections_of_a_pair_are_two_findings() -> None:
    ids = finding_ids(np.array([7, 7], np.uint64), np.array([0, 1]))

    assert ids[0] != ids[1]
    assert all(len(identifier) == 16 for identifier in ids)


def test_a_pair_past_retention_is_passed_over() -> None:
    judgement = judge(
        group([1, 2]),
        results(0.9),
        describe=lambda _pair_id: None,
        explain=lambda _results, _row, _events: "",
        previous={},
        threshold=0.5,
        now_ns=NOW,
    )

    assert judgement == Judgement([], [])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_score_is_the_highest_ever_reached_and_the_current_one_the_last(
    scores: list[float],
) -> None:
    finding = found(0.6)
    for score in scores:
        finding = found(score, previous=finding)

    assert finding.score == max(0.6, *scores)
    assert finding.current_score == scores[-1]
    assert finding.detected_at == NOW


def test_what_was_measured_stays_when_a_pass_sees_no_beacon_any_more() -> None:
    before = found(0.9, fields={"interval": 60.0})

    after = found(0.1, previous=before, fields={"interval": 7.0}, connections=25)

    assert after.interval == 60.0
    assert after.evidence == before.evidence
    assert after.current_score == 0.1
    assert after.connections == 25


def test_a_pass_that_could_not_measure_still_updates_what_was_seen() -> None:
    before = found(0.9)

    after = found(
        0.0,
        previous=before,
        fields={"abstained": float(Abstention.TOO_FEW_CHECK_INS)},
        last_seen=NOW + MINUTE,
    )

    assert after.current_score == 0.9
    assert after.last_seen == NOW + MINUTE


def test_counts_do_not_fall_when_old_records_are_past_retention() -> None:
    before = found(0.9, connections=100, bytes_out=5000, first_seen=NOW - 100 * MINUTE)

    after = found(0.9, previous=before, connections=3, bytes_out=7, process="")

    assert (after.connections, after.bytes_out) == (100, 5000)
    assert after.first_seen == NOW - 100 * MINUTE
    assert after.process == "implant"


def test_a_return_after_silence_is_dated_by_its_first_check_in() -> None:
    early = [NOW - i * MINUTE for i in reversed(range(10))]
    before = found(0.9, times=early)
    assert before.returned_at == 0
    later = [NOW + 3600 * SECOND, NOW + 3660 * SECOND]

    after = found(
        0.9, previous=before, times=early + later, last_seen=later[-1], now=NOW + 3700 * SECOND
    )

    assert after.returned_at == later[0]
    assert found(0.9, previous=after, times=early + later).returned_at == later[0]


@pytest.mark.parametrize("gap", [60, 119, 299])
def test_a_few_missed_check_ins_are_no_silence(gap: int) -> None:
    early = [NOW - i * MINUTE for i in reversed(range(10))]
    before = found(0.9, times=early)

    after = found(0.9, previous=before, times=[*early, NOW + gap * SECOND])

    assert after.returned_at == 0


def test_an_outage_of_the_control_plane_is_no_silence_of_the_beacon() -> None:
    early = [NOW - i * MINUTE for i in reversed(range(10))]
    before = found(0.9, times=early)
    spooled = [NOW + i * MINUTE for i in range(1, 120)]

    after = found(0.9, previous=before, times=early + spooled, now=spooled[-1])

    assert after.returned_at == 0


def test_a_beacon_that_pauses_is_silent_not_gone() -> None:
    finding = found(0.9)

    assert finding.state(NOW + 4 * MINUTE) == "active"
    assert finding.state(NOW + 6 * MINUTE) == "silent"


def test_findings_come_highest_score_first() -> None:
    count = 5
    batch = SeriesBatch.from_lists([np.arange(10) * MINUTE] * count)
    scores = np.array([0.6, 0.9, 0.7, 1.0, 0.2])
    column = np.full(count, 0.5)
    names = (
        "base_score", "cv_score", "periodicity_score", "jitter_score", "interval", "jitter", "cv",
        "dominant_period", "connections_per_check_in", *FURTHER,
    )  # fmt: skip
    whole = np.zeros(count, np.int64)
    measured = Results(
        score=scores,
        check_ins=whole,
        missed=whole,
        episodes=whole,
        abstained=whole,
        **dict.fromkeys(names, column),
    )

    judgement = judge(
        SeriesGroup(np.arange(count, dtype=np.uint64), np.zeros(count, np.uint8), batch),
        measured,
        describe=lambda pair_id: summary(pair_id=pair_id),
        explain=lambda _results, _row, _events: "",
        previous={},
        threshold=0.5,
        now_ns=NOW,
    )

    assert [finding.score for finding in judgement.findings] == [1.0, 0.9, 0.7, 0.6]
