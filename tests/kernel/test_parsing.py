"""What the parser makes of every kind of header, whole and broken."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from beacon_detect.data_plane.events import EventKind
from beacon_detect.records import Outcome
from kernel.conftest import Bench
from kernel.packets import (
    ACK,
    ARP,
    AUTH,
    DESTINATION,
    ESP,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    ICMP6,
    IPV4,
    IPV6,
    NO_NEXT,
    QINQ,
    ROUTING,
    SYN,
    TCP,
    UDP,
    V4,
    V6,
    VLAN,
    Route,
    ethernet,
    icmp_message,
    ipv4,
    ipv6,
    tcp_segment,
    udp_datagram,
)

pytestmark = pytest.mark.root

MORE_FRAGMENTS = 0x2000
SMALLEST_RUN = 34
"""Recent kernels refuse to test-run an IP packet shorter than its fixed header."""


@pytest.mark.parametrize("route", [V4, V6], ids=["v4", "v6"])
def test_udp_counts_payload_both_ways(bench: Bench, route: Route) -> None:
    bench.send(route.udp(b"12345"), route.back.udp(b"123"), route.back.udp(b""))

    value = bench.flow()
    assert value["bytes"].tolist() == [5, 3]
    assert value["packets"].tolist() == [1, 2]
    assert value["outcome"] == Outcome.ESTABLISHED
    assert bench.kinds() == [EventKind.START]


def test_udp_activity_after_silence_is_a_burst(bench: Bench) -> None:
    bench.send(V4.udp(b"a"))
    bench.be_idle()
    bench.send(V4.udp(b""), V4.back.udp(b"b"))

    assert bench.kinds() == [EventKind.START, EventKind.BURST]


@pytest.mark.parametrize("route", [V4, V6, V4.back], ids=["v4", "v6", "v4 back"])
def test_echoes_of_one_identifier_are_one_flow_opened_by_the_request(
    bench: Bench, route: Route
) -> None:
    bench.send(route.echo(77, b"ping" * 10), route.back.echo(77, b"ping" * 10, reply=True))
    bench.send(route.echo(77), route.echo(78))

    flows = bench.flows()
    (flow,) = flows[flows["key"]["port_a"] == 77]
    out = int(flow["value"]["opener"])
    assert len(flows) == 2
    assert flow["key"]["port_b"] == 77
    assert out == (1 if route == V4.back else 0)
    assert flow["value"]["bytes"][out] == flow["value"]["bytes"][1 - out] == 40
    assert flow["value"]["packets"][out] == 2


@pytest.mark.parametrize("route", [V4, V6], ids=["v4", "v6"])
def test_a_reply_without_request_was_opened_by_its_receiver(bench: Bench, route: Route) -> None:
    bench.send(route.back.echo(5, b"x", reply=True))

    assert bench.flow()["opener"] == 0
    assert bench.flow()["outcome"] == Outcome.ESTABLISHED


def test_a_host_that_pings_itself_has_two_sides(bench: Bench) -> None:
    itself = Route("192.0.2.1", "192.0.2.1")
    bench.send(itself.echo(5, b"ab"), itself.echo(5, b"abc", reply=True))

    assert bench.flow()["bytes"].tolist() == [2, 3]


@pytest.mark.parametrize("kind", [3, 5, 11, 13, 133, 135, 136])
def test_other_icmp_messages_are_ignored(bench: Bench, kind: int) -> None:
    bench.send(V4.frame(ICMP, icmp_message(kind, 1)), V6.frame(ICMP6, icmp_message(kind, 1)))

    assert bench.counted() == {"packets": 2, "ignored": 2}


def test_what_is_not_tracked_is_ignored(bench: Bench) -> None:
    bench.send(ethernet(ARP, bytes(28)), V4.frame(47, bytes(20)), V6.frame(NO_NEXT, b""))
    bench.send(V6.frame(ESP, bytes(40)), V4.frame(132, bytes(20)))

    assert bench.counted() == {"packets": 5, "ignored": 5}


@pytest.mark.parametrize("option", ["track_tcp", "track_udp", "track_icmp"])
def test_each_protocol_can_be_left_out(bench_with: Callable[..., Bench], option: str) -> None:
    bench = bench_with(**{option: False})
    frames = {"track_tcp": V4.tcp(SYN), "track_udp": V6.udp(b"x"), "track_icmp": V4.echo(1)}
    bench.send(*frames.values())

    assert bench.counted() == {"packets": 3, "ignored": 1, "opened": 2, "events": 2}


def test_loopback_is_ignored_unless_wanted(bench_with: Callable[..., Bench]) -> None:
    local = [Route("127.0.0.1", "127.0.0.1"), Route("::1", "::1"), Route("127.9.9.9", "192.0.2.1")]
    frames = [route.tcp(SYN) for route in local] + [local[0].udp(b"x"), local[1].echo(3)]
    ignoring, wanting = bench_with(), bench_with(include_loopback=True)
    ignoring.send(*frames)
    wanting.send(*frames)

    assert ignoring.counted() == {"packets": 5, "ignored": 5}
    assert wanting.counted() == {"packets": 5, "opened": 5, "events": 5}


def test_ipv4_options_are_stepped_over(bench: Bench) -> None:
    segment = tcp_segment(40000, 443, ACK, b"data", options=bytes(20))
    packet = ipv4("192.0.2.1", "192.0.2.2", TCP, segment, options=bytes(40))
    bench.send(ethernet(IPV4, packet))

    assert bench.flow()["bytes"].sum() == 4


PADDING = bytes([0]) + bytes(6)
FIRST_FRAGMENT = struct.pack("!BHI", 0, 1, 9)
ATOMIC_FRAGMENT = struct.pack("!BHI", 0, 0, 9)
LATER_FRAGMENT = struct.pack("!BHI", 0, 1480, 9)


@pytest.mark.parametrize(
    "extensions",
    [
        ((HOP_BY_HOP, PADDING),),
        ((ROUTING, bytes([2]) + bytes(22)),),
        ((HOP_BY_HOP, PADDING), (DESTINATION, PADDING), (ROUTING, PADDING), (FRAGMENT, ATOMIC_FRAGMENT)),
        ((AUTH, bytes([4]) + bytes(22)), (DESTINATION, PADDING)),
        ((DESTINATION, PADDING),) * 8,
    ],
    ids=["hop-by-hop", "routing", "mixed", "authentication", "the longest chain"],
)  # fmt: skip
def test_ipv6_extension_headers_are_stepped_over(
    bench: Bench, extensions: tuple[tuple[int, bytes], ...]
) -> None:
    segment = tcp_segment(40000, 443, ACK, b"data")
    packet = ipv6("2001:db8::1", "2001:db8::2", TCP, segment, extensions=extensions)
    bench.send(ethernet(IPV6, packet))

    (flow,) = bench.flows()
    assert (flow["key"]["port_a"], flow["key"]["port_b"]) == (40000, 443)
    assert flow["value"]["bytes"].sum() == 4


def test_a_longer_chain_of_extension_headers_is_unparsed(bench: Bench) -> None:
    segment = tcp_segment(40000, 443, ACK)
    for length in (9, 10, 20):
        chain = ((DESTINATION, PADDING),) * length
        bench.send(
            ethernet(IPV6, ipv6("2001:db8::1", "2001:db8::2", TCP, segment, extensions=chain))
        )

    assert bench.counted() == {"packets": 3, "unparsed": 3}


def test_a_first_fragment_stands_for_its_datagram_and_later_ones_are_counted(bench: Bench) -> None:
    datagram = udp_datagram(40000, 53, b"x" * 1000, length=8 + 4000)
    between = ("192.0.2.1", "192.0.2.2", UDP)
    bench.send(ethernet(IPV4, ipv4(*between, datagram, fragment=MORE_FRAGMENTS)))
    bench.send(ethernet(IPV4, ipv4(*between, b"x" * 1000, fragment=MORE_FRAGMENTS | 126)))
    bench.send(ethernet(IPV4, ipv4(*between, b"x" * 1000, fragment=251)))

    assert bench.flow()["bytes"].tolist() == [4000, 0]
    assert bench.flow()["packets"].tolist() == [1, 0]
    assert bench.counted()["fragments"] == 2


def test_ipv6_fragments_likewise(bench: Bench) -> None:
    datagram = udp_datagram(40000, 53, b"x" * 1000, length=8 + 4000)
    between = ("2001:db8::1", "2001:db8::2", UDP)
    first = ipv6(*between, datagram, extensions=((FRAGMENT, FIRST_FRAGMENT),))
    later = ipv6(*between, b"x" * 1000, extensions=((FRAGMENT, LATER_FRAGMENT),))
    bench.send(ethernet(IPV6, first), ethernet(IPV6, later))

    assert bench.flow()["bytes"].tolist() == [4000, 0]
    assert bench.counted()["fragments"] == 1


@pytest.mark.parametrize(
    ("tags", "zone"),
    [
        ((), 0),
        (((VLAN, 100),), 100),
        (((VLAN, 0xE064),), 100),
        (((QINQ, 5), (VLAN, 100)), (5 << 12 | 100) & 0xFFFF),
        (((VLAN, 5), (VLAN, 100)), (5 << 12 | 100) & 0xFFFF),
    ],
    ids=["none", "802.1Q", "with priority", "802.1ad", "nested 802.1Q"],
)
@pytest.mark.parametrize("route", [V4, V6], ids=["v4", "v6"])
def test_vlan_tags_in_the_packet_become_the_zone(
    bench: Bench, route: Route, tags: tuple[tuple[int, int], ...], zone: int
) -> None:
    plain = route.tcp(ACK, b"data")
    kind = IPV6 if route.is_v6 else IPV4
    bench.send(ethernet(kind, plain[14:], tags))

    (flow,) = bench.flows()
    assert flow["key"]["zone"] == zone
    assert flow["value"]["bytes"].sum() == 4


def test_three_vlan_tags_are_ignored(bench: Bench) -> None:
    bench.send(ethernet(IPV4, V4.tcp(SYN)[14:], ((VLAN, 1), (VLAN, 2), (VLAN, 3))))

    assert bench.counted() == {"packets": 1, "ignored": 1}


def test_ethernet_padding_is_not_payload(bench: Bench) -> None:
    bench.send(V4.tcp(ACK) + bytes(20), V6.udp(b"x") + bytes(20))

    assert sorted(bench.flows()["value"]["bytes"].sum(axis=1).tolist()) == [0, 1]


@pytest.mark.parametrize("route", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("by", ["link_ingress", "host_egress"])
def test_a_packet_cut_anywhere_is_counted_as_unparsed(bench: Bench, route: Route, by: str) -> None:
    whole = [route.tcp(SYN, b"abc"), route.udp(b"abcdef"), route.echo(1, b"abcdef")]
    cut = [frame[:size] for frame in whole for size in range(SMALLEST_RUN, len(frame))]
    # An IPv6 packet's shortest accepted length is 40 bytes after Ethernet.
    cut = [frame for frame in cut if not route.is_v6 or len(frame) >= 54]
    bench.send(*cut, by=by)

    assert bench.counted() == {"packets": len(cut), "unparsed": len(cut)}


@pytest.mark.parametrize(
    "packet",
    [
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN, words=4)),
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN, words=15)),
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN), total=19),
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN), total=0),
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN), total=30),
        ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN), total=65535),
        ipv4("192.0.2.1", "192.0.2.2", UDP, udp_datagram(1, 2, b"abc", length=7)),
        ipv4("192.0.2.1", "192.0.2.2", UDP, udp_datagram(1, 2, b"abc", length=12)),
        b"\x44" + ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN))[1:],
        b"\x65" + ipv4("192.0.2.1", "192.0.2.2", TCP, tcp_segment(1, 2, SYN))[1:],
    ],
    ids=["short TCP header", "long TCP header", "short total", "no total", "total in TCP header",
         "long total", "short UDP length", "long UDP length", "short IP header", "wrong version"],
)  # fmt: skip
def test_contradictory_lengths_are_unparsed(bench: Bench, packet: bytes) -> None:
    bench.send(ethernet(IPV4, packet))

    assert bench.counted() == {"packets": 1, "unparsed": 1}


def test_contradictory_ipv6_lengths_are_unparsed(bench: Bench) -> None:
    between = ("2001:db8::1", "2001:db8::2", TCP)
    segment = tcp_segment(1, 2, SYN)
    beyond = ((DESTINATION, bytes([200]) + bytes(6)),)
    bench.send(ethernet(IPV6, ipv6(*between, segment, length=0)))
    bench.send(ethernet(IPV6, ipv6(*between, segment, length=21)))
    bench.send(ethernet(IPV6, ipv6(*between, segment, extensions=beyond)))
    bench.send(ethernet(IPV6, b"\x40" + ipv6(*between, segment)[1:]))

    assert bench.counted() == {"packets": 4, "unparsed": 4}


def test_an_extension_header_that_reaches_beyond_the_packet_is_unparsed(bench: Bench) -> None:
    """Behind the packet there is padding, and in it what looks like a segment."""
    segment = tcp_segment(1, 2, SYN)
    beyond = ((DESTINATION, bytes([3]) + bytes(6)),)
    packet = ipv6("2001:db8::1", "2001:db8::2", TCP, bytes(16), extensions=beyond)
    bench.send(ethernet(IPV6, packet + bytes(8) + segment * 3))

    assert bench.counted() == {"packets": 1, "unparsed": 1}


def test_aggregated_packets_without_a_total_length_are_measured(bench: Bench) -> None:
    """BIG TCP: more than 64 kB in one packet, its length field zero."""
    segment = tcp_segment(40000, 443, ACK, b"z" * 1000)
    packet = ipv4("192.0.2.1", "192.0.2.2", TCP, segment, total=0)
    bench.send(ethernet(IPV4, packet), segments=7)

    assert bench.flow()["bytes"].tolist() == [1000, 0]
    assert bench.flow()["packets"].tolist() == [7, 0]


@pytest.mark.parametrize("by", ["link_ingress_l3", "link_egress_l3"])
def test_the_twins_for_headerless_devices_read_from_the_ip_header(bench: Bench, by: str) -> None:
    # A test run always brings an Ethernet header; the twin must take it for IP, and refuse it.
    bench.send(V4.tcp(SYN), by=by)

    assert bench.counted() == {"packets": 1, "unparsed": 1}


SEEDS = [V4.tcp(SYN, b"abc"), V6.tcp(ACK, b"abc"), V4.udp(b"abc"), V6.udp(b""), V4.echo(1, b"x"),
         V6.echo(2, reply=True)]  # fmt: skip
REASONS = ("ignored", "unparsed", "fragments", "other_view", "late", "stray", "map_full")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SEEDS),
            st.lists(st.tuples(st.integers(14, 90), st.integers(0, 255)), max_size=4),
            st.sampled_from(["link_ingress", "link_egress", "host_ingress", "host_egress"]),
        ),
        max_size=20,
    )
)
def test_every_packet_is_in_a_flow_or_in_exactly_one_counter(
    bench: Bench, packets: list[tuple[bytes, list[tuple[int, int]], str]]
) -> None:
    bench.reset()
    for seed, changes, by in packets:
        frame = bytearray(seed)
        for position, byte in changes:
            frame[position % len(frame)] = byte if position % len(frame) >= 14 else 0
        bench.send(bytes(frame), by=by)
    counted = bench.counted()
    assume("reopened" not in counted)

    reasons = sum(counted.get(reason, 0) for reason in REASONS)
    in_flows = int(bench.flows()["value"]["packets"].sum())
    assert counted.get("packets", 0) == len(packets) == reasons + in_flows
