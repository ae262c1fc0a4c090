"""Host mode counts the view of one socket only, whichever ends live on this host."""

from __future__ import annotations

import pytest

from beacon_detect.data_plane.events import EventKind
from beacon_detect.records import Direction
from kernel.conftest import Bench
from kernel.packets import ACK, FIN, SYN, V4, V6, Route

pytestmark = pytest.mark.root

ROUTES = pytest.mark.parametrize("route", [V4, V4.back, V6], ids=["v4", "v4 back", "v6"])


def twice(bench: Bench, *frames: bytes) -> None:
    """Both ends are here: the sender's socket sees each packet, then the receiver's does."""
    for frame in frames:
        bench.send(frame, by="host_egress")
        bench.send(frame, by="host_ingress")


def conversation(route: Route, seq: int = 1000) -> list[bytes]:
    return [
        route.tcp(SYN, seq=seq),
        route.back.tcp(SYN | ACK, ack=seq + 1),
        route.tcp(ACK),
        route.tcp(ACK, b"hello"),
        route.back.tcp(ACK, b"world!"),
        route.tcp(FIN | ACK),
        route.back.tcp(FIN | ACK),
    ]


@ROUTES
def test_a_connection_within_the_host_is_counted_once(bench: Bench, route: Route) -> None:
    twice(bench, *conversation(route))

    assert bench.kinds() == [EventKind.START, EventKind.END]
    assert bench.flow()["bytes"].sum() == 11
    assert bench.flow()["packets"].sum() == 7
    assert bench.flow()["direction"] == Direction.OUTBOUND
    assert bench.counted()["other_view"] == 7


@ROUTES
def test_ports_used_again_within_the_host_are_counted_once_each(bench: Bench, route: Route) -> None:
    for seq in range(5):
        twice(bench, *conversation(route, seq))

    assert bench.kinds() == [EventKind.START, EventKind.END] * 5
    assert bench.counted()["other_view"] == 35


@ROUTES
def test_ports_used_again_from_the_other_end_bind_to_its_opener(bench: Bench, route: Route) -> None:
    twice(bench, *conversation(route), *conversation(route.back, 7))

    assert bench.kinds() == [EventKind.START, EventKind.END] * 2
    assert bench.flow()["direction"] == Direction.OUTBOUND
    assert bench.flow()["packets"].sum() == 7


@ROUTES
@pytest.mark.parametrize(
    ("outgoing", "direction"), [(True, Direction.OUTBOUND), (False, Direction.INBOUND)]
)
def test_the_direction_says_where_the_opener_is(
    bench: Bench, route: Route, outgoing: bool, direction: Direction
) -> None:
    """The peer is elsewhere: one end's hooks see the packets of both directions."""
    for frame, is_openers in zip(conversation(route), [1, 0, 1, 1, 0, 1, 0], strict=True):
        bench.send(frame, by="host_egress" if bool(is_openers) == outgoing else "host_ingress")

    assert bench.flow()["direction"] == direction
    assert bench.flow()["packets"].sum() == 7
    assert "other_view" not in bench.counted()


def test_datagrams_and_echoes_within_the_host_are_counted_once(bench: Bench) -> None:
    twice(bench, V4.udp(b"ask"), V4.back.udp(b"answer"))
    twice(bench, V6.echo(3, b"ping"), V6.back.echo(3, b"ping", reply=True))

    assert sorted(bench.flows()["value"]["bytes"].sum(axis=1).tolist()) == [8, 9]
    assert bench.counted()["other_view"] == 4


def test_a_middle_seen_from_both_ends_is_counted_once(bench: Bench) -> None:
    twice(bench, V4.back.tcp(ACK, b"abc"), V4.tcp(ACK), V4.back.tcp(ACK, b"abc"))

    assert bench.flow()["bytes"].sum() == 6
    assert bench.flow()["packets"].sum() == 3


def test_an_entry_from_user_space_binds_to_the_first_view_it_meets(bench: Bench) -> None:
    bench.send(V4.tcp(ACK, b"abc"))  # by an interface: no view
    assert bench.flow()["direction"] == Direction.UNKNOWN
    twice(bench, V4.tcp(ACK, b"abc"))

    assert bench.flow()["direction"] == Direction.OUTBOUND
    assert bench.flow()["bytes"].sum() == 6


def test_a_belated_copy_of_a_syn_opens_nothing(bench: Bench) -> None:
    """The receiver's view of a retry may come when the connection is over already."""
    twice(bench, *conversation(V4))
    bench.send(V4.tcp(SYN, seq=77), by="host_ingress")

    assert bench.kinds() == [EventKind.START, EventKind.END]
