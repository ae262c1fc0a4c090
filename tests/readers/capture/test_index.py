"""Index: records are found whatever the cut of the chunk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.capture import index
from capture_factory import Packet, pcap, pcapng

FRAMES = st.lists(st.binary(max_size=40), max_size=12)


def columns(count: int = 5) -> list[list[int]]:
    return [[0] * 20 for _ in range(count)]


@given(FRAMES, st.integers(1, 5), st.integers(0, 200), st.sampled_from("<>"))
def test_pcap_records_are_found_in_pieces(frames: list[bytes], room: int, cut: int, order: str) -> None:  # fmt: skip
    content = pcap([Packet(i + 0.5, f, len(f) + 9) for i, f in enumerate(frames)], order=order)[24:]
    starts, captured, lengths, times, _ = columns()
    found = []
    at = 0
    for end in (min(cut, len(content)), len(content)):
        while True:
            count, at, status = index.index_pcap(
                content,
                at,
                end,
                int(order == ">"),
                1000,
                16,
                starts,
                captured,
                lengths,
                times,
                room,
            )
            assert status == index.MORE
            found += [
                (content[starts[i] : starts[i] + captured[i]], lengths[i] - captured[i], times[i])
                for i in range(count)
            ]
            if not count:
                break

    assert at == len(content)
    assert found == [(f, 9, i * 10**9 + 5 * 10**8) for i, f in enumerate(frames)]


@given(FRAMES, st.integers(1, 5), st.integers(0, 300))
def test_pcapng_blocks_are_found_in_pieces(frames: list[bytes], room: int, cut: int) -> None:
    content = pcapng([Packet(i + 0.5, frame) for i, frame in enumerate(frames)])[28 + 20 :]
    starts, captured, lengths, times, links = columns()
    found = []
    at = 0
    for end in (min(cut, len(content)), len(content)):
        while True:
            count, at, status = index.index_pcapng(
                content, at, end, 0, [1_000_000], [0], 1, starts, captured, lengths, times, links,
                room, [0],
            )  # fmt: skip
            assert status == index.MORE
            found += [
                (content[starts[i] : starts[i] + captured[i]], times[i]) for i in range(count)
            ]
            if not count:
                break

    assert found == [(f, i * 10**9 + 5 * 10**8) for i, f in enumerate(frames)]


@given(st.binary(max_size=120))
def test_any_bytes_stop_the_index_or_are_records(content: bytes) -> None:
    starts, captured, lengths, times, links = columns()
    _, at, _ = index.index_pcap(
        content, 0, len(content), 0, 1, 16, starts, captured, lengths, times, 20
    )
    assert at <= len(content)
    _, at, _ = index.index_pcapng(
        content, 0, len(content), 0, [1], [0], 1, starts, captured, lengths, times, links, 20, [0]
    )
    assert at <= len(content)
