"""Frames: what the headers say, and nothing read that was not captured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.capture import frames
from capture_factory import OUTSIDE, SYN, echo, erspan, ethernet, geneve, gre, ip, tcp, udp, vxlan

ENDS = st.tuples(st.ip_addresses(v=4), st.integers(0, 65_535))


class Watched(bytes):
    """Bytes that remember the furthest place that was read."""

    furthest = -1

    def __getitem__(self, at: int) -> int:  # type: ignore[override]
        assert at >= 0
        self.furthest = max(self.furthest, at)
        return super().__getitem__(at)


def read_one(frame: bytes, link: int = 1, length: int = 0) -> tuple[list[int], list[int]]:
    rows, counters = [0] * frames.STRIDE, [0] * frames.COUNTERS
    kept = frames.read_frames(
        frame, [0], [len(frame)], [length or len(frame)], [5], [link], 1, rows, counters
    )
    return (rows if kept else []), counters


@given(ENDS, ENDS)
def test_both_directions_have_the_same_key(one: tuple, other: tuple) -> None:
    there, _ = read_one(ethernet(udp(str(one[0]), str(other[0]), one[1], other[1], b"abc")))
    back, _ = read_one(ethernet(udp(str(other[0]), str(one[0]), other[1], one[1], b"abc")))
    key = slice(frames.A0, frames.META + 1)

    assert there[key] == back[key]
    assert there[frames.PAYLOAD] == 3
    assert one == other or there[frames.SIDE] != back[frames.SIDE]


def test_a_reply_to_oneself_is_the_other_side() -> None:
    request, _ = read_one(ethernet(echo("10.0.0.1", "10.0.0.1")))
    reply, _ = read_one(ethernet(echo("10.0.0.1", "10.0.0.1", reply=True)))

    assert (request[frames.SIDE], reply[frames.SIDE]) == (0, 1)


@given(
    st.one_of(st.binary(max_size=120), st.builds(lambda wrap, body, size: wrap(body)[:size], st.sampled_from([vxlan, geneve, lambda body: gre(body, 0x0800), lambda body: erspan(body, 3)]), st.binary(max_size=80), st.integers(0, 160))),
    st.sampled_from([0, 1, 9, 12, 101, 108, 113, 228, 229, 276, 999]),
)  # fmt: skip
def test_nothing_behind_the_captured_bytes_is_read(frame: bytes, link: int) -> None:
    watched = Watched(frame + bytes(80))
    rows, counters = [0] * frames.STRIDE, [0] * frames.COUNTERS
    frames.read_frames(
        watched, [0], [len(frame)], [len(frame) + 999], [5], [link], 1, rows, counters
    )

    assert watched.furthest < max(len(frame), 1)
    assert sum(counters) - counters[frames.OPENED] == 1


@given(st.integers(0, 70))
def test_a_frame_cut_in_its_headers_is_counted_as_unparsed(size: int) -> None:
    frame = ethernet(tcp("10.0.0.1", "10.0.0.2", 1, 2, SYN, b"data"))
    _, counters = read_one(frame[:size], length=len(frame))

    assert counters[frames.PARSED if size >= 54 else frames.UNPARSED] == 1


def test_lengths_that_do_not_add_up_are_unparsed() -> None:
    wrong = [
        ip("10.0.0.1", "10.0.0.2", 17, bytes(8), total=19), ip("10.0.0.1", "10.0.0.2", 17, bytes(8), total=999),
        ip("10.0.0.1", "10.0.0.2", 6, bytes(20)), ip("2001:db8::1", "2001:db8::2", 17, bytes(8), total=99),
    ]  # fmt: skip
    for packet in wrong:
        assert read_one(ethernet(packet))[1][frames.UNPARSED] == 1, packet


def test_a_total_length_of_zero_means_the_rest_of_the_frame() -> None:
    body = tcp("10.0.0.1", "10.0.0.2", 1, 2, SYN, b"data")[20:]
    rows, _ = read_one(ethernet(ip("10.0.0.1", "10.0.0.2", 6, body, total=0)))

    assert rows[frames.PAYLOAD] == 4


def test_what_is_not_followed_is_ignored() -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    for frame in (arp, ethernet(ip("10.0.0.1", "10.0.0.2", 89, bytes(8)))):
        assert read_one(frame)[1][frames.IGNORED] == 1
    unreachable = ip("10.0.0.1", "10.0.0.2", 1, b"\3\3" + bytes(6))
    assert read_one(ethernet(unreachable))[1][frames.IGNORED] == 1
    assert read_one(b"x" * 60, link=127)[1][frames.NO_LINK] == 1


def test_tunnelled_labels_are_stepped_over() -> None:
    packet = udp("10.0.0.1", "10.0.0.2", 1, 2)
    mpls = bytes(12) + b"\x88\x47" + b"\0\0\0\x40" + b"\0\0\1\x40" + packet
    pppoe = bytes(12) + b"\x88\x64" + bytes(6) + b"\0\x21" + packet
    for frame in (mpls, pppoe):
        assert read_one(frame)[1][frames.PARSED] == 1


INNER = udp("10.0.0.5", "192.0.2.7", 40_000, 53, b"question")
INNER6 = tcp("2001:db8::5", "2001:db8::7", 40_000, 443, SYN)


@pytest.mark.parametrize("packet", [INNER, INNER6], ids=["v4", "v6"])
def test_a_packet_in_a_tunnel_is_the_packet(packet: bytes) -> None:
    plain, _ = read_one(ethernet(packet))
    kind = 0x86DD if packet == INNER6 else 0x0800
    frame = ethernet(packet)
    wrapped = [
        vxlan(frame), vxlan(frame, port=8472), vxlan(frame, flags=0x88), geneve(frame),
        geneve(packet, kind, bytes(12)), gre(packet, kind), gre(packet, kind, 0xB000),
        gre(frame, 0x6558, 0x2000), erspan(frame, 1), erspan(frame, 2), erspan(frame, 3),
        ethernet(ip(*OUTSIDE, 41 if packet == INNER6 else 4, packet)),
        ethernet(ip("2001:db8::a", "2001:db8::b", 41 if packet == INNER6 else 4, packet)),
        vxlan(vxlan(frame)), vxlan(erspan(vxlan(frame), 2)),
    ]  # fmt: skip
    for outer in wrapped:
        row, counters = read_one(outer)
        assert outer[row[frames.AT] :] == frame[plain[frames.AT] :]
        row[frames.AT] = plain[frames.AT]
        assert row == plain
        assert (counters[frames.PARSED], counters[frames.OPENED]) == (1, 1)


def test_tags_inside_and_outside_a_tunnel_are_stepped_over() -> None:
    inside, _ = read_one(vxlan(ethernet(INNER, 10)))
    outside, _ = read_one(ethernet(vxlan(ethernet(INNER))[14:], 20))

    assert inside[frames.META] == 17 | 10 << 8
    assert outside[frames.META] == 17  # the mirror's own VLAN says nothing about what is mirrored


def test_a_packet_that_its_mirror_cut_counts_with_its_whole_length() -> None:
    frame = ethernet(udp("10.0.0.5", "192.0.2.7", 1, 2, bytes(1000)))
    row, counters = read_one(vxlan(frame[:60]))

    assert (row[frames.PAYLOAD], row[frames.CAPTURED]) == (1000, 60 - 42)
    assert counters[frames.UNPARSED] == 0


def test_a_datagram_that_only_has_the_port_of_a_tunnel_stays_a_datagram() -> None:
    frame = ethernet(INNER)
    plain = [
        vxlan(frame, flags=0), vxlan(frame, flags=0x48), vxlan(frame, port=4790),
        geneve(frame, 0x0806), ethernet(udp(*OUTSIDE, 1, 4789, b"short")),
        ethernet(udp(*OUTSIDE, 4789, 1, (0x08 << 24).to_bytes(4) + bytes(4) + frame)),
    ]  # fmt: skip
    for outer in plain:
        row, counters = read_one(outer)
        assert row[frames.A0 + 3] >> 24 == 172
        assert counters[frames.OPENED] == 0


def test_what_no_tunnel_is_opened_for_is_counted() -> None:
    frame = ethernet(INNER)
    for outer in (
        gre(INNER, 0x880B), gre(INNER, 0x0800, 0x4000), gre(INNER, 0x0800, 1),
        gre(bytes(8) + frame, 0x88BE, 0x1000), gre(bytes(12) + frame, 0x22EB, 0x1000),
    ):  # fmt: skip
        assert read_one(outer)[1][frames.TUNNELS] == 1
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    counters = read_one(vxlan(arp))[1]
    assert (counters[frames.IGNORED], counters[frames.OPENED]) == (1, 1)
    # As deep as nobody nests them: the last one is seen as what it is.
    row, counters = read_one(vxlan(vxlan(vxlan(vxlan(frame)))))
    assert row[frames.PORTS] in (50_123 << 16 | 4789, 4789 << 16 | 50_123)
