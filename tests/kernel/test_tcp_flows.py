"""TCP connections from hand-made packets: opened, counted, woken up, ended, replaced."""

from __future__ import annotations

import pytest

from beacon_detect.data_plane.events import DELIVERED_END, DELIVERED_START, EventKind
from beacon_detect.records import Direction, Origin, Outcome
from kernel.conftest import Bench
from kernel.packets import ACK, FIN, PSH, RST, SYN, V4, V6, Route

pytestmark = pytest.mark.root

START, BURST, END = EventKind.START, EventKind.BURST, EventKind.END
BOTH = pytest.mark.parametrize("route", [V4, V6, V4.back, V6.back], ids=["v4", "v6", "v4b", "v6b"])


def handshake(route: Route, seq: int = 1000) -> list[bytes]:
    return [
        route.tcp(SYN, seq=seq),
        route.back.tcp(SYN | ACK, seq=5000, ack=seq + 1),
        route.tcp(ACK, seq=seq + 1, ack=5001),
    ]


def close(route: Route) -> list[bytes]:
    return [route.tcp(FIN | ACK), route.back.tcp(FIN | ACK)]


@BOTH
def test_a_whole_connection_is_one_start_and_one_end_with_exact_counters(
    bench: Bench, route: Route
) -> None:
    bench.send(*handshake(route))
    bench.send(route.tcp(PSH | ACK, b"x" * 101), route.back.tcp(ACK), route.back.tcp(ACK, b"y" * 7))
    bench.send(*close(route))

    (start, opened), (end, ended) = bench.events()
    out, back = (1, 0) if ended["opener"] else (0, 1)
    assert (start, end) == (START, END)
    assert (ended["bytes"][out], ended["bytes"][back]) == (101, 7)
    assert (ended["packets"][out], ended["packets"][back]) == (4, 4)
    assert ended["tcp_flags"][out] == SYN | ACK | PSH | FIN
    assert ended["tcp_flags"][back] == SYN | ACK | FIN
    assert ended["outcome"] == Outcome.CLOSED
    assert ended["origin"] == Origin.OPENED
    assert ended["direction"] == Direction.UNKNOWN
    assert ended["first"] == opened["first"] < ended["last"]
    assert bench.counted() == {"packets": 8, "opened": 1, "ended": 1, "events": 2}


@BOTH
def test_the_opener_is_who_sent_the_syn(bench: Bench, route: Route) -> None:
    bench.send(route.tcp(SYN))

    key, value = bench.flows()[0]
    opener = bytes(key["address_b"] if value["opener"] else key["address_a"])
    assert bytes(key["address_a"]) < bytes(key["address_b"])
    assert opener.endswith(b"\x01" if route in {V4, V6} else b"\x02")


def test_the_key_holds_ports_in_host_order_and_v4_as_mapped(bench: Bench) -> None:
    bench.send(V4.tcp(SYN))

    (key, _) = bench.flows()[0]
    assert bytes(key["address_a"]) == bytes(10) + b"\xff\xff\xc0\x00\x02\x01"
    assert (key["port_a"], key["port_b"], key["protocol"], key["zone"]) == (40000, 443, 6, 0)


@BOTH
def test_the_syn_ack_alone_shows_who_opened(bench: Bench, route: Route) -> None:
    bench.send(*handshake(route)[1:])

    value = bench.flow()
    assert value["opener"] == (0 if route in {V4, V6} else 1)
    assert value["origin"] == Origin.OPENED
    assert value["outcome"] == Outcome.ESTABLISHED
    assert bench.kinds() == [START]


def test_a_syn_sent_again_is_the_same_connection(bench: Bench) -> None:
    for _ in range(6):
        bench.send(V4.tcp(SYN))
        bench.age(60)

    assert bench.kinds() == [START]
    assert bench.flow()["syns"] == 6
    assert bench.flow()["outcome"] == Outcome.UNKNOWN
    assert bench.counted()["opened"] == 1


def test_a_retried_syn_is_no_burst(bench: Bench) -> None:
    bench.send(V4.tcp(SYN))
    bench.be_idle()
    bench.send(V4.tcp(SYN), V4.back.tcp(SYN | ACK, ack=1001), V4.tcp(ACK))

    assert bench.kinds() == [START]
    assert bench.flow()["bursts"] == 0


