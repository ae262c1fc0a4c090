"""Packets made by hand for the kernel tests: every header field is ours to bend.

Checksums stay zero: the programs under test never read them.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, AUTH, DESTINATION, NO_NEXT, ESP = 0, 43, 44, 51, 60, 59, 50

ETHERNET_ADDRESSES = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"
IPV4, IPV6, VLAN, QINQ, ARP = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806


def ethernet(kind: int, payload: bytes, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """Return a frame; ``tags`` are (type, VLAN id) from the outer one in."""
    header = ETHERNET_ADDRESSES
    for tag_type, vlan in tags:
        header += struct.pack("!HH", tag_type, vlan)
    return header + struct.pack("!H", kind) + payload


def ipv4(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    fragment: int = 0,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    """Return an IPv4 packet; ``fragment`` is the flags and offset word."""
    words = 5 + len(options) // 4
    length = 20 + len(options) + len(payload) if total is None else total
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, 1, fragment, 64, protocol, 0)
    return header + addresses + options + payload


def ipv6(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    extensions: tuple[tuple[int, bytes], ...] = (),
    length: int | None = None,
) -> bytes:
    """Return an IPv6 packet; ``extensions`` are (type, header without its first byte)."""
    chain = [kind for kind, _ in extensions] + [protocol]
    body = b"".join(
        bytes([following]) + rest
        for following, (_, rest) in zip(chain[1:], extensions, strict=True)
    )
    body += payload
    size = len(body) if length is None else length
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack("!IHBB", 0x60000000, size, chain[0], 64) + addresses + body


def tcp_segment(
    source_port: int,
    destination_port: int,
    flags: int,
    payload: bytes = b"",
    *,
    sequence: int = 0,
    acknowledgement: int = 0,
    options: bytes = b"",
    words: int | None = None,
) -> bytes:
    """Return a TCP segment; ``words`` bends the header length it claims."""
    offset = (5 + len(options) // 4 if words is None else words) << 4
    header = struct.pack(
        "!HHIIBBHHH",
        *(source_port, destination_port, sequence, acknowledgement, offset, flags, 8192, 0, 0),
    )
    return header + options + payload


def udp_datagram(
    source_port: int, destination_port: int, payload: bytes = b"", *, length: int | None = None
) -> bytes:
    """Return a UDP datagram; ``length`` bends the length it claims."""
    size = 8 + len(payload) if length is None else length
    return struct.pack("!HHHH", source_port, destination_port, size, 0) + payload


def icmp_message(kind: int, identifier: int, payload: bytes = b"") -> bytes:
    """Return an ICMP or ICMPv6 message with an echo's header."""
    return struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + payload


@dataclass(frozen=True)
class Route:
    """One direction between two endpoints; the IP version is the addresses'."""

    source: str = "192.0.2.1"
    destination: str = "192.0.2.2"
    source_port: int = 40000
    destination_port: int = 443

    @property
    def back(self) -> Route:
        """Return the other direction."""
        return Route(self.destination, self.source, self.destination_port, self.source_port)

    def with_port(self, source_port: int) -> Route:
        """Return the same route from another source port."""
        return replace(self, source_port=source_port)

    @property
    def is_v6(self) -> bool:
        return ":" in self.source

    def frame(self, protocol: int, payload: bytes) -> bytes:
        """Return an Ethernet frame with an L4 payload of any protocol."""
        if self.is_v6:
            return ethernet(IPV6, ipv6(self.source, self.destination, protocol, payload))
        return ethernet(IPV4, ipv4(self.source, self.destination, protocol, payload))

    def tcp(self, flags: int, payload: bytes = b"", *, seq: int = 1000, ack: int = 0) -> bytes:
        """Return a frame with a TCP segment."""
        ports = (self.source_port, self.destination_port)
        segment = tcp_segment(*ports, flags, payload, sequence=seq, acknowledgement=ack)
        return self.frame(TCP, segment)

    def udp(self, payload: bytes = b"") -> bytes:
        """Return a frame with a UDP datagram."""
        return self.frame(UDP, udp_datagram(self.source_port, self.destination_port, payload))

    def echo(self, identifier: int, payload: bytes = b"", *, reply: bool = False) -> bytes:
        """Return a frame with an echo request or reply."""
        if self.is_v6:
            return self.frame(ICMP6, icmp_message(129 if reply else 128, identifier, payload))
        return self.frame(ICMP, icmp_message(0 if reply else 8, identifier, payload))


V4 = Route()
V6 = Route("2001:db8::1", "2001:db8::2")
