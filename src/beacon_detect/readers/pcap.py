"""Packet captures, pcap and pcapng, to connections as the live sensor builds them.

Reads both byte orders, micro- and nanoseconds, interfaces of different link
types and clocks in one pcapng file, and whatever there is of a record that was
cut at the end of the file. Limit: a damaged length ends the reading, because
the next record cannot be found behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from beacon_detect.readers.base import Chunk
from beacon_detect.readers.capture import frames
from beacon_detect.readers.capture.connections import BATCH, Connections
from beacon_detect.readers.capture.index import BROKEN, DESCRIPTION, INTERFACE_BLOCK, MAX_BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beacon_detect.readers.base import Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

FIRST_BYTES = 1 << 20
CHUNK_BYTES = 8 << 20
LARGE_FILE = 32 << 20
"""Files from this size on are worth the compiler from the first packet on."""
_MAGICS = {
    b"\xd4\xc3\xb2\xa1": (0, 1000, 16),
    b"\xa1\xb2\xc3\xd4": (1, 1000, 16),
    b"\x4d\x3c\xb2\xa1": (0, 1, 16),
    b"\xa1\xb2\x3c\x4d": (1, 1, 16),
    b"\x34\xcd\xb2\xa1": (0, 1000, 24),
    b"\xa1\xb2\xcd\x34": (1, 1000, 24),
}
"""Magic number of pcap -> byte order (1: most significant first), ns of a fraction, bytes before a
packet. The last two are Kuznetzov's, whose records also say on which interface."""
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_HEADER = 24
_LINK_NAMES = {
    105: "Wi-Fi", 119: "Wi-Fi", 127: "Wi-Fi", 163: "Wi-Fi", 192: "PPI, mostly Wi-Fi", 6: "Token Ring",
    187: "Bluetooth", 189: "USB", 195: "802.15.4", 201: "Bluetooth", 220: "USB", 227: "CAN",
    239: "NFLOG", 251: "Bluetooth",
}  # fmt: skip
"""What captures of link types that are not read are of: https://www.tcpdump.org/linktypes.html"""
_RESOLUTION, _OFFSET = 9, 14
"""Options of an interface block: unit and offset of its times."""


