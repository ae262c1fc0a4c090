"""A pair in files is explained with the score that the hunt ranks it by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beacon_detect.control_plane.api.explanation_models import Explanation
from beacon_detect.control_plane.pair_choice import PairQuery, SeveralPairsError
from beacon_detect.errors import DataError, NotFoundError
from beacon_detect.hunt.explain import explain_in_files
from beacon_detect.hunt.run import HuntOptions, hunt
from capture_factory import pcap, polling

SRC, START = "10.0.0.5", 1_700_000_000
HEADER = "ts,src,dst,dport,proto,orig_bytes,resp_bytes,duration\n"


def rows(seconds: np.ndarray, dst: str, port: int = 443) -> str:
    return "".join(f"{START + s:.6f},{SRC},{dst},{port},tcp,300,900,0.2\n" for s in seconds)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a beacon, random traffic, a short series and two services of one host."""
    rng = np.random.default_rng(5)
    beacon = np.cumsum(60 * rng.uniform(0.8, 1.2, 100))
    chance = np.cumsum(rng.exponential(60, 100))
    file = tmp_path_factory.mktemp("hunt") / "flows.csv"
    file.write_text(
        HEADER
        + rows(beacon, "192.0.2.1")
        + rows(chance, "192.0.2.2")
        + rows(np.arange(4) * 60.0, "192.0.2.3")
        + rows(np.arange(4) * 60.0, "192.0.2.3", 80)
    )
    return str(file)


def explained(capture: str, dst: str, port: int | None = None) -> Explanation:
    return explain_in_files([capture], PairQuery(SRC, dst, port), HuntOptions())


@pytest.mark.parametrize("dst", ["192.0.2.1", "192.0.2.2"])
def test_score_and_risk_are_those_of_the_hunt(capture: str, dst: str) -> None:
    [row] = [row for row in hunt([capture], HuntOptions()).rows if row.dst == dst]
    measured = explained(capture, dst).measured

    assert measured is not None
    assert measured.rhythm is not None
    rhythm = measured.rhythm
    assert (rhythm.score, rhythm.risk) == pytest.approx((row.score, row.risk), rel=1e-12)
    assert rhythm.interval_seconds == pytest.approx(row.interval, rel=1e-12)
    assert rhythm.check_ins == row.check_ins
    assert rhythm.evidence == row.evidence
    assert [reason.rule for reason in rhythm.reasons] == [reason.rule for reason in row.reasons]


def test_a_beacon_is_flagged_and_random_traffic_is_told_why_not(capture: str) -> None:
    beacon, chance = explained(capture, "192.0.2.1"), explained(capture, "192.0.2.2")

    assert (beacon.flagged, beacon.why_not) == (True, [])
    assert not chance.flagged
    assert chance.why_not[0].endswith("is below 70.0%")


def test_totals_and_times_are_those_of_the_pair(capture: str) -> None:
    answer = explained(capture, "192.0.2.1")

    assert (answer.connections, len(answer.times), len(answer.intervals)) == (100, 100, 99)
    assert (answer.bytes_out, answer.bytes_in) == (30_000, 90_000)
    assert (answer.dst_port, answer.protocol, answer.direction) == (443, "TCP", "outbound")
    assert answer.times == sorted(answer.times)


def test_too_few_check_ins_are_told(capture: str) -> None:
    answer = explained(capture, "192.0.2.3", 80)

    assert answer.why_not == ["only 4 check-ins; at least 6 are needed for a score"]


