"""Argus: rows to connections, pieces joined, whatever the states and ports look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.records import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,SrcPkts,Label\n"  # fmt: skip


def row(**changes: str) -> str:
    values = {
        "start": "2018/12/18 14:00:00.075359", "dur": "1.5", "proto": "tcp", "src": "10.0.0.5",
        "sport": "52691", "dir": "   ->", "dst": "192.0.2.7", "dport": "443", "state": "SPA_SPA",
        "tos": "0,0", "packets": "5", "bytes": "700", "sent": "300", "out": "2", "label": "",
    }  # fmt: skip
    return ",".join((values | changes).values()) + "\n"


def test_a_row_is_a_connection(read: Callable) -> None:
    reading = read(HEADER + row())
    (found,) = reading.rows

    assert reading.reader == "argus"
    assert (found["time"], found["duration"]) == (1_545_141_600_075_359_000, 1_500_000_000)
    assert (found["bytes_out"], found["bytes_in"]) == (300, 400)
    assert (found["packets_out"], found["packets_in"]) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("10.0.0.5", 443, Origin.OPENED)),
        ({"dir": "  <-"}, ("192.0.2.7", 52691, Origin.OPENED)),
        ({"state": "PA_PA"}, ("10.0.0.5", 443, Origin.MIDSTREAM)),
        ({"state": "CON"}, ("10.0.0.5", 443, Origin.MIDSTREAM)),
        ({"state": "RST"}, ("10.0.0.5", 443, Origin.OPENED)),
        ({"state": "CON", "proto": "udp"}, ("10.0.0.5", 443, Origin.OPENED)),
        ({"proto": "icmp", "sport": "0x0303", "dport": "0x0105"}, ("10.0.0.5", 0, Origin.OPENED)),
        ({"sport": "0xcdd3", "dport": "0x01bb"}, ("10.0.0.5", 443, Origin.OPENED)),
        ({"start": "1545141600.075359"}, ("10.0.0.5", 443, Origin.OPENED)),
    ],
)
def test_directions_states_and_ports(read: Callable, changes: dict, expected: tuple) -> None:
    (found,) = read(HEADER + row(**changes)).rows

    assert (found["src"], found["dst_port"], found["origin"]) == expected


def test_what_is_no_ip_flow_is_counted(read: Callable) -> None:
    arp = row(proto="arp", src="00:11:22:33:44:55", sport="", dport="")
    reading = read(HEADER + arp + row(dport="no-such-service") + row())

    assert len(reading.rows) == 1
    assert reading.problems.total == 2


def test_the_pieces_of_a_connection_are_one(read: Callable) -> None:
    pieces = [row(start=f"2018/12/18 14:0{i}:00.0", dur="59.5", proto="udp") for i in range(6)]
    (found,) = read(HEADER + "".join(pieces)).rows

    assert found["bytes_out"] == 6 * 300


def test_a_column_that_is_needed_and_missing_is_named(read: Callable) -> None:
    reading = read(HEADER.replace("DstAddr", "Dst") + row(), form="argus")

    assert reading.problems.counts == {"no column DstAddr: the file is not used": 1}


def test_ports_may_be_the_names_of_services(read: Callable) -> None:
    assert read(HEADER + row(dport="https")).rows[0]["dst_port"] == 443


def test_fields_may_be_spelled_as_ra_is_asked_for_them(read: Callable) -> None:
    text = (
        "pkSeqID,stime,flgs,proto,saddr,sport,daddr,dport,pkts,bytes,state,ltime,dur,spkts,sbytes,dpkts,dbytes\n"
        "1,1526344121.18,e,udp,192.168.100.149,5000,192.168.100.3,0x0303,6,600,CON,1526344131.18,10,4,100,2,500\n"
    )
    (found,) = read(text).rows

    assert (found["time"], found["dst_port"]) == (1_526_344_121_180_000_000, 0x303)
    assert (found["bytes_out"], found["bytes_in"]) == (100, 500)
    assert (found["packets_out"], found["packets_in"]) == (4, 2)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)
@given(junk=st.binary(max_size=200))
def test_any_bytes_are_rows_or_problems(read: Callable, junk: bytes) -> None:
    assert read((HEADER + row()).encode() + junk).rows