def test_the_count_of_syns_saturates(bench: Bench) -> None:
    bench.program.test_run("link_ingress", V4.tcp(SYN), repeat=400)

    assert bench.flow()["syns"] == 255


def test_a_new_attempt_from_the_same_port_is_a_new_connection(bench: Bench) -> None:
    """The beacon to a dead server that binds its source port."""
    for attempt in range(7):
        bench.send(V4.tcp(SYN, seq=attempt), V4.tcp(SYN, seq=attempt))

    events = bench.events()
    assert [kind for kind, _ in events] == [START] + [END, START] * 6
    assert {value["outcome"] for kind, value in events if kind == END} == {Outcome.UNANSWERED}
    assert {value["packets"].sum() for kind, value in events if kind == END} == {2}
    assert bench.counted()["opened"] == 7
    assert bench.counted()["reopened"] == 6


@BOTH
def test_port_reuse_after_a_close_is_a_new_connection_with_counters_of_its_own(
    bench: Bench, route: Route
) -> None:
    for seq in (10, 20, 30):
        bench.send(*handshake(route, seq), route.tcp(ACK, b"abc"), *close(route))

    events = bench.events()
    assert [kind for kind, _ in events] == [START, END] * 3
    assert {value["bytes"].sum() for kind, value in events if kind == END} == {3}
    assert {value["packets"].sum() for kind, value in events if kind == END} == {6}
    assert len({int(value["first"]) for kind, value in events if kind == END}) == 3
    assert len(bench.flows()) == 1


def test_port_reuse_from_the_other_end_swaps_the_opener(bench: Bench) -> None:
    bench.send(*handshake(V4), *close(V4), *handshake(V4.back, 77))

    assert bench.flow()["opener"] == 1
    assert bench.counted()["opened"] == 2


def test_port_reuse_of_a_half_closed_connection_ends_it_first(bench: Bench) -> None:
    bench.send(*handshake(V4), V4.tcp(FIN | ACK), V4.tcp(SYN, seq=2000))

    events = bench.events()
    assert [kind for kind, _ in events] == [START, END, START]
    assert events[1][1]["outcome"] == Outcome.CLOSED


def test_a_syn_in_a_long_silent_connection_replaces_it(bench: Bench) -> None:
    bench.send(*handshake(V4))
    bench.age(61)
    bench.send(V4.tcp(SYN, seq=2000))

    events = bench.events()
    assert [kind for kind, _ in events] == [START, END, START]
    assert events[1][1]["outcome"] == Outcome.IDLE


def test_a_foreign_syn_in_a_live_connection_opens_nothing(bench: Bench) -> None:
    """RFC 5961: it may be forged, and the connection goes on."""
    bench.send(*handshake(V4), V4.tcp(SYN, seq=99), V4.back.tcp(SYN, seq=98))

    assert bench.kinds() == [START]
    assert bench.flow()["outcome"] == Outcome.ESTABLISHED


def test_a_simultaneous_open_is_one_connection(bench: Bench) -> None:
    bench.send(V4.tcp(SYN, seq=1), V4.back.tcp(SYN, seq=2))
    bench.send(V4.tcp(SYN | ACK, seq=1, ack=3), V4.back.tcp(SYN | ACK, seq=2, ack=2))

    assert bench.kinds() == [START]
    assert bench.flow()["opener"] == 0


def test_a_reset_answers_the_syn_refused(bench: Bench) -> None:
    bench.send(V4.tcp(SYN), V4.back.tcp(RST | ACK))

    (_, _), (end, value) = bench.events()
    assert end == END
    assert value["outcome"] == Outcome.REFUSED


@pytest.mark.parametrize("side", ["opener", "other"])
def test_a_reset_of_an_open_connection_ends_it(bench: Bench, side: str) -> None:
    bench.send(*handshake(V4), (V4 if side == "opener" else V4.back).tcp(RST))

    (_, _), (end, value) = bench.events()
    assert end == END
    assert value["outcome"] == Outcome.RESET


def test_what_follows_the_end_neither_counts_nor_opens(bench: Bench) -> None:
    bench.send(*handshake(V4), *close(V4))
    before = bench.flow()
    bench.send(V4.tcp(ACK), V4.back.tcp(ACK), V4.tcp(FIN | ACK), V4.back.tcp(RST), V4.tcp(SYN))

    assert bench.kinds() == [START, END]
    assert bench.flow() == before
    assert bench.counted()["late"] == 5


