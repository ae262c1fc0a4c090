"""Frames and capture files made by hand, for the tests of the packet stages."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from itertools import pairwise

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
SECOND = 1_000_000_000
CLIENT, SERVER = "10.0.0.5", "192.0.2.7"


def ip(src: str, dst: str, protocol: int, body: bytes, **options: int) -> bytes:
    """An IPv4 or IPv6 packet; ``fragment`` (the 16-bit field), ``total`` (its length field)."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 6:
        length = options.get("total", len(body))
        return struct.pack(">IHBB", 6 << 28, length, protocol, 64) + a.packed + b.packed + body
    total = options.get("total", 20 + len(body))
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, total, 1, options.get("fragment", 0), 64, protocol, 0)
        + a.packed + b.packed + body
    )  # fmt: skip


def tcp_header(sport: int, dport: int, flags: int, seq: int = 1, ack: int = 0) -> bytes:
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 1024, 0, 0)


def tcp(
    src: str, dst: str, sport: int, dport: int, flags: int, data: bytes = b"", *, seq: int = 1,
    ack: int = 0,
) -> bytes:  # fmt: skip
    return ip(src, dst, 6, tcp_header(sport, dport, flags, seq, ack) + data)


def udp(src: str, dst: str, sport: int, dport: int, data: bytes = b"") -> bytes:
    return ip(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data)


def echo(src: str, dst: str, *, reply: bool = False, identifier: int = 7) -> bytes:
    six = ":" in src
    kind = (129 if reply else 128) if six else (0 if reply else 8)
    return ip(
        src, dst, 58 if six else 1, struct.pack(">BBHHH", kind, 0, 0, identifier, 1) + b"ping"
    )


def ethernet(packet: bytes, *tags: int) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    vlan = b"".join(struct.pack(">HH", 0x88A8 if i else 0x8100, tag) for i, tag in enumerate(tags))
    return bytes(12) + vlan + struct.pack(">H", kind) + packet


@dataclass(frozen=True)
class Packet:
    """A frame and the second it was seen."""

    time: float
    frame: bytes
    length: int = 0
    """Length on the wire, if not all of it was captured."""

    @property
    def ns(self) -> int:
        return round(self.time * 1_000_000) * 1000


def pcap(packets: list[Packet], *, link: int = 1, order: str = "<", ns: bool = False) -> bytes:
    magic = 0xA1B23C4D if ns else 0xA1B2C3D4
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for packet in packets:
        seconds, rest = divmod(packet.ns, SECOND)
        length = packet.length or len(packet.frame)
        head = struct.pack(f"{order}IIII", seconds, rest // (1 if ns else 1000), len(packet.frame), length)  # fmt: skip
        parts += [head, packet.frame]
    return b"".join(parts)


def block(order: str, kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack(f"{order}II", kind, size) + body + struct.pack(f"{order}I", size)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", link: int = 1, resolution: int | None = None, offset: int = 0) -> bytes:  # fmt: skip
    options = b""
    if resolution is not None:
        options += struct.pack(f"{order}HHB3x", 9, 1, resolution)
    if offset:
        options += struct.pack(f"{order}HHq", 14, 8, offset)
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, 0) + options)


def enhanced(order: str, stamp: int, frame: bytes, at: int = 0) -> bytes:
    padded = frame + bytes(-len(frame) % 4)
    body = struct.pack(f"{order}IIIII", at, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 6, body + padded)


