"""Captures: every variant of the file formats gives the same connections."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand
from beacon_detect.readers.pcap import PcapReader
from beacon_detect.records import SECOND, Kind, Outcome
from capture_factory import (
    CLIENT,
    SERVER,
    Packet,
    block,
    connection,
    dns_answer,
    echo,
    enhanced,
    erspan,
    ethernet,
    geneve,
    gre,
    interface,
    ip,
    pcap,
    pcapng,
    section,
    tcp,
    udp,
    vxlan,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = 1_700_000_000.123456
PACKETS = connection(START)


@pytest.mark.parametrize(
    "content",
    [
        pcap(PACKETS), pcap(PACKETS, order=">"), pcap(PACKETS, ns=True),
        pcap(PACKETS, order=">", ns=True), pcapng(PACKETS), pcapng(PACKETS, order=">"),
    ],
)  # fmt: skip
def test_a_connection_is_the_same_in_every_file_format(read: Callable, content: bytes) -> None:
    reading = read(content)
    row = reading.rows[0]

    assert (reading.reader, len(reading.rows), reading.problems.total) == ("pcap", 1, 0)
    assert (row["src"], row["src_port"], row["dst"], row["dst_port"]) == (CLIENT, 50_000, SERVER, 443)  # fmt: skip
    assert row["time"] == 1_700_000_000_123_456_000
    assert row["duration"] == 7_000_000
    assert (row["bytes_out"], row["bytes_in"]) == (5, 7)
    assert (row["packets_out"], row["packets_in"]) == (5, 3)  # the last ACK comes after the end
    assert (row["kind"], row["outcome"]) == (Kind.CONNECTION, Outcome.CLOSED)


def strip(link: int, packet: bytes) -> bytes:
    family = {4: 2, 6: 30}[packet[0] >> 4]
    kind = struct.pack(">H", 0x86DD if family == 30 else 0x0800)
    return {
        0: struct.pack("<I", family) + packet,
        1: ethernet(packet),
        9: b"\xff\x03\0\x21" + packet,
        101: packet,
        108: struct.pack(">I", family) + packet,
        113: bytes(14) + kind + packet,
        228: packet,
        276: kind + bytes(18) + packet,
    }[link]


@pytest.mark.parametrize("link", [0, 1, 9, 101, 108, 113, 228, 276])
@pytest.mark.parametrize(("src", "dst"), [(CLIENT, SERVER), ("2001:db8::5", "2001:db8::7")])
def test_every_link_type_is_read(read: Callable, link: int, src: str, dst: str) -> None:
    packets = [
        Packet(START, strip(link, udp(src, dst, 40_000, 53, b"ask"))),
        Packet(START + 0.1, strip(link, udp(dst, src, 53, 40_000, b"answer"))),
    ]
    for content in (pcap(packets, link=link), pcapng(packets, link=link)):
        (row,) = read(content).rows
        assert (row["src"], row["dst"], row["dst_port"], row["protocol"]) == (src, dst, 53, 17)
        assert (row["bytes_out"], row["bytes_in"]) == (3, 6)


def test_vlans_with_the_same_addresses_are_apart(read: Callable) -> None:
    packet = udp(CLIENT, SERVER, 1, 2, b"x")
    frames = [
        ethernet(packet),
        ethernet(packet, 10),
        ethernet(packet, 11),
        ethernet(packet, 11, 10),
    ]

    assert len(read(pcap([Packet(START, frame) for frame in frames])).rows) == 4


def test_interfaces_have_their_own_link_and_clock(read: Callable) -> None:
    packet = udp(CLIENT, SERVER, 1, 2)
    other = udp(CLIENT, SERVER, 3, 4)
    content = (
        section() + interface() + interface(link=101, resolution=9, offset=100)
        + enhanced("<", 5_000_000, ethernet(packet)) + enhanced("<", 5 * SECOND, other, 1)
        + section(">") + interface(">", resolution=0x80 | 10)
        + enhanced(">", 5 * 1024 + 512, ethernet(udp(CLIENT, SERVER, 5, 6)))
    )  # fmt: skip
    times = {row["dst_port"]: row["time"] for row in read(content).rows}

    assert times == {2: 5 * SECOND, 4: 105 * SECOND, 6: 5 * SECOND + SECOND // 2}


def test_other_blocks_are_stepped_over_and_timeless_packets_counted(read: Callable) -> None:
    frame = ethernet(udp(CLIENT, SERVER, 1, 2))
    content = (
        section() + block("<", 5, bytes(12)) + interface() + block("<", 4, bytes(8))
        + block("<", 3, struct.pack("<I", len(frame)) + frame + bytes(-len(frame) % 4))
        + enhanced("<", 1, frame) + block("<", 0xBAD, b"data")
    )  # fmt: skip
    reading = read(content)

    assert len(reading.rows) == 1
    assert reading.problems.counts == {"packets without a usable time": 1}


@pytest.mark.parametrize("content", [pcap(PACKETS), pcapng(PACKETS)])
def test_a_cut_last_record_is_counted_and_the_rest_read(read: Callable, content: bytes) -> None:
    reading = read(content[:-5])

    assert len(reading.rows) == 1
    assert reading.problems.counts == {"the last record is cut": 1}


def test_an_impossible_length_ends_the_reading(read: Callable) -> None:
    reading = read(pcap(PACKETS) + struct.pack("<IIII", 1, 1, 1 << 30, 1 << 30) + bytes(500))

    assert len(reading.rows) == 1
    assert list(reading.problems.counts) == ["a record of impossible length: the rest is not read"]


def test_bytes_are_those_of_the_wire_not_of_the_snapshot(read: Callable) -> None:
    frame = ethernet(udp(CLIENT, SERVER, 1, 2, bytes(1000)))
    (row,) = read(pcap([Packet(START, frame[:60], len(frame))])).rows

    assert row["bytes_out"] == 1000


def test_fragments_and_extension_headers(read: Callable) -> None:
    body = struct.pack(">HHHH", 1, 2, 3008, 0) + bytes(1472)
    first, second = ip(CLIENT, SERVER, 17, body, fragment=0x2000), ip(CLIENT, SERVER, 17, bytes(1528), fragment=185)  # fmt: skip
    six = ("2001:db8::5", "2001:db8::7")
    extended = ip(*six, 0, b"\x3c\0" + bytes(6) + b"\x11\0" + bytes(6) + struct.pack(">HHHH", 3, 4, 11, 0) + b"abc")  # fmt: skip
    rows = read(pcap([Packet(START, ethernet(f)) for f in (first, second, extended)])).rows

    assert {row["dst_port"]: (row["bytes_out"], row["packets_out"]) for row in rows} == {
        2: (3000, 1),
        4: (3, 1),
    }


def test_a_ping_is_one_connection_without_ports(read: Callable) -> None:
    frames = [echo(CLIENT, SERVER), echo(SERVER, CLIENT, reply=True)]
    (row,) = read(pcap([Packet(START, ethernet(f)) for f in frames])).rows

    assert (row["src"], row["protocol"], row["src_port"], row["dst_port"]) == (CLIENT, 1, 0, 0)
    assert (row["packets_out"], row["packets_in"], row["outcome"]) == (1, 1, Outcome.ESTABLISHED)


@pytest.mark.parametrize(("link", "said"), [(127, "127 (Wi-Fi)"), (147, "147")])
def test_a_link_type_that_is_not_read_is_named(read: Callable, link: int, said: str) -> None:
    reading = read(pcap(PACKETS, link=link))

    assert not reading.rows
    assert reading.problems.counts == {f"packets of a link type that is not read: {said}": 9}


def test_a_file_that_was_forced_and_is_no_capture_is_said(read: Callable) -> None:
    reading = read(b"no capture at all, but longer than a header", form="pcap")

    assert reading.problems.counts == {"no packet capture: its first bytes say otherwise": 1}


@pytest.mark.parametrize("wrap", [vxlan, geneve, lambda frame: erspan(frame, 2)])
def test_a_mirrored_connection_is_the_connection(read: Callable, wrap: Callable) -> None:
    answer = Packet(START, ethernet(dns_answer("a.example", SERVER)))
    plain = read(pcap([answer, *PACKETS]))
    mirror = [replace(packet, frame=wrap(packet.frame)) for packet in (answer, *PACKETS)]
    reading = read(pcap(mirror))

    assert reading.rows == plain.rows
    assert reading.names == plain.names
    assert reading.problems.total == 0
    assert reading.problems.useless == {
        "packets in a tunnel (VXLAN, GENEVE, GRE, IP in IP): read as what it carries": len(mirror)
    }


def test_a_tunnel_that_is_not_opened_is_counted(read: Callable) -> None:
    reading = read(pcap([Packet(START, gre(bytes(24), 0x880B)), *PACKETS]))

    assert reading.problems.useless == {"packets in a tunnel that is not opened": 1}
    assert len(reading.rows) == 1


@pytest.mark.parametrize("order", "<>")
def test_kuznetzovs_longer_records_are_read(read: Callable, order: str) -> None:
    plain = pcap(PACKETS, order=order)
    longer = bytearray(struct.pack(order + "I", 0xA1B2CD34) + plain[4:24])
    at = 24
    while at < len(plain):
        size = struct.unpack_from(order + "I", plain, at + 8)[0]
        longer += plain[at : at + 16] + bytes(8) + plain[at + 16 : at + 16 + size]
        at += 16 + size

    def readable(rows: list) -> list:
        return sorted((row["time"], row["src"], row["dst_port"], row["bytes_in"]) for row in rows)

    assert readable(read(bytes(longer)).rows) == readable(read(plain).rows)


@pytest.mark.parametrize("offset", [3600, -3600])
def test_an_interface_may_count_its_time_from_elsewhere(read: Callable, offset: int) -> None:
    frame = ethernet(udp(CLIENT, SERVER, 7, 9, b"x"))
    plain = pcapng([Packet(START, frame)])
    # Behind link type and snapshot length: the option, then the end of options.
    options = struct.pack("<HHqHH", 14, 8, offset, 0, 0)
    at = plain.index(struct.pack("<I", 1), 28)
    size = struct.unpack_from("<I", plain, at + 4)[0] + len(options)
    block = struct.pack("<II", 1, size) + plain[at + 8 : at + 16] + options + struct.pack("<I", size)  # fmt: skip
    rest = plain[at + struct.unpack_from("<I", plain, at + 4)[0] :]
    (row,) = read(plain[:at] + block + rest).rows

    assert row["time"] == round((START + offset) * 1e9)


def test_names_and_connections_come_together(read: Callable) -> None:
    reading = read(pcap([Packet(START, ethernet(dns_answer("c2.example.com", SERVER))), *PACKETS]))

    assert [(n["src"], n["dst"], n["name"]) for n in reading.names] == [(CLIENT, SERVER, "c2.example.com")]  # fmt: skip
    assert len(reading.rows) == 2


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=150,
)
@given(data=st.data())
def test_damage_anywhere_never_fails(read: Callable, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([pcap, pcapng]))(
        [*PACKETS, Packet(START, ethernet(dns_answer("a.example", SERVER)))]
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(24, len(whole)))

    read(bytes(damaged[:cut]), form="pcap")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=100,
)
@given(bodies=st.lists(st.binary(max_size=120), max_size=5), link=st.sampled_from([0, 1, 9, 101, 113, 276]))  # fmt: skip
def test_any_frames_are_read_or_counted(read: Callable, bodies: list[bytes], link: int) -> None:
    read(pcap([Packet(START + i, body) for i, body in enumerate(bodies)], link=link))


def test_tcp_flags_are_kept(read: Callable) -> None:
    (row,) = read(pcap([Packet(START, ethernet(tcp(CLIENT, SERVER, 1, 2, 0x02)))])).rows

    assert (row["tcp_flags_out"], row["tcp_flags_in"], row["outcome"]) == (2, 0, Outcome.UNKNOWN)


def test_progress_is_seen_while_no_connection_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("beacon_detect.readers.pcap.FIRST_BYTES", 4096)
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap([Packet(i / 100, ethernet(udp(CLIENT, SERVER, 7, 9, bytes(500)))) for i in range(90)]))  # fmt: skip
    problems = Problems()
    with Source(expand([str(path)])[0], problems) as source:
        seen = [source.taken for _ in PcapReader().read(source, problems, ReadOptions())]

    assert len(seen) > 10
