"""Stage 2: from the bytes of a packet to the key of its connection and what it adds to it.

The same reading as the kernel program's (``bpf/parse.h``): link header, VLAN
tags, IPv4 or IPv6 with extension headers, TCP, UDP, ICMP echo. Lengths come
from the IP header, so a short snapshot length does not lose bytes. Every read
is checked against what was captured. Unlike the kernel program it opens tunnels:
traffic mirrors of clouds and switches arrive in VXLAN, GENEVE or ERSPAN, and what
they carry is what was asked for. Limit: GTP, Teredo, L2TP and PPTP are not opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

KERNELS = (
    "u8",
    "u16",
    "u32",
    "link_header",
    "network_header",
    "ip4",
    "ip6",
    "udp_length",
    "udp_tunnel",
    "erspan",
    "gre_tunnel",
    "tunnel",
    "transport",
    "write_key",
    "network",
    "read_frames",
)

PARSED = 0
IGNORED = 1
"""No IP, or no TCP, UDP or ICMP echo."""
UNPARSED = 2
"""Too short, or lengths that do not add up."""
FRAGMENTS = 3
"""Fragments after the first: the first carries the ports."""
NO_LINK = 4
"""A link type that is not known here."""
TUNNELS = 5
"""Tunnels that are not opened: GRE with something else than IP or Ethernet, or too many in one another."""
OPENED = 6
"""Packets that came in a tunnel; the other counters say what became of them."""
COUNTERS = 7

LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_RAW_A, LINK_RAW_B, LINK_RAW = 0, 1, 9, 12, 14, 101
LINK_PPP_HDLC, LINK_PPPOE, LINK_C_HDLC = 50, 51, 104
LINK_LOOP, LINK_SLL, LINK_IPV4, LINK_IPV6, LINK_SLL2 = 108, 113, 228, 229, 276
"""https://www.tcpdump.org/linktypes.html"""
LINKS = (
    LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_RAW_A, LINK_RAW_B, LINK_RAW, LINK_PPP_HDLC, LINK_PPPOE,
    LINK_C_HDLC, LINK_LOOP, LINK_SLL, LINK_IPV4, LINK_IPV6, LINK_SLL2,
)  # fmt: skip

TYPE_IP4, TYPE_IP6, TYPE_PPPOE, TYPE_MPLS, TYPE_MPLS_MANY = 0x0800, 0x86DD, 0x8864, 0x8847, 0x8848
TYPE_VLAN, TYPE_QINQ, TYPE_OLD_QINQ, TYPE_OLDER_QINQ = 0x8100, 0x88A8, 0x9100, 0x9200
TYPE_ANY_IP = 1
"""The link does not say which version of IP; the packet does."""
TYPE_BRIDGED = 0x6558
"""An Ethernet frame follows."""
TYPE_ERSPAN, TYPE_ERSPAN_3 = 0x88BE, 0x22EB
"""What a switch mirrors by GRE: draft-foschiano-erspan."""
MAX_TAGS = 4
MAX_EXTENSIONS = 8
MAX_TUNNELS = 3
"""Tunnels in one another: a mirror of hosts whose containers have an overlay network of their own."""

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
IP_IN_IP, IP6_IN_IP, GRE = 4, 41, 47
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
SYN, ACK = 0x02, 0x10
VXLAN, LINUX_VXLAN, GENEVE = 4789, 8472, 6081
"""UDP ports of tunnels: RFC 7348, what Linux took before it (flannel and Cilium still do), RFC 8926."""
GRE_CHECKSUM, GRE_ROUTING, GRE_KEY, GRE_SEQUENCE, GRE_VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 7
"""Flags of RFC 2784, 1701 and 2890, each of which makes the header longer by 4."""

(
    A0, A1, A2, A3, B0, B1, B2, B3, PORTS, META, SIDE, REPLY, FLAGS, PAYLOAD, ISN, AT, CAPTURED, TIME,
) = range(18)  # fmt: skip
"""Columns of a packet row. A and B: addresses as 32-bit words, smaller (address, port) first;
PORTS: a's in the upper 16 bits; META: protocol and, from bit 8, VLAN; SIDE: 0 if sent by a;
AT, CAPTURED: where the payload begins in the chunk and how much of it is there."""
STRIDE = 18


def u8(buffer: Sequence[int], at: int) -> int:
    """Read a byte as a signed word: numba makes unsigned ones of shifted bytes, and floats of both."""
    return buffer[at] + 0


def u16(buffer: Sequence[int], at: int) -> int:
    """Read 16 bits in network order."""
    return buffer[at] * 256 + buffer[at + 1]


def u32(buffer: Sequence[int], at: int) -> int:
    """Read 32 bits in network order."""
    return ((buffer[at] * 256 + buffer[at + 1]) * 256 + buffer[at + 2]) * 256 + buffer[at + 3]