def test_the_end_of_an_unknown_connection_opens_nothing(bench: Bench) -> None:
    bench.send(V4.tcp(FIN | ACK), V4.back.tcp(RST), V6.tcp(RST | ACK), V6.tcp(SYN | FIN))

    assert bench.counted() == {"packets": 4, "stray": 4}
    assert len(bench.flows()) == 0


def test_data_after_a_forged_reset_is_seen_again(bench: Bench) -> None:
    """A RST the endpoints ignore must not hide the rest of the connection."""
    bench.send(*handshake(V4), V4.back.tcp(RST), V4.tcp(ACK, b"in flight"))
    bench.age(2)
    bench.send(V4.tcp(ACK), V4.tcp(ACK, b"alive"), V4.back.tcp(ACK, b"yes"))

    events = bench.events()
    assert [kind for kind, _ in events] == [START, END, START]
    assert events[2][1]["origin"] == Origin.MIDSTREAM
    assert events[2][1]["opener"] == events[0][1]["opener"]
    assert bench.flow()["bytes"].tolist() == [5, 3]


def test_data_sent_again_after_the_close_opens_nothing(bench: Bench) -> None:
    bench.send(*handshake(V4), *close(V4))
    bench.age(2)
    bench.send(V4.tcp(ACK, b"again"), V4.back.tcp(ACK, b"again"))

    assert bench.kinds() == [START, END]


@pytest.mark.parametrize(
    ("route", "opener"),
    [(V4, 0), (V4.back, 0), (Route(source_port=22, destination_port=50000), 1)],
    ids=["from the client", "from the server", "server first in the key"],
)
def test_in_the_middle_of_a_connection_the_lower_port_is_the_server(
    bench: Bench, route: Route, opener: int
) -> None:
    bench.send(route.tcp(ACK, b"data"))

    (kind, value) = bench.events()[0]
    assert kind == START
    assert value["origin"] == Origin.MIDSTREAM
    assert value["opener"] == opener
    assert value["outcome"] == Outcome.ESTABLISHED


def test_an_opening_syn_replaces_a_connection_seen_in_the_middle(bench: Bench) -> None:
    bench.send(V4.tcp(ACK, b"data"), V4.tcp(SYN))

    assert bench.kinds() == [START, END, START]
    assert bench.flow()["origin"] == Origin.OPENED


def test_activity_after_silence_is_a_burst_and_its_answer_is_not(bench: Bench) -> None:
    bench.send(*handshake(V4), V4.tcp(ACK, b"hello"))
    for _ in range(3):
        bench.be_idle()
        bench.send(V4.tcp(ACK, b"check in"), V4.back.tcp(ACK, b"task"), V4.tcp(ACK))

    events = bench.events()
    assert [kind for kind, _ in events] == [START, BURST, BURST, BURST]
    assert [int(value["bursts"]) for _, value in events] == [0, 1, 2, 3]
    assert all(v["burst_first"] == v["last"] for k, v in events if k == BURST)
    assert bench.flow()["burst_first"] == events[-1][1]["burst_first"]


def test_a_keepalive_without_payload_is_no_burst(bench: Bench) -> None:
    bench.send(*handshake(V4), V4.tcp(ACK, b"hello"))
    bench.be_idle()
    bench.send(V4.tcp(ACK), V4.back.tcp(ACK))
    bench.be_idle()
    bench.send(*close(V4))

    assert bench.kinds() == [START, END]


def test_the_ends_delivery_is_marked(bench: Bench) -> None:
    bench.send(*handshake(V4))
    assert bench.flow()["started"] == DELIVERED_START
    bench.send(*close(V4))

    assert bench.flow()["started"] == DELIVERED_START | DELIVERED_END


def test_offloaded_segments_count_as_the_packets_on_the_wire(bench: Bench) -> None:
    bench.send(*handshake(V4))
    bench.send(V4.tcp(ACK, b"z" * 1400), segments=44)

    assert bench.flow()["packets"].tolist() == [2 + 44, 1]
    assert bench.flow()["bytes"].tolist() == [1400, 0]
