"""Connections: the state survives the change of speed, and the table grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from beacon_detect.config.schema import DataPlane
from beacon_detect.readers.capture import connections
from beacon_detect.records import Kind
from capture_factory import CLIENT, SERVER, Packet, ethernet, pcap, udp

if TYPE_CHECKING:
    from collections.abc import Callable

PACKETS = [
    Packet(i / 10_000, ethernet(udp(CLIENT, SERVER, i % 6007, 9, b"x"))) for i in range(20_011)
]


@pytest.mark.parametrize("switch_at", [10**9, 5000])
def test_counts_are_exact_across_the_change_of_speed_and_growth(
    read: Callable, monkeypatch: pytest.MonkeyPatch, switch_at: int
) -> None:
    monkeypatch.setattr(connections, "INTERPRETED_PACKETS", switch_at)
    monkeypatch.setattr(connections, "COLD_PACKETS", switch_at)
    monkeypatch.setattr("beacon_detect.readers.pcap.FIRST_BYTES", 200_000)
    reading = read(pcap(PACKETS))

    whole = [row for row in reading.rows if row["kind"] == Kind.CONNECTION]
    assert len(whole) == 6007
    assert sum(row["packets_out"] for row in whole) == 20_011
    assert sum(row["bytes_out"] for row in whole) == 20_011


def test_timeouts_are_those_of_the_sensor() -> None:
    config = DataPlane()

    assert connections.default_timeouts() == tuple(
        int(seconds * 1e9)
        for seconds in (
            config.tcp_idle_timeout, config.udp_idle_timeout, config.unanswered_timeout,
            config.burst_idle,
        )
    )  # fmt: skip