def link_header(buffer: Sequence[int], at: int, stop: int, link: int) -> tuple[int, int, int]:
    """Return status, what follows the link header, and where."""
    if link == LINK_ETHERNET:
        return (PARSED, u16(buffer, at + 12), at + 14) if at + 14 <= stop else (UNPARSED, 0, 0)
    if link == LINK_SLL:
        return (PARSED, u16(buffer, at + 14), at + 16) if at + 16 <= stop else (UNPARSED, 0, 0)
    if link == LINK_SLL2:
        return (PARSED, u16(buffer, at), at + 20) if at + 20 <= stop else (UNPARSED, 0, 0)
    if link in (LINK_NULL, LINK_LOOP):
        return PARSED, TYPE_ANY_IP, at + 4
    if link == LINK_PPPOE:
        return PARSED, TYPE_PPPOE, at
    if link == LINK_C_HDLC:
        return (PARSED, u16(buffer, at + 2), at + 4) if at + 4 <= stop else (UNPARSED, 0, 0)
    if link in (LINK_PPP, LINK_PPP_HDLC):
        return PARSED, TYPE_ANY_IP, at + (4 if at < stop and u8(buffer, at) == 0xFF else 2)
    if link in (LINK_RAW, LINK_RAW_A, LINK_RAW_B, LINK_IPV4, LINK_IPV6):
        return PARSED, TYPE_ANY_IP, at
    return NO_LINK, 0, 0


def network_header(buffer: Sequence[int], at: int, stop: int, link: int) -> tuple[int, int, int]:
    """Return status, where the IP header begins, and the VLAN."""
    status, kind, at = link_header(buffer, at, stop, link)
    zone = 0
    for _ in range(MAX_TAGS):
        if kind not in (TYPE_VLAN, TYPE_QINQ, TYPE_OLD_QINQ, TYPE_OLDER_QINQ):
            break
        if at + 4 > stop:
            return UNPARSED, 0, 0
        zone = (zone << 12 | (u16(buffer, at) & 0x0FFF)) & 0xFFFF
        kind = u16(buffer, at + 2)
        at += 4
    if kind == TYPE_PPPOE:
        return PARSED, at + 8, zone
    while kind in (TYPE_MPLS, TYPE_MPLS_MANY):
        if at + 4 > stop:
            return UNPARSED, 0, 0
        if u8(buffer, at + 2) & 1:  # the bottom of the stack
            kind = TYPE_ANY_IP
        at += 4
    if status == PARSED and kind not in (TYPE_IP4, TYPE_IP6, TYPE_ANY_IP):
        status = IGNORED
    return status, at, zone


def ip4(buffer: Sequence[int], at: int, stop: int, wire: int) -> tuple[int, int, int, int, int]:
    """Return status, protocol, where its header begins, its length, and whether more fragments follow."""
    if at + 20 > stop:
        return UNPARSED, 0, 0, 0, 0
    header = (u8(buffer, at) & 0x0F) * 4
    total = u16(buffer, at + 2)
    if total == 0:  # the card was to cut a large segment, and the header was never filled in
        total = wire - at
    if header < 20 or total < header or total > wire - at:
        return UNPARSED, 0, 0, 0, 0
    fragment = u16(buffer, at + 6)
    if fragment & 0x1FFF:
        return FRAGMENTS, 0, 0, 0, 0
    return PARSED, u8(buffer, at + 9), at + header, total - header, fragment & 0x2000


def ip6(buffer: Sequence[int], at: int, stop: int, wire: int) -> tuple[int, int, int, int, int]:
    """Return what :func:`ip4` does, extension headers stepped over."""
    if at + 40 > stop:
        return UNPARSED, 0, 0, 0, 0
    length = u16(buffer, at + 4)
    protocol = u8(buffer, at + 6)
    at += 40
    if length == 0:
        length = wire - at
    if length > wire - at:
        return UNPARSED, 0, 0, 0, 0
    more = 0
    for _ in range(MAX_EXTENSIONS + 1):
        if protocol not in (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION):
            return PARSED, protocol, at, length, more
        if at + 8 > stop:
            return UNPARSED, 0, 0, 0, 0
        size = (u8(buffer, at + 1) + 1) * 8
        if protocol == AUTHENTICATION:
            size = (u8(buffer, at + 1) + 2) * 4
        elif protocol == FRAGMENT:
            if u16(buffer, at + 2) & 0xFFF8:
                return FRAGMENTS, 0, 0, 0, 0
            more = u16(buffer, at + 2) & 1
            size = 8
        if size > length:
            return UNPARSED, 0, 0, 0, 0
        protocol = u8(buffer, at)
        at += size
        length -= size
    return UNPARSED, 0, 0, 0, 0


