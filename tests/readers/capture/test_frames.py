"""Frames: what the headers say, and nothing read that was not captured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.capture import frames
from capture_factory import SYN, echo, ethernet, ip, tcp, udp

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


@given(st.binary(max_size=120), st.sampled_from([0, 1, 9, 12, 101, 108, 113, 228, 229, 276, 999]))
def test_nothing_behind_the_captured_bytes_is_read(frame: bytes, link: int) -> None:
    watched = Watched(frame + bytes(80))
    rows, counters = [0] * frames.STRIDE, [0] * frames.COUNTERS
    frames.read_frames(
        watched, [0], [len(frame)], [len(frame) + 999], [5], [link], 1, rows, counters
    )

    assert watched.furthest < max(len(frame), 1)
    assert sum(counters) == 1


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
