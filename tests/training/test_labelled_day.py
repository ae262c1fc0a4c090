"""Measuring by labels: the product's own path, counted as the documentation says."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from training import labelled_day

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ts,src,sport,dst,dport,proto,orig_bytes,resp_bytes,duration\n"
LABELS = """src,dst,dport,proto,label,set,n
10.0.0.5,192.0.2.7,443,tcp,beacon,implant,40
10.0.0.5,192.0.2.8,123,udp,benign_periodic,clock,40
10.0.0.5,192.0.2.9,443,tcp,unknown,other,40
"""


def talk(dst: str, port: int, proto: str, count: int = 40) -> str:
    return "".join(
        f"{1_700_000_000 + 60 * i},10.0.0.5,{i},{dst},{port},{proto},48,48,1\n"
        for i in range(count)
    )


@pytest.fixture
def day(tmp_path: Path) -> Path:
    folder = tmp_path / "day"
    folder.mkdir()
    lines = [
        talk("192.0.2.7", 443, "tcp"), talk("192.0.2.8", 123, "udp"), talk("192.0.2.9", 443, "tcp"),
        talk("192.0.2.10", 443, "tcp", 6), talk("192.0.2.11", 443, "tcp", 5),
    ]  # fmt: skip
    (folder / "conns.csv.gz").write_bytes(gzip.compress((HEADER + "".join(lines)).encode()))
    (folder / "labels.csv").write_text(LABELS)
    return folder


def test_unknown_and_short_pairs_are_left_out_and_unlisted_ones_are_benign(day: Path) -> None:
    pairs = labelled_day.judged(day)

    assert sorted((pair.label, pair.source) for pair in pairs) == [
        ("beacon", "implant"), ("benign", "day"), ("benign_periodic", "clock"),
    ]  # fmt: skip


def test_the_table_counts_by_timing_and_by_risk(day: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    labelled_day.main([str(day), "--pairs"])

    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    assert [(row[0], row[1], row[2], row[5], row[6]) for row in rows[2:]] == [
        ("beacon", "implant", "1", "1", "1"),
        ("benign_periodic", "all", "1", "1", "0"),
        ("benign", "all", "1", "1", "1"),
    ]
    assert any("infrastructure -0.60" in line for line in lines)


def test_a_rule_that_is_switched_off_moves_nothing(day: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    labelled_day.main([str(day), "--pairs", "--without", "infrastructure"])

    assert "infrastructure" not in capsys.readouterr().out
