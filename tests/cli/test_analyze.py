"""``analyze``: files to a list, with exit codes a pipeline can use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from beacon_detect.cli.main import run
from beacon_detect.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ts,src,sport,dst,dport,proto,orig_bytes,resp_bytes,duration\n"


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.csv"
    lines = (f"{1_700_000_000 + 60 * i},10.0.0.5,{i},192.0.2.7,443,tcp,9,9,1\n" for i in range(31))
    path.write_text(HEADER + "".join(lines))
    return path


def test_the_table_shows_the_pair_and_why(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", str(flows)]) == ExitCode.OK

    out, err = capsys.readouterr()
    head, _, row = out.splitlines()
    assert head.split()[:6] == ["#", "RISK", "SCORE", "SEVERITY", "SOURCE", "DESTINATION"]
    assert row.split()[3:7] == ["CRITICAL", "10.0.0.5", "192.0.2.7:443", "tcp"]
    assert "60 s ±0%" in row
    assert err == "31 records, 1 pair, 1 scored, 1 listed\n"


def test_rows_beyond_the_limit_are_counted(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    flows.write_text(flows.read_text() + flows.read_text().replace(",443,", ",8443,").partition("\n")[2])  # fmt: skip
    assert run(["analyze", str(flows), "--limit", "1"]) == ExitCode.OK

    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == "62 records, 2 pairs, 2 scored, 2 listed; the last 1 not shown (--limit)\n"


def test_json_is_one_object_with_a_row_a_pair(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert run(["analyze", str(flows), "-o", "json"]) == ExitCode.OK

    pair = json.loads(capsys.readouterr().out)["pairs"][0]
    assert (pair["src"], pair["dst"], pair["dport"], pair["proto"]) == ("10.0.0.5", "192.0.2.7", 443, "tcp")  # fmt: skip
    assert pair["risk"] > pair["score"] > 0.9
    assert pair["reasons"] == [
        {
            "rule": "size_regularity",
            "delta": 0.05,
            "reason": "the check-ins are of one size (regularity 100%)",
        }
    ]
    assert pair["direction"] == "outbound"


@pytest.fixture
def rotating(tmp_path: Path) -> Path:
    """Give a beacon over four addresses of one name, so long that each is a beacon as well."""
    path = tmp_path / "rotating.csv"
    rows = (f"{1_700_000_000 + 60 * i},10.0.0.5,192.0.2.{i % 4},443,tcp,c2.example\n" for i in range(400))  # fmt: skip
    path.write_text("ts,src,dst,dport,proto,name\n" + "".join(rows))
    return path


def test_a_name_is_one_row_of_the_table_and_its_pairs_are_in_json(
    rotating: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    assert run(["analyze", str(rotating), "--report", str(report)]) == ExitCode.OK
    out, err = capsys.readouterr()
    [row] = out.splitlines()[2:]

    assert "c2.example:443 (4 addresses)" in row
    assert "the addresses of one name together" in row
    assert "4 pairs are not in the table: the row of their name says the same" in err
    page = report.read_text("utf-8")
    assert page.count("<section class=finding") == 1
    assert "1 pair is of medium risk or higher" in page
    assert "to 4 addresses (c2.example), every 60 s" in page

    assert run(["analyze", str(rotating), "-o", "json"]) == ExitCode.OK
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert sorted((p["series"], p["addresses"], p["covered"]) for p in pairs) == [
        *[("connections", 1, True)] * 4,
        ("name", 4, False),
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fail-on", "HIGH"], ExitCode.FOUND),
        (["--fail-on", "critical"], ExitCode.FOUND),
        (["--fail-on", "MEDIUM", "--internal", "192.0.2.0/24", "--format", "csv"], ExitCode.FOUND),
        (["--fail-on", "LOW", "--min-risk", "1"], ExitCode.OK),
        (["--fail-on", "HIGH", "--until", "2000-01-01T00:00Z"], ExitCode.OK),
        (["--min-score", "2"], ExitCode.USAGE),
        (["--since", "yesterdayish"], ExitCode.USAGE),
        (["--map", "nope=x"], ExitCode.USAGE),
        (["--internal", "10.0.0.0/99"], ExitCode.USAGE),
        (["--format", "nope"], ExitCode.DATA),
        (["/does/not/exist"], ExitCode.DATA),
        (["--allow", "/does/not/exist"], ExitCode.DATA),
        (["--internal", "192.0.2.0/24", "--since", "2001-01-01T00:00Z"], ExitCode.OK),
    ],
)
def test_the_exit_code_says_how_it_went(flows: Path, arguments: list[str], code: int) -> None:
    assert run(["analyze", str(flows), *arguments]) == code


def test_a_named_file_nobody_knows_is_65_but_one_in_a_folder_is_not(
    flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = flows.parent / "notes.txt"
    notes.write_text("nothing\n")

    assert run(["analyze", str(flows.parent)]) == ExitCode.OK
    assert run(["analyze", str(flows), str(notes)]) == ExitCode.DATA
    assert run(["analyze", str(notes)]) == ExitCode.DATA
    assert f"{notes}: in no format known here" in capsys.readouterr().err


def test_a_closed_file_is_told_and_4_if_it_was_named(flows: Path) -> None:
    closed = flows.parent / "closed.csv"
    closed.write_text(HEADER)
    closed.chmod(0)
    # Root reads everything unless it gives that up.
    mortal = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []

    def analyze(*paths: Path) -> subprocess.CompletedProcess[str]:
        command = [*mortal, sys.executable, "-m", "beacon_detect", "analyze", *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    folder, both, alone = analyze(flows.parent), analyze(flows, closed), analyze(closed)

    assert folder.returncode == ExitCode.OK
    assert both.returncode == alone.returncode == ExitCode.PERMISSION
    for done in (folder, both):
        assert "192.0.2.7:443" in done.stdout
        assert f"{closed}: 1 not used: not readable by this user" in done.stderr
    assert alone.stderr == f"error: {closed}: not readable by this user\n"


def test_what_was_lost_is_told_with_its_line(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    flows.write_text(flows.read_text() + "broken,10.0.0.5,1,192.0.2.7,443,tcp,9,9,1\n")
    run(["analyze", str(flows)])

    err = capsys.readouterr().err
    assert f"{flows}: 1 not used: not a number" in err
    assert f"{flows}:33: ts is 'broken'" in err


def test_an_empty_list_says_why(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flows.write_text(HEADER)

    assert run(["analyze", str(flows)]) == ExitCode.OK
    assert capsys.readouterr() == ("", "nothing to list: no connection in the input\n")


def test_fail_on_follows_the_risk_not_the_score(flows: Path) -> None:
    flows.write_text(flows.read_text().replace(",443,tcp,", ",123,udp,"))

    assert run(["analyze", str(flows), "--fail-on", "MEDIUM"]) == ExitCode.OK
    assert run(["analyze", str(flows), "--fail-on", "LOW"]) == ExitCode.FOUND
    assert run(["analyze", str(flows), "--fail-on", "CRITICAL", "--no-context"]) == ExitCode.FOUND


def test_the_table_says_what_moved_the_risk_most(
    flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.write_text(flows.read_text().replace(",443,tcp,", ",123,udp,"))
    run(["analyze", str(flows)])

    assert "polls time (NTP), as every machine does, cv 0.00" in capsys.readouterr().out


def test_the_allow_file_takes_pairs_out(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allow = flows.parent / "allow"
    allow.write_text("192.0.2.0/24 # ours\n")
    run(["analyze", str(flows), "--allow", str(allow)])

    assert "1 pair found, all covered by the allow file" in capsys.readouterr().err


def test_standard_input_is_read(flows: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beacon_detect", "analyze", "-", "-o", "csv"],
        input=flows.read_bytes(), capture_output=True, check=True,
    )  # fmt: skip

    assert len(done.stdout.splitlines()) == 2


def test_a_report_is_written_and_named(flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flows.parent / "report.html"

    assert run(["analyze", str(flows), "--report", str(path)]) == ExitCode.OK
    assert "<!doctype html>" in path.read_text()
    assert f"report written: {path}" in capsys.readouterr().err
    assert run(["analyze", str(flows), "--report", "/nowhere/r.html"]) == ExitCode.FAILURE


def test_input_of_which_nothing_could_be_used_is_65(
    flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyze", str(flows), "--format", "zeek"]) == ExitCode.DATA
    assert "32 not used" in capsys.readouterr().err


def test_check_ins_beyond_the_bound_are_counted_and_told(
    flows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beacon_detect.hunt.event_log.MAX_SERIES", 20)
    monkeypatch.setattr("beacon_detect.hunt.event_log.COMPACT_ROWS", 30)

    assert run(["analyze", str(flows)]) == ExitCode.OK
    err = capsys.readouterr().err
    assert "11 oldest check-ins of very long series were left out" in err
    assert "the newest 20 of a pair are kept" in err


def test_a_first_compilation_is_announced_on_stderr(
    flows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beacon_detect.hunt.run.SMALL_BATCH", 0)
    monkeypatch.setattr("beacon_detect.hunt.run.is_compiled", lambda: False)

    assert run(["analyze", str(flows)]) == ExitCode.OK
    assert "compiling the scoring for this machine, once" in capsys.readouterr().err


def test_pairs_beyond_the_bound_are_counted_and_told(
    flows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = (f"1700000000,10.0.0.9,{i},198.51.100.{i},22,tcp,0,0,0\n" for i in range(40))
    flows.write_text(flows.read_text() + "".join(scan))
    monkeypatch.setattr("beacon_detect.hunt.collector.MAX_PAIRS", 10)

    assert run(["analyze", str(flows)]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "192.0.2.7:443" in out
    assert "36 pairs with few connections and long silent were forgotten: too many pairs" in err