def pcapng(packets: list[Packet], *, order: str = "<", link: int = 1) -> bytes:
    frames = [enhanced(order, packet.ns // 1000, packet.frame) for packet in packets]
    return section(order) + interface(order, link) + b"".join(frames)


def connection(
    start: float, sport: int = 50_000, *, request: bytes = b"hello", answer: bytes = b"welcome",
    isn: int = 1000, dport: int = 443, server: str = SERVER,
) -> list[Packet]:  # fmt: skip
    """A whole TCP connection of nine packets."""
    up, down = (CLIENT, server, sport, dport), (server, CLIENT, dport, sport)
    frames = [
        tcp(*up, SYN, seq=isn), tcp(*down, SYN | ACK, seq=9, ack=isn + 1), tcp(*up, ACK),
        tcp(*up, PSH | ACK, request), tcp(*down, PSH | ACK, answer), tcp(*up, ACK),
        tcp(*up, FIN | ACK), tcp(*down, FIN | ACK), tcp(*up, ACK),
    ]  # fmt: skip
    return [Packet(start + i / 1000, ethernet(frame)) for i, frame in enumerate(frames)]


def polling(start: float, polls: int, interval: float) -> list[Packet]:
    """One TCP connection that stays open, with a request and an answer every ``interval`` seconds."""
    up, down = (CLIENT, SERVER, 50_000, 443), (SERVER, CLIENT, 443, 50_000)
    packets = [(0.0, tcp(*up, SYN, seq=1)), (0.01, tcp(*down, SYN | ACK, seq=9, ack=2))]
    packets.append((0.02, tcp(*up, ACK, seq=2, ack=10)))
    for number in range(polls):
        at = 0.03 + number * interval
        sequence = {"seq": 2 + 6 * number, "ack": 10 + 4 * number}
        packets.append((at, tcp(*up, PSH | ACK, b"orders", **sequence)))
        packets.append((at + 0.05, tcp(*down, PSH | ACK, b"none", seq=sequence["ack"], ack=0)))
    return [Packet(start + at, ethernet(packet)) for at, packet in packets]


def dns_answer(name: str, *addresses: str, client: str = CLIENT) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    answers = b""
    for text in addresses:
        packed = ipaddress.ip_address(text).packed
        kind = 28 if len(packed) == 16 else 1
        answers += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(packed)) + packed
    head = struct.pack(">HHHHHH", 1, 0x8180, 1, len(addresses), 0, 0)
    return udp("10.0.0.1", client, 53, 40_000, head + labels + b"\0\1\0\1" + answers)


def client_hello(name: str) -> bytes:
    sni = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name.encode()
    extensions = struct.pack(">HH", 10, 2) + b"\0\0" + struct.pack(">HH", 0, len(sni)) + sni
    hello = b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", 2) + b"\x13\1" + b"\1\0"
    hello += struct.pack(">H", len(extensions)) + extensions
    handshake = b"\1" + len(hello).to_bytes(3) + hello
    return b"\x16\3\1" + struct.pack(">H", len(handshake)) + handshake


def split_hello(start: float, hello: bytes, *cuts: int, port: int = 50_000) -> list[Packet]:
    """A client hello in several segments, cut at some of its bytes."""
    bounds = (0, *cuts, len(hello))
    pieces = [hello[a:b] for a, b in pairwise(bounds)]
    return [
        Packet(start + i / 1000, ethernet(tcp(CLIENT, SERVER, port, 443, PSH | ACK, piece)))
        for i, piece in enumerate(pieces)
    ]


OUTSIDE = ("172.31.0.4", "172.31.0.9")
"""Ends of the tunnels below."""


def vxlan(frame: bytes, *, port: int = 4789, flags: int = 0x08, network: int = 77) -> bytes:
    """An Ethernet frame as a cloud mirrors it."""
    return ethernet(
        udp(*OUTSIDE, 50_123, port, struct.pack(">II", flags << 24, network << 8) + frame)
    )


def geneve(inner: bytes, kind: int = 0x6558, options: bytes = b"") -> bytes:
    """A frame or packet as gateway load balancers hand it over."""
    head = struct.pack(">BBHI", len(options) // 4, 0, kind, 77 << 8) + options
    return ethernet(udp(*OUTSIDE, 50_123, 6081, head + inner))


def gre(inner: bytes, kind: int, flags: int = 0) -> bytes:
    """Anything in GRE; checksum, key and number are there as ``flags`` say."""
    fields = bytes(4 * (flags & 0xB000).bit_count())
    return ethernet(ip(*OUTSIDE, 47, struct.pack(">HH", flags, kind) + fields + inner))


def erspan(frame: bytes, version: int) -> bytes:
    """An Ethernet frame as a switch mirrors it."""
    if version == 1:
        return gre(frame, 0x88BE)
    if version == 2:
        return gre(b"\x10" + bytes(7) + frame, 0x88BE, 0x1000)
    return gre(b"\x20" + bytes(10) + b"\1" + bytes(8) + frame, 0x22EB, 0x1000)
