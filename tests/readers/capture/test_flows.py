"""Flows: connections live and end as the sensor's do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from beacon_detect.records import SECOND, Kind, Origin, Outcome
from capture_factory import (  # fmt: skip
    ACK,
    CLIENT,
    FIN,
    PSH,
    RST,
    SERVER,
    SYN,
    Packet,
    connection,
    ethernet,
    pcap,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UP, DOWN = (CLIENT, SERVER, 50_000, 443), (SERVER, CLIENT, 443, 50_000)


def at(time: float, ends: tuple, flags: int, data: bytes = b"", seq: int = 1) -> Packet:
    return Packet(time, ethernet(tcp(*ends, flags, data, seq=seq)))


def rows_of(read: Callable, packets: list[Packet]) -> list[dict]:
    return read(pcap(packets)).rows


@pytest.mark.parametrize(
    ("packets", "outcome"),
    [
        ([at(1, UP, SYN)], Outcome.UNKNOWN),
        ([at(1, UP, SYN), at(1.1, DOWN, RST | ACK)], Outcome.REFUSED),
        ([at(1, UP, SYN), at(1.1, DOWN, SYN | ACK), at(1.2, UP, RST)], Outcome.RESET),
        ([at(1, UP, SYN), at(1.1, DOWN, SYN | ACK)], Outcome.ESTABLISHED),
        ([at(1, UP, SYN), at(99, UP, ACK)], Outcome.UNANSWERED),
        ([at(1, UP, SYN), at(1, DOWN, SYN | ACK), at(4000, UP, ACK)], Outcome.IDLE),
        (connection(1), Outcome.CLOSED),
    ],
)
def test_a_connection_ends_as_it_did(read: Callable, packets: list[Packet], outcome: int) -> None:
    assert rows_of(read, packets)[0]["outcome"] == outcome


def test_a_new_connection_on_the_same_ports_is_a_new_one(read: Callable) -> None:
    rows = rows_of(read, connection(1, isn=5) + connection(3, isn=77) + connection(100, isn=6))

    assert [row["time"] // SECOND for row in rows] == [1, 3, 100]
    assert all(row["outcome"] == Outcome.CLOSED for row in rows)


def test_a_syn_that_is_sent_again_is_the_same_connection(read: Callable) -> None:
    rows = rows_of(read, [at(1, UP, SYN, seq=5), at(2, UP, SYN, seq=5), at(4, UP, SYN, seq=5)])

    assert [(row["packets_out"], row["time"]) for row in rows] == [(3, SECOND)]


def test_activity_after_silence_is_a_burst(read: Callable) -> None:
    times = (2, 2.5, 10, 10.2, 20)
    opened = [at(1, UP, SYN), at(1.1, DOWN, SYN | ACK), at(1.2, UP, ACK)]
    rows = rows_of(read, opened + [at(t, UP, PSH | ACK, b"beat") for t in times])
    bursts = [row for row in rows if row["kind"] == Kind.BURST]

    assert [row["time"] / SECOND for row in bursts] == [10, 20]
    assert [row["bytes_out"] for row in bursts] == [12, 20]
    assert {row["src"] for row in rows} == {CLIENT}
    assert len({row["connection_id"] for row in rows}) == 1


def test_a_keep_alive_without_data_is_no_burst(read: Callable) -> None:
    opened = [at(1, UP, SYN), at(1.1, DOWN, SYN | ACK), at(1.2, UP, ACK)]

    assert len(rows_of(read, [*opened, at(30, UP, ACK), at(60, DOWN, ACK)])) == 1


def test_a_capture_that_begins_in_the_middle_takes_the_lower_port_for_the_server(
    read: Callable,
) -> None:
    rows = rows_of(read, [at(1, DOWN, PSH | ACK, b"abc"), at(1.1, UP, ACK)])

    assert [(r["src"], r["dst_port"], r["origin"], r["bytes_in"]) for r in rows] == [
        (CLIENT, 443, Origin.MIDSTREAM, 3)
    ]


def test_an_end_without_a_beginning_is_no_connection(read: Callable) -> None:
    assert rows_of(read, [at(1, UP, FIN | ACK), at(2, DOWN, RST)]) == []


def test_data_after_a_forged_reset_is_a_connection_again(read: Callable) -> None:
    opened = [at(1, UP, SYN), at(1.1, DOWN, SYN | ACK), at(1.2, DOWN, RST)]
    rows = rows_of(read, [*opened, at(3, UP, PSH | ACK, b"go on")])

    assert [(row["outcome"], row["src"]) for row in rows] == [
        (Outcome.RESET, CLIENT),
        (Outcome.ESTABLISHED, CLIENT),
    ]


def test_udp_is_over_after_a_minute_of_silence(read: Callable) -> None:
    packets = [Packet(t, ethernet(udp(CLIENT, SERVER, 1, 2, b"x"))) for t in (0, 59, 118, 179)]
    rows = rows_of(read, packets)

    whole = [(r["time"] // SECOND, r["packets_out"]) for r in rows if r["kind"] == Kind.CONNECTION]
    assert whole == [(0, 3), (179, 1)]


def test_silent_flows_leave_the_table_before_the_capture_ends(read: Callable) -> None:
    packets = [Packet(t, ethernet(udp(CLIENT, SERVER, 1 + t, 2, b"x"))) for t in range(0, 3000, 3)]
    rows = rows_of(read, packets)

    assert len(rows) == 1000
    assert sum(row["outcome"] == Outcome.UNANSWERED for row in rows) > 900


def test_time_that_steps_back_does_no_harm(read: Callable) -> None:
    rows = rows_of(read, [at(10, UP, SYN), at(5, DOWN, SYN | ACK), at(11, UP, ACK)])

    assert [row["duration"] for row in rows] == [SECOND]
