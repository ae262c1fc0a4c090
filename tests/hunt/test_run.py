"""A hunt: files in, ranked rows and an account of every file out."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from beacon_detect.errors import DataError
from beacon_detect.hunt.run import UNREADABLE, HuntOptions, hunt, tell_unread
from beacon_detect.readers.inputs import expand
from beacon_detect.readers.strangers import UNKNOWN
from zeek_samples import CONN, SSL, jsonl, tsv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "ts,src,sport,dst,dport,proto,orig_bytes,resp_bytes,duration\n"


def beacon(dst: str = "192.0.2.7", count: int = 30, first: int = 1_700_000_000) -> str:
    return "".join(f"{first + 60 * i},10.0.0.5,{i},{dst},443,tcp,9,9,1\n" for i in range(count))


def test_files_of_a_run_are_one_data_set(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + beacon(count=15))
    (tmp_path / "b").write_bytes(gzip.compress((HEADER + beacon(first=1_700_000_900)).encode()))
    found = hunt([str(tmp_path)], HuntOptions())

    assert [(row.dst, row.check_ins) for row in found.rows] == [("192.0.2.7", 45)]
    assert [(f.format, f.records) for f in found.files] == [("csv", 15), ("csv", 30)]
    assert not found.unknown


def test_what_nobody_knows_is_listed_and_the_rest_read(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# notes\n")
    (tmp_path / "a.csv").write_text(HEADER + beacon())
    found = hunt([str(tmp_path)], HuntOptions())

    assert found.unknown == {str(tmp_path / "notes.md"): UNKNOWN}
    assert len(found.rows) == 1


def test_a_file_that_went_away_meanwhile_is_counted_and_the_rest_read(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(HEADER + beacon(f"192.0.2.{ord(name)}"))

    def rotate(_label: str, _taken: int, _total: int, _records: int) -> None:
        (tmp_path / "b").unlink(missing_ok=True)

    found = hunt([str(tmp_path)], HuntOptions(), rotate)

    assert sorted(row.dst for row in found.rows) == ["192.0.2.97", "192.0.2.99"]
    gone = found.files[1]
    assert (gone.label, gone.format) == (str(tmp_path / "b"), UNREADABLE)
    assert gone.problems.counts == {"No such file or directory": 1}
    said: list[str] = []
    tell_unread(found.files, found.unknown, said.append)
    assert said == [f"{tmp_path / 'b'}: No such file or directory"]


def test_where_nothing_can_be_opened_the_error_is_that_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text(HEADER)
    kept = expand([str(tmp_path)])
    (tmp_path / "a").unlink()
    monkeypatch.setattr("beacon_detect.hunt.run.expand", lambda _: kept)

    with pytest.raises(DataError, match="a: No such file"):
        hunt([str(tmp_path)], HuntOptions())


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (HEADER, HuntOptions(), "no connection in the input"),
        (HEADER + beacon(count=4), HuntOptions(), "1 pair, none with 6 check-ins or more"),
        (
            HEADER + beacon(),
            HuntOptions(least_score=1.1),
            "none at or above the least score or risk (the highest score is 9",
        ),
        (HEADER + beacon(), HuntOptions(until_ns=5), "all 30 records are outside the chosen time"),
    ],
)
def test_an_empty_answer_says_why(tmp_path: Path, text: str, options: HuntOptions, why: str) -> None:  # fmt: skip
    (tmp_path / "a.csv").write_text(text)
    found = hunt([str(tmp_path / "a.csv")], options)

    assert found.rows == []
    assert why in found.why_empty


def test_an_interrupt_ranks_what_was_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(HEADER + beacon())

    def interrupt(_label: str, taken: int, total: int, records: int) -> None:
        assert 0 < taken <= total
        if records == 30:
            raise KeyboardInterrupt

    found = hunt([str(tmp_path)], HuntOptions(), interrupt)

    assert found.interrupted
    assert [row.check_ins for row in found.rows] == [30]


def test_an_unknown_format_is_an_error_that_lists_the_formats() -> None:
    with pytest.raises(DataError, match="zeek-json"):
        hunt(["x"], HuntOptions(format="nope"))


def test_an_empty_file_is_no_stranger(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("")
    found = hunt([str(tmp_path / "a.log")], HuntOptions())

    assert found.unknown == {}
    assert [account.format for account in found.files] == ["empty"]


@pytest.mark.parametrize("names", ["a-ssl", "z-ssl"])
@pytest.mark.parametrize("spell", [tsv, lambda _, *rows: jsonl(*rows)])
def test_zeeks_logs_meet_by_uid_whichever_comes_first(
    tmp_path: Path, names: str, spell: Callable[..., str]
) -> None:
    calls = [CONN | {"uid": f"C{i}", "ts": 1.7e9 + 60 * i, "proto": "udp"} for i in range(20)]
    bare = {key: value for key, value in SSL.items() if not key.startswith("id.")}
    (tmp_path / "conn.log").write_text(spell("conn", *calls))
    (tmp_path / names).write_text(spell("ssl", bare | {"uid": "C7"}, bare | {"uid": "Cnone"}))
    found = hunt([str(tmp_path)], HuntOptions())

    assert [(row.name, row.proto) for row in found.rows] == [("c2.example.com", "udp")]
    assert found.collector.names.unplaced == 1
    assert not any(account.problems.total for account in found.files)


@pytest.mark.parametrize("moment", ["compiling", "scoring"])
def test_ctrl_c_while_pairs_are_scored_gives_the_strongest_within_seconds(
    tmp_path: Path, moment: str
) -> None:
    cache = tmp_path / "cache"
    rows = [
        f"{1_700_000_000 + 60 * i + (pair * i * 7919) % 50 * (pair > 0)},10.0.0.5,1,192.0.2.{pair % 250},{pair},tcp,9,9,1\n"
        for pair in range(1800)
        for i in range(8 if pair else 30)
    ]
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows))
    code = STOPPED[moment].format(path=str(tmp_path / "a.csv"))
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)} if moment == "compiling" else None
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )

    assert done.returncode == 130, done.stderr
    assert "192.0.2.0" in done.stdout.splitlines()[1]
    assert "interrupted" in done.stderr


STOPPED = {
    # As soon as the compiler is at work, which takes far longer than the test's patience.
    "compiling": """
import os, signal
from beacon_detect.hunt import run
class Clock:
    def sleep(self, seconds): os.kill(os.getpid(), signal.SIGINT)
run.time = Clock()
from beacon_detect.cli.main import main
import sys; sys.argv = ['beacon-detect', 'analyze', {path!r}, '-o', 'csv']
main()
""",
    "scoring": """
import os, signal
from beacon_detect.hunt import ranking
real = ranking.analyze
def analyze(batch, settings):
    os.kill(os.getpid(), signal.SIGINT)
    return real(batch, settings)
from beacon_detect.hunt import shortlist
shortlist.SLICE_EVENTS = 1000
def once(batch, settings):
    ranking.analyze = real
    return analyze(batch, settings)
ranking.analyze = once
from beacon_detect.cli.main import main
import sys; sys.argv = ['beacon-detect', 'analyze', {path!r}, '-o', 'csv']
main()
""",
}