def udp_length(buffer: Sequence[int], at: int, stop: int, length: int, more: int) -> int:
    """Return the length of a UDP datagram with its header, or -1."""
    if at + 8 > stop or length < 8:
        return -1
    claimed = u16(buffer, at + 4)
    if claimed == 0:
        return length
    # Of a first fragment it covers the fragments that follow.
    if claimed < 8 or (claimed > length and not more):
        return -1
    return claimed


def udp_tunnel(buffer: Sequence[int], at: int, stop: int) -> tuple[int, int]:
    """Return what a UDP datagram carries (0: it is no tunnel), and where.

    A datagram that only has the port of a tunnel stays the datagram it is.
    """
    if at + 16 > stop:
        return 0, 0
    port = u16(buffer, at + 2)
    at += 8
    if port in (VXLAN, LINUX_VXLAN):
        # The flag that says that there is a network's number; with 0x80 a group policy, too.
        if u8(buffer, at) & 0x7F != 0x08 or u8(buffer, at + 7) != 0:
            return 0, 0
        return TYPE_BRIDGED, at + 8
    if port == GENEVE and u8(buffer, at) >> 6 == 0 and u8(buffer, at + 7) == 0:
        kind = u16(buffer, at + 2)
        if kind in (TYPE_BRIDGED, TYPE_IP4, TYPE_IP6):
            return kind, at + 8 + (u8(buffer, at) & 0x3F) * 4
    return 0, 0


def gre_tunnel(buffer: Sequence[int], at: int, stop: int) -> tuple[int, int]:
    """Return what a GRE packet carries (0: nothing that is read), and where."""
    if at + 4 > stop:
        return 0, 0
    flags, kind = u16(buffer, at), u16(buffer, at + 2)
    if flags & (GRE_ROUTING | GRE_VERSION):
        return 0, 0
    at += 4
    if flags & GRE_CHECKSUM:
        at += 4
    if flags & GRE_KEY:
        at += 4
    if flags & GRE_SEQUENCE:
        at += 4
    if kind == TYPE_ERSPAN and flags & GRE_SEQUENCE == 0:  # the first version has no header
        return TYPE_BRIDGED, at
    if kind in (TYPE_ERSPAN, TYPE_ERSPAN_3):
        return erspan(buffer, at, stop)
    return (kind, at) if kind in (TYPE_BRIDGED, TYPE_IP4, TYPE_IP6) else (0, 0)


def erspan(buffer: Sequence[int], at: int, stop: int) -> tuple[int, int]:
    """Return what follows the header of ERSPAN's second or third version, and where."""
    if at + 12 > stop:
        return 0, 0
    version = u8(buffer, at) >> 4
    if version == 1:
        return TYPE_BRIDGED, at + 8
    # The last bit says that eight bytes of the platform's own follow.
    return (TYPE_BRIDGED, at + (20 if u8(buffer, at + 11) & 1 else 12)) if version == 2 else (0, 0)


def tunnel(buffer: Sequence[int], at: int, stop: int, protocol: int) -> tuple[int, int]:
    """Return what the packet carries, if it is one of a tunnel (else 0), and where."""
    if protocol == UDP:
        return udp_tunnel(buffer, at, stop)
    if protocol == GRE:
        return gre_tunnel(buffer, at, stop)
    return (TYPE_ANY_IP, at) if protocol in (IP_IN_IP, IP6_IN_IP) else (0, 0)


def transport(
    buffer: Sequence[int],
    at: int,
    stop: int,
    length: int,
    protocol: int,
    more: int,
    rows: MutableSequence[int],
    row: int,
) -> tuple[int, int, int]:
    """Read the TCP, UDP or ICMP header into a row; return status and both ports."""
    rows[row + FLAGS] = 0
    rows[row + REPLY] = 0
    rows[row + ISN] = 0
    if protocol == TCP:
        if at + 20 > stop:
            return UNPARSED, 0, 0
        header = (u8(buffer, at + 12) >> 4) * 4
        if header < 20 or header > length:
            return UNPARSED, 0, 0
        flags = u8(buffer, at + 13)
        rows[row + FLAGS] = flags
        rows[row + ISN] = u32(buffer, at + 4)
        if flags & (SYN | ACK) == SYN | ACK:
            rows[row + REPLY] = 1
            rows[row + ISN] = (u32(buffer, at + 8) - 1) & 0xFFFFFFFF
    elif protocol == UDP:
        header = 8
        length = udp_length(buffer, at, stop, length, more)
        if length < 0:
            return UNPARSED, 0, 0
    elif protocol in (ICMP, ICMP6):
        if length < 8 or at + 8 > stop:
            return UNPARSED, 0, 0
        header = 8
        kind = u8(buffer, at)
        request, reply = (8, 0) if protocol == ICMP else (128, 129)
        if kind not in (request, reply):
            return IGNORED, 0, 0
        rows[row + REPLY] = 1 if kind == reply else 0
    else:
        return TUNNELS if protocol in (IP_IN_IP, IP6_IN_IP, GRE) else IGNORED, 0, 0
    rows[row + PAYLOAD] = length - header
    rows[row + AT] = at + header
    rows[row + CAPTURED] = max(min(stop - at, length) - header, 0)
    if protocol in (ICMP, ICMP6):
        identifier = u16(buffer, at + 4)
        return PARSED, identifier, identifier
    return PARSED, u16(buffer, at), u16(buffer, at + 2)