def test_connections_side_by_side_are_a_reason_and_those_in_a_row_a_smaller_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "flows.csv"
    beside, after = (np.sort(np.concatenate([np.arange(60) * 60.0 + s for s in (0.0, step, 2 * step)])) for step in (0.1, 0.4))  # fmt: skip
    file.write_text(HEADER + rows(beside, "192.0.2.1") + rows(after, "192.0.2.2"))
    found = {row.dst: row for row in hunt([str(file)], HuntOptions()).rows}
    told = {}
    for dst in found:
        measured = explained(str(file), dst).measured
        assert measured is not None
        assert measured.rhythm is not None
        assert measured.rhythm.risk == pytest.approx(found[dst].risk, rel=1e-12)
        told[dst] = {reason.rule: reason.reason for reason in measured.rhythm.reasons}

    assert "67% of its connections beside others" in told["192.0.2.1"]["parallel_connections"]
    assert "3.0 connections each time" in told["192.0.2.2"]["parallel_connections"]


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a beacon over eight addresses of one name, and one more service of it."""
    times = START + np.cumsum(60 * np.random.default_rng(3).uniform(0.9, 1.1, 80))
    file = tmp_path_factory.mktemp("hunt") / "named.csv"
    file.write_text(
        "ts,src,dst,dport,proto,orig_bytes,name\n"
        + "".join(
            f"{t:.6f},{SRC},192.0.2.{i % 8},443,tcp,9,C2.example.\n" for i, t in enumerate(times)
        )
        + f"{START},{SRC},192.0.2.77,80,tcp,5,other.example\n"
    )
    return str(file)


def test_a_name_has_score_and_risk_of_its_row(rotating: str) -> None:
    [row] = [row for row in hunt([rotating], HuntOptions()).rows if row.series == "name"]
    answer = explained(rotating, "c2.EXAMPLE")

    assert answer.measured is not None
    assert answer.measured.rhythm is not None
    rhythm = answer.measured.rhythm
    assert (answer.series, answer.addresses, answer.name) == ("name", 8, "c2.example")
    assert (answer.dst_ip, answer.connections, answer.bytes_out) == (row.dst, 80, 720)
    assert (rhythm.score, rhythm.risk) == pytest.approx((row.score, row.risk), rel=1e-12)
    assert rhythm.evidence == row.evidence
    assert [reason.rule for reason in rhythm.reasons] == [reason.rule for reason in row.reasons]


def test_a_name_with_one_address_is_its_pair(rotating: str) -> None:
    answer = explained(rotating, "other.example")

    assert (answer.series, answer.dst_ip, answer.dst_port) == ("connections", "192.0.2.77", 80)


def test_a_name_that_the_source_does_not_talk_to_is_not_found(rotating: str) -> None:
    with pytest.raises(NotFoundError, match=r"to nowhere\.example is on record") as refused:
        explained(rotating, "nowhere.example")
    assert "`analyze -o csv` lists" in refused.value.hint
    with pytest.raises(NotFoundError) as refused:
        explained(rotating, "c2.example", 8443)
    assert "443/TCP" in refused.value.hint


def test_the_evidence_of_bursts_is_that_of_the_hunt(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(polling(START, 60, 60.0)))
    [row] = hunt([str(tmp_path)], HuntOptions()).rows
    measured = explain_in_files([str(tmp_path)], PairQuery(row.src, row.dst), HuntOptions()).measured  # fmt: skip

    assert row.series == "bursts"
    assert measured is not None
    assert measured.rhythm is not None
    assert measured.rhythm.evidence == row.evidence


def test_what_is_unclear_or_missing_is_refused(capture: str) -> None:
    with pytest.raises(SeveralPairsError, match="80/TCP"):
        explained(capture, "192.0.2.3")
    with pytest.raises(NotFoundError, match="is on record in the input"):
        explained(capture, "192.0.2.9")
    with pytest.raises(NotFoundError) as refused:
        explain_in_files([capture], PairQuery("192.0.2.1", SRC), HuntOptions())
    assert "the other way" in refused.value.hint


def test_an_input_without_connections_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# notes\n")
    said: list[str] = []

    with pytest.raises(DataError, match="no connection could be read"):
        explain_in_files(
            [str(tmp_path / "notes.md")], PairQuery(SRC, "192.0.2.1"), HuntOptions(tell=said.append)
        )

    assert "notes.md: in no format known here" in said[0]
