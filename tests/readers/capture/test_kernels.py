"""Kernels: compiled and interpreted, the stages give the same."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.readers.capture import kernels
from beacon_detect.readers.capture.connections import BATCH, Connections
from capture_factory import (  # fmt: skip
    CLIENT,
    SERVER,
    Packet,
    client_hello,
    connection,
    dns_answer,
    echo,
    erspan,
    ethernet,
    geneve,
    pcap,
    split_hello,
    udp,
    vxlan,
)


def capture(seed: int) -> bytes:
    """A busy capture with everything in it, some of it damaged."""
    random = np.random.default_rng(seed)
    packets: list[Packet] = []
    for start in random.uniform(0, 9000, 300):
        port = int(random.integers(1024, 1200))
        hello = client_hello(f"host{port}.example")
        packets += connection(start, port, request=hello, isn=int(start))[: random.integers(1, 10)]
    for start in random.uniform(0, 9000, 300):
        server = f"192.0.2.{random.integers(0, 9)}"
        packets += [
            Packet(start, ethernet(udp(CLIENT, server, int(random.integers(1, 9)), 9, b"x"))),
            Packet(start, ethernet(dns_answer(f"n{int(start)}.example", SERVER, "2001:db8::1"))),
            Packet(start, ethernet(echo(CLIENT, server))),
            Packet(start, vxlan(ethernet(udp(CLIENT, server, 40_000, 9, b"x")))),
            Packet(
                start, erspan(ethernet(udp(CLIENT, server, 40_001, 9, b"x")), 1 + int(start) % 3)
            ),
            Packet(start, geneve(udp(CLIENT, server, 40_002, 9, b"x"), 0x0800, bytes(8))),
            *split_hello(start, client_hello(f"h{int(start)}.example"), 80, port=int(start) % 70),
        ]
    packets.sort(key=lambda packet: packet.time)
    whole = bytearray(pcap(packets))
    at = 24
    while at < len(whole):  # damage bodies, never the record headers
        size = int.from_bytes(whole[at + 8 : at + 12], "little")
        if random.random() < 0.1 and size:
            whole[at + 16 + random.integers(0, size)] = random.integers(0, 256)
        at += 16 + size
    return bytes(whole)


def follow(content: bytes, *, compiled: bool) -> tuple[list, list, list]:
    followed = Connections(compiled=compiled)
    # The seed only decides which bucket a flow is in; places in the table do not depend on it.
    buffer = np.frombuffer(content, np.uint8) if compiled else content
    batch, at, rows, found = followed.batch, 24, [], []
    batch.links[:] = [1] * BATCH
    while True:
        count, at, _ = followed.stages.index_pcap(
            buffer, at, len(content), 0, 1000, 16, batch.starts, batch.captured, batch.lengths,
            batch.times, 500,
        )  # fmt: skip
        if not count:
            break
        for chunk in followed.add(buffer, count):
            rows += chunk.records.to_pylist() if chunk.records else []
            found += chunk.names.to_pylist() if chunk.names else []
    for chunk in followed.finish():
        rows += chunk.records.to_pylist() if chunk.records else []
    return rows, found, np.asarray(followed.counters).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_interpreted_stages_agree(seed: int) -> None:
    content = capture(seed)
    plain, fast = follow(content, compiled=False), follow(content, compiled=True)

    assert len(plain[0]) > 300
    assert len(plain[1]) > 300
    assert plain == fast


def test_the_machine_code_is_kept_for_the_next_run() -> None:
    follow(capture(9), compiled=True)

    assert kernels.is_warm()