def write_key(
    buffer: Sequence[int],
    at: int,
    version: int,
    source_port: int,
    destination_port: int,
    rows: MutableSequence[int],
    row: int,
) -> None:
    """Write addresses and ports into a row, the smaller end first."""
    side = 0
    decided = False
    for i in range(4):
        if version == 6:
            source, destination = u32(buffer, at + 8 + 4 * i), u32(buffer, at + 24 + 4 * i)
        elif i == 3:
            source, destination = u32(buffer, at + 12), u32(buffer, at + 16)
        else:
            source = destination = 0xFFFF if i == 2 else 0
        rows[row + A0 + i] = source
        rows[row + B0 + i] = destination
        if not decided and source != destination:
            side = 1 if source > destination else 0
            decided = True
    if not decided:
        if source_port != destination_port:
            side = 1 if source_port > destination_port else 0
        else:  # a host that pings itself: the reply counts for the other side
            side = rows[row + REPLY]
    if side:
        for i in range(4):
            source = rows[row + A0 + i]
            rows[row + A0 + i] = rows[row + B0 + i]
            rows[row + B0 + i] = source
        rows[row + PORTS] = destination_port << 16 | source_port
    else:
        rows[row + PORTS] = source_port << 16 | destination_port
    rows[row + SIDE] = side


def network(
    buffer: Sequence[int], at: int, stop: int, wire: int, depth: int
) -> tuple[int, int, int, int, int, int]:
    """Return version and status of an IP packet, and what :func:`ip4` does.

    Inside a tunnel the inner header is believed: mirrors cut packets, and then
    the lengths outside are those of what was left.
    """
    version = u8(buffer, at) >> 4
    if version == 4:
        if depth and at + 4 <= stop:
            wire = max(wire, at + u16(buffer, at + 2))
        status, protocol, header, length, more = ip4(buffer, at, stop, wire)
    elif version == 6:
        if depth and at + 6 <= stop:
            wire = max(wire, at + 40 + u16(buffer, at + 4))
        status, protocol, header, length, more = ip6(buffer, at, stop, wire)
    else:
        status, protocol, header, length, more = IGNORED, 0, 0, 0, 0
    return version, status, protocol, header, length, more


def read_frames(
    buffer: Sequence[int], starts: MutableSequence[int], captured: MutableSequence[int], lengths: MutableSequence[int], times: MutableSequence[int], links: MutableSequence[int], count: int,
    rows: MutableSequence[int], counters: MutableSequence[int],
) -> int:  # fmt: skip
    """Read ``count`` packets into rows; return how many rows there are, count the others by reason."""
    kept = 0
    for i in range(count):
        row = kept * STRIDE
        start = starts[i]
        stop = start + captured[i]
        wire = start + max(lengths[i], captured[i])
        status, at, zone = network_header(buffer, start, stop, links[i])
        depth = 0
        looking = 1
        version = protocol = header = length = more = 0
        while looking:
            looking = 0
            if status == PARSED and at >= stop:
                status = UNPARSED
            if status == PARSED:
                version, status, protocol, header, length, more = network(
                    buffer, at, stop, wire, depth
                )
            if status == PARSED and protocol in (UDP, GRE, IP_IN_IP, IP6_IN_IP):
                inner, place = tunnel(buffer, header, stop, protocol)
                if inner and depth < MAX_TUNNELS:
                    at = place
                    depth += 1
                    looking = 1
                    if inner == TYPE_BRIDGED:
                        status, at, zone = network_header(buffer, at, stop, LINK_ETHERNET)
        if depth:
            counters[OPENED] += 1
        if status != PARSED:
            counters[status] += 1
            continue
        status, source_port, destination_port = transport(
            buffer, header, stop, length, protocol, more, rows, row
        )
        counters[status] += 1
        if status != PARSED:
            continue
        write_key(buffer, at, version, source_port, destination_port, rows, row)
        rows[row + META] = protocol | zone << 8
        rows[row + TIME] = times[i]
        kept += 1
    return kept