class PcapReader:
    """Packet captures."""

    name = "pcap"
    title = "packet capture (pcap, pcapng)"

    def matches(self, head: bytes) -> bool:
        """Say whether the file begins as a capture does."""
        if head[:4] == _PCAPNG:
            return head[8:12] in {b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"}
        return head[:4] in _MAGICS and len(head) >= _HEADER

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the capture's connections, bursts and names."""
        del options
        if not self.matches(source.head):
            problems.note("no packet capture: its first bytes say otherwise", source.label)
            return
        followed = Connections(compiled=source.size >= LARGE_FILE)
        file: _Pcap | _Pcapng = _Pcapng() if source.head[:4] == _PCAPNG else _Pcap(source)
        data = b""
        place = 0
        while True:
            more = source.read(FIRST_BYTES if followed.interpreted else CHUNK_BYTES)
            data = data + more if data else more
            at, ended = 0, False
            buffer: Any = data if followed.interpreted else np.frombuffer(data, np.uint8)
            while True:
                count, at, status = file.index(followed, buffer, data, at)
                if count:
                    yield from followed.add(buffer, count)
                elif status == BROKEN:
                    problems.note("a record of impossible length: the rest is not read", f"{source.label}: byte {place + at}")  # fmt: skip
                    ended = True
                if not count and status != DESCRIPTION:
                    break
            place += at
            data = data[at:]
            if ended or not more:
                break
            followed.speed_up()
            # Nothing may have ended for a long while; whoever reads still sees how far it is.
            yield Chunk()
        if data and not ended:
            problems.note("the last record is cut", f"{source.label}: byte {place}")
        yield from followed.finish()
        _note(followed, file.links, problems, source.label)
        problems.note("packets without a usable time", source.label, file.timeless)


def _note(followed: Connections, links: set[int], problems: Problems, label: str) -> None:
    counters = followed.counters
    problems.note("no valid IP packet", label, int(counters[frames.UNPARSED]))
    strange = sorted(links - set(frames.LINKS))
    named = ", ".join(f"{link} ({_LINK_NAMES[link]})" if link in _LINK_NAMES else str(link) for link in strange)  # fmt: skip
    problems.note(f"packets of a link type that is not read: {named}", label, int(counters[frames.NO_LINK]))  # fmt: skip
    problems.leave("packets in a tunnel (VXLAN, GENEVE, GRE, IP in IP): read as what it carries", int(counters[frames.OPENED]))  # fmt: skip
    problems.leave("packets in a tunnel that is not opened", int(counters[frames.TUNNELS]))


class _Pcap:
    """A pcap file: one byte order, one unit, one link type."""

    timeless = 0

    def __init__(self, source: Source) -> None:
        header = source.read(_HEADER)
        self._swapped, self._unit, self._before = _MAGICS[header[:4]]
        link = header[20:24] if self._swapped else header[23:19:-1]
        # The upper bits tell of checksums at the end of frames.
        self._link = int.from_bytes(link) & 0x03FFFFFF
        self.links = {self._link}
        self._filled: Any = None

    def index(
        self, followed: Connections, buffer: Any, data: bytes, at: int
    ) -> tuple[int, int, int]:
        batch = followed.batch
        if self._filled is not batch:
            self._filled = batch
            batch.links[:] = [self._link] * BATCH
        count, at, status = followed.stages.index_pcap(
            buffer, at, len(data), self._swapped, self._unit, self._before, batch.starts,
            batch.captured, batch.lengths, batch.times, BATCH,
        )  # fmt: skip
        return count, at, status


class _Pcapng:
    """A pcapng file: sections, each with its byte order and interfaces."""

    def __init__(self) -> None:
        self._swapped = 0
        self.links: set[int] = set()
        """Link types of all interfaces of all sections."""
        self._links: list[int] = []
        self._ticks: list[int] = []
        self._offsets: list[int] = []
        self.timeless = 0
        """Packets without a usable time (simple packet blocks, for example)."""

    def index(
        self, followed: Connections, buffer: Any, data: bytes, at: int
    ) -> tuple[int, int, int]:
        batch = followed.batch
        ticks: Any = self._ticks or [1]
        offsets: Any = self._offsets or [0]
        skipped: Any = [0]
        if not followed.interpreted:
            ticks, offsets, skipped = (np.array(c, np.int64) for c in (ticks, offsets, skipped))
        count, at, status = followed.stages.index_pcapng(
            buffer, at, len(data), self._swapped, ticks, offsets, len(self._links), batch.starts,
            batch.captured, batch.lengths, batch.times, batch.links, BATCH, skipped,
        )  # fmt: skip
        self.timeless += int(skipped[0])
        if count:
            known = np.array(self._links, np.int64)
            batch.links[:count] = (
                known[np.asarray(batch.links[:count], np.int64)].tolist()
                if followed.interpreted
                else known[batch.links[:count]]
            )
            return count, at, status
        if status == DESCRIPTION:
            at, status = self._describe(data, at)
        return count, at, status

    def _describe(self, data: bytes, at: int) -> tuple[int, int]:
        """Take a section or interface block; return where the next begins and the status."""
        if data[at : at + 4] == _PCAPNG:
            if len(data) < at + 12:
                return at, 0
            self._swapped = int(data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d")
            self._links, self._ticks, self._offsets = [], [], []
        size = self._number(data[at + 4 : at + 8])
        if size < 12 or size % 4 or size > MAX_BLOCK:
            return at, BROKEN
        if at + size > len(data):
            return at, 0
        if self._number(data[at : at + 4]) == INTERFACE_BLOCK:
            self._interface(data[at + 8 : at + size - 4])
        return at + size, DESCRIPTION

    def _interface(self, body: bytes) -> None:
        ticks, offset, at = 1_000_000, 0, 8
        while at + 4 <= len(body):
            code, size = self._number(body[at : at + 2]), self._number(body[at + 2 : at + 4])
            value = body[at + 4 : at + 4 + size]
            if code == _RESOLUTION and value:
                ticks = 1 << (value[0] & 0x3F) if value[0] & 0x80 else 10 ** min(value[0], 18)
            elif code == _OFFSET and len(value) == 8:
                offset = int.from_bytes(value, self._order, signed=True)
            at += 4 + (size + 3) // 4 * 4
            if code == 0:
                break
        self._links.append(self._number(body[:2]))
        self.links.add(self._links[-1])
        self._ticks.append(min(ticks, 1 << 62))
        self._offsets.append(offset if abs(offset) < 1 << 33 else 0)

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self._order)

    @property
    def _order(self) -> Literal["big", "little"]:
        return "big" if self._swapped else "little"
