"""nfdump: its CSV, its JSON, and the program for its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.readers.nfdump import NfdumpReader
from beacon_detect.records import Origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CSV = """ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt
2018-01-12 15:37:30,2018-01-12 15:37:31,1.000,10.0.0.5,192.0.2.7,52324,443,TCP,...AP.SF,0,0,5,600,0,0
2018-01-12 15:37:30,2018-01-12 15:37:31,1.000,192.0.2.7,10.0.0.5,443,52324,TCP,...AP.SF,0,0,4,900,0,0
2018-01-12 15:39:03,2018-01-12 15:39:03,0.000,10.0.0.5,192.0.2.7,52325,443,TCP,...AP...,0,0,1,40,0,0
2018-01-12 15:39:03,2018-01-12 15:39:03,0.000,10.0.0.5,192.0.2.7,0,8.0,ICMP,........,0,0,1,84,0,0
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
4,1624,11,1,1,1
"""
SHORT = """firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bpp,flows
2018-01-12 15:37:30.942,1.000,TCP,10.0.0.5,52324,192.0.2.7,443,5,600,120,1
"""


def flow(**changes: object) -> dict[str, object]:
    return {
        "type": "FLOW", "first": "2018-01-12T15:37:30.942", "last": "2018-01-12T15:37:31.942",
        "in_packets": 5, "in_bytes": 600, "proto": 6, "tcp_flags": "...AP.SF", "src_port": 52324,
        "dst_port": 443, "src4_addr": "10.0.0.5", "dst4_addr": "192.0.2.7", "label": "<none>",
    } | changes  # fmt: skip


REPLY = {
    "src4_addr": "192.0.2.7", "dst4_addr": "10.0.0.5", "src_port": 443, "dst_port": 52324,
    "in_bytes": 900, "in_packets": 4,
}  # fmt: skip


def test_csv_joins_directions_and_leaves_the_summary_out(read: Callable) -> None:
    reading = read(CSV)
    rows = sorted(reading.rows, key=lambda row: row["bytes_out"], reverse=True)

    assert reading.reader == "nfdump-csv"
    assert reading.problems.total == 0
    assert [(r["bytes_out"], r["bytes_in"], r["dst_port"], r["protocol"], r["origin"]) for r in rows] == [
        (600, 900, 443, 6, Origin.OPENED), (84, 0, 0, 1, Origin.OPENED),
        (40, 0, 443, 6, Origin.MIDSTREAM),
    ]  # fmt: skip


def test_the_short_csv_is_read_too(read: Callable) -> None:
    (row,) = read(SHORT).rows

    assert (row["time"], row["bytes_out"], row["dst_port"]) == (1_515_771_450_942_000_000, 600, 443)


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_json_gives_the_same(read: Callable, indent: object) -> None:
    flows = [flow(), flow(**REPLY), flow(proto=17, src4_addr=None, src6_addr="2001:db8::1", dst4_addr=None, dst6_addr="2001:db8::2")]  # fmt: skip
    reading = read(json.dumps(flows, indent=indent))  # type: ignore[arg-type]

    assert reading.reader == "nfdump-json"
    assert sorted((r["src"], r["bytes_out"], r["bytes_in"], r["duration"]) for r in reading.rows) == [
        ("10.0.0.5", 600, 900, 1_000_000_000),
        ("2001:db8::1", 600, 0, 1_000_000_000),
    ]  # fmt: skip


def test_without_the_program_a_binary_file_says_what_is_needed(
    read: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    reading = read(b"\x0c\xa5\1\0" + bytes(200))

    assert reading.reader == "nfdump"
    assert "needs the program nfdump" in next(iter(reading.problems.counts))


def test_what_the_program_prints_is_read(
    read: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "nfdump"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        "echo ' 1515771450.942, 1515771451.942,  10.0.0.5, 192.0.2.7, 52324, 443,TCP,...AP.SF, 5, 600,0,0'\n"
        "echo oops >&2; exit 3\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    reading = read(b"\xa5\x0c\2\0" + bytes(200))

    assert [(r["time"], r["duration"], r["bytes_out"]) for r in reading.rows] == [
        (1_515_771_450_942_000_000, 1_000_000_000, 600)
    ]
    assert reading.problems.counts == {"nfdump failed: oops": 1}


def test_a_file_that_the_program_reads_nothing_of_says_why(
    read: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "nfdump"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'No matching flows'\necho 'Short read' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    reading = read(b"\xa5\x0c\2\0" + bytes(200))

    assert (reading.rows, reading.problems.counts) == ([], {"nfdump failed: Short read": 1})


def test_other_binary_files_are_not_taken(read: Callable) -> None:
    assert read(b"no file of nfdump", form="nfdump").problems.counts == {
        "no file of nfdump's: its first bytes say otherwise": 1
    }
    assert not NfdumpReader().matches(b"\x0c\xa5\x99\x99" + bytes(100))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)
@given(junk=st.binary(max_size=200), as_json=st.booleans())
def test_any_bytes_are_rows_or_problems(read: Callable, junk: bytes, as_json: bool) -> None:
    start = json.dumps([flow(), flow()], indent=1) if as_json else CSV[: CSV.index("Summary")]

    assert read(start.encode() + junk).rows


def test_columns_that_are_missing_are_zero(read: Callable) -> None:
    (row,) = read("ts,sa,da,pr,ipkt\n2018-01-12 15:37:30,10.0.0.5,192.0.2.7,UDP,5\n").rows

    assert (row["packets_out"], row["bytes_out"], row["dst_port"]) == (5, 0, 0)
