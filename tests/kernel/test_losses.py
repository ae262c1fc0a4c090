"""Nothing is lost silently: a full ring, a full map, a START that had no room."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from beacon_detect.data_plane.events import DELIVERED_START, EventKind
from beacon_detect.data_plane.ring import STRIDE
from kernel.conftest import Bench
from kernel.packets import ACK, FIN, SYN, V4

pytestmark = pytest.mark.root

RING = 4096
ROOM = RING // STRIDE
"""Events that the smallest ring holds."""


@pytest.fixture
def narrow(bench_with: Callable[..., Bench]) -> Bench:
    """Return a bench whose ring is one page."""
    return bench_with(ring_bytes=RING)


def test_delivered_and_refused_events_add_up_to_all(narrow: Bench) -> None:
    for port in range(1, 102):
        narrow.send(V4.with_port(port).tcp(SYN))

    kept = len(narrow.program.ring.read())
    counted = narrow.counted()
    assert kept == counted["events"] == ROOM
    assert kept + counted["ring_full"] == counted["opened"] == 101


def test_a_start_without_room_is_delivered_by_a_later_packet(narrow: Bench) -> None:
    for port in range(1, 60):
        narrow.send(V4.with_port(port).tcp(SYN))
    narrow.program.ring.read()
    late = V4.with_port(59)
    before = narrow.counted()
    narrow.send(late.tcp(ACK), late.tcp(ACK))

    (event,) = narrow.program.ring.read()
    assert event["kind"] == EventKind.START
    assert event["time"] == event["value"]["first"]
    assert event["value"]["packets"].sum() == 2
    assert narrow.counted()["late_starts"] == 1
    assert narrow.counted()["ring_full"] == before["ring_full"]


def test_an_undelivered_start_shows_in_the_flow(narrow: Bench) -> None:
    for port in range(1, 60):
        narrow.send(V4.with_port(port).tcp(SYN))

    started = narrow.flows()["value"]["started"]
    assert np.count_nonzero(started == DELIVERED_START) == len(narrow.program.ring.read())
    assert np.count_nonzero(started == 0) == narrow.counted()["ring_full"]


def test_retries_while_the_ring_stays_full_are_not_counted_again(narrow: Bench) -> None:
    for port in range(1, 60):
        narrow.send(V4.with_port(port).tcp(SYN))
    before = narrow.counted()["ring_full"]
    for _ in range(5):
        narrow.send(V4.with_port(59).tcp(ACK))

    assert narrow.counted()["ring_full"] == before
    narrow.program.ring.read()
    narrow.send(V4.with_port(59).tcp(ACK))

    (event,) = narrow.program.ring.read()
    assert event["kind"] == EventKind.START


def test_an_end_without_room_shows_in_the_flow(narrow: Bench) -> None:
    for port in range(1, 60):
        narrow.send(V4.with_port(port).tcp(SYN))
    narrow.send(V4.with_port(1).tcp(FIN | ACK), V4.with_port(1).back.tcp(FIN | ACK))

    (ended,) = (flow for flow in narrow.flows()["value"] if flow["outcome"] > 1)
    assert ended["started"] == DELIVERED_START
    assert narrow.counted()["ended"] == 1


@contextmanager
def on_one_processor() -> Iterator[None]:
    """Stay where we are: each processor keeps some room of a full map for itself."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_full_map_drops_the_oldest_flows_and_keeps_taking_new_ones(
    bench_with: Callable[..., Bench],
) -> None:
    bench = bench_with(flow_map_size=1024)
    with on_one_processor():
        for port in range(1, 3001):
            bench.program.test_run("link_ingress", V4.with_port(port).tcp(SYN))

    flows = bench.flows()
    counted = bench.counted()
    assert counted["opened"] == counted["events"] == 3000
    assert "map_full" not in counted
    assert 900 <= len(flows) <= 1024
    assert flows["key"]["port_b"].max() == 443 or flows["key"]["port_a"].max() == 3000


def in_parallel(bench: Bench, *batches: list[bytes], repeat: int = 1) -> None:
    """Run batches of frames at once: a test run releases the interpreter's lock."""
    ready = threading.Barrier(len(batches))

    def send(frames: list[bytes]) -> None:
        ready.wait()
        for frame in frames:
            bench.program.test_run("link_ingress", frame, repeat)

    threads = [threading.Thread(target=send, args=(frames,)) for frames in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_packets_in_parallel_are_all_counted(bench: Bench) -> None:
    each = 300_007
    in_parallel(bench, *[[V4.udp(b"abc"), V4.back.udp(b"de")]] * 2, repeat=each)

    assert bench.flow()["packets"].tolist() == [2 * each, 2 * each]
    assert bench.flow()["bytes"].tolist() == [6 * each, 4 * each]
    assert bench.kinds().count(EventKind.START) == 1
    assert bench.counted()["packets"] == 4 * each


def test_first_packets_in_parallel_open_one_flow(bench: Bench) -> None:
    syns = [V4.with_port(port).tcp(SYN) for port in range(1, 2001)]
    in_parallel(bench, syns, syns)

    assert bench.counted()["opened"] == len(bench.events()) == 2000
    assert set(bench.flows()["value"]["packets"].sum(axis=1).tolist()) == {2}


def test_both_fins_in_parallel_end_the_connection_once(bench: Bench) -> None:
    for port in range(1, 151):
        route = V4.with_port(port)
        bench.send(route.tcp(SYN), route.back.tcp(SYN | ACK, ack=1001))
        in_parallel(bench, [route.tcp(FIN | ACK)], [route.back.tcp(FIN | ACK)])
        bench.send(route.tcp(ACK))

    kinds = bench.kinds()
    assert kinds.count(EventKind.END) == kinds.count(EventKind.START) == 150
    assert bench.counted()["ended"] == 150


def test_retries_in_parallel_deliver_a_start_once(narrow: Bench) -> None:
    for port in range(1, 60):
        narrow.send(V4.with_port(port).tcp(SYN))
    delivered = len(narrow.program.ring.read())
    for port in range(1, 60):
        late = V4.with_port(port)
        in_parallel(narrow, [late.tcp(ACK)], [late.tcp(ACK)], repeat=3)
        delivered += len(narrow.program.ring.read())

    assert delivered == 59
    assert narrow.counted()["late_starts"] == narrow.counted()["ring_full"]
    assert (narrow.flows()["value"]["started"] == DELIVERED_START).all()
