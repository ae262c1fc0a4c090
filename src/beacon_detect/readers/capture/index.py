"""Stage 1: where the packets of a capture begin, how long they are, and when they were seen.

Knows the record headers of pcap and the packet blocks of pcapng; what describes
the capture rather than a packet (section and interface blocks) goes back to the
caller. All functions follow the rules of :mod:`kernels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

KERNELS = ("read_u16", "read_u32", "index_pcap", "index_pcapng")

MAX_FRAME = 1 << 20
"""No link has longer packets; a longer record means a damaged file."""
MAX_BLOCK = 64 << 20

MORE = 0
"""The chunk ends inside a record, or the columns are full."""
BROKEN = 1
"""A length is impossible: nothing behind it can be trusted."""
DESCRIPTION = 2
"""A section or interface block is next."""

SECTION_BLOCK = 0x0A0D0D0A
INTERFACE_BLOCK = 1
OLD_PACKET_BLOCK = 2
SIMPLE_PACKET_BLOCK = 3
ENHANCED_PACKET_BLOCK = 6
SECOND = 1_000_000_000
LATEST = 9_000_000_000
"""Later seconds (after the year 2255) do not fit in 63 bits of nanoseconds."""


def read_u16(buffer: Sequence[int], at: int, swapped: int) -> int:
    """Read 16 bits, most significant byte first if ``swapped``."""
    if swapped:
        return buffer[at] * 256 + buffer[at + 1]
    return buffer[at + 1] * 256 + buffer[at]


def read_u32(buffer: Sequence[int], at: int, swapped: int) -> int:
    """Read 32 bits, most significant byte first if ``swapped``."""
    if swapped:
        return ((buffer[at] * 256 + buffer[at + 1]) * 256 + buffer[at + 2]) * 256 + buffer[at + 3]
    return ((buffer[at + 3] * 256 + buffer[at + 2]) * 256 + buffer[at + 1]) * 256 + buffer[at]


def index_pcap(
    buffer: Sequence[int], at: int, end: int, swapped: int, unit: int, before: int, starts: MutableSequence[int], captured: MutableSequence[int],
    lengths: MutableSequence[int], times: MutableSequence[int], room: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Index pcap records from ``at``; return how many, where the next begins, and why it stopped.

    ``unit`` is the nanoseconds of one fraction of a second in the file,
    ``before`` the bytes of a record before its packet.
    """
    count = 0
    while count < room and at + before <= end:
        kept = read_u32(buffer, at + 8, swapped)
        if kept > MAX_FRAME:
            return count, at, BROKEN
        if at + before + kept > end:
            break
        seconds = read_u32(buffer, at, swapped)
        times[count] = seconds * SECOND + read_u32(buffer, at + 4, swapped) * unit
        starts[count] = at + before
        captured[count] = kept
        lengths[count] = read_u32(buffer, at + 12, swapped)
        at += before + kept
        count += 1
    return count, at, MORE


def index_pcapng(
    buffer: Sequence[int], at: int, end: int, swapped: int, ticks: MutableSequence[int], offsets: MutableSequence[int], interfaces: int,
    starts: MutableSequence[int], captured: MutableSequence[int], lengths: MutableSequence[int], times: MutableSequence[int], links: MutableSequence[int], room: int, skipped: MutableSequence[int],
) -> tuple[int, int, int]:  # fmt: skip
    """Index pcapng packet blocks from ``at``; as :func:`index_pcap`.

    ``ticks`` (a second) and ``offsets`` (s) describe the interfaces;
    ``links`` gets the interface of each packet, ``skipped[0]`` counts packets without a usable time.
    """
    count = 0
    while count < room and at + 12 <= end:
        kind = read_u32(buffer, at, swapped)
        if kind in (SECTION_BLOCK, INTERFACE_BLOCK):
            return count, at, DESCRIPTION
        size = read_u32(buffer, at + 4, swapped)
        if size < 12 or size % 4 or size > MAX_BLOCK:
            return count, at, BROKEN
        if at + size > end:
            break
        if kind in (ENHANCED_PACKET_BLOCK, OLD_PACKET_BLOCK) and size >= 32:
            interface = (
                read_u32(buffer, at + 8, swapped)
                if kind == ENHANCED_PACKET_BLOCK
                else read_u16(buffer, at + 8, swapped)
            )
            kept = read_u32(buffer, at + 20, swapped)
            if kept > size - 32 or interface >= interfaces:
                return count, at, BROKEN
            high, low = read_u32(buffer, at + 12, swapped), read_u32(buffer, at + 16, swapped)
            # Epoch times of any unit down to ns stay below 63 bits until the year 2262.
            stamp = (high & 0x7FFFFFFF) << 32 | low
            tick = ticks[interface]
            seconds = stamp // tick
            rest = stamp - seconds * tick
            # Of units finer than ns, multiplying first would leave 63 bits.
            fraction = rest * SECOND // tick if tick <= 4 * SECOND else rest // (tick // SECOND)
            seconds += offsets[interface]
            if seconds < 0 or seconds > LATEST:
                skipped[0] += 1
            else:
                times[count] = seconds * SECOND + fraction
                starts[count] = at + 28
                captured[count] = kept
                lengths[count] = read_u32(buffer, at + 24, swapped)
                links[count] = interface
                count += 1
        elif kind == SIMPLE_PACKET_BLOCK:
            skipped[0] += 1
        at += size
    return count, at, MORE
