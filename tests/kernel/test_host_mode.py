"""Host mode on real sockets: exact counts, the right process, and no traces left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beacon_detect.data_plane.events import EventKind
from beacon_detect.data_plane.libbpf import program_name
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
from beacon_detect.records import Direction, Origin, Outcome, Protocol
from kernel.conftest import Bench
from kernel.network import (
    CLIENT,
    CLIENT_CODE,
    ECHO_SERVER,
    SERVER,
    SERVER6,
    Python,
    make_network,
    own_cgroup,
)
from network_wire import Wire
from patience import eventually

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def network() -> Iterator[Wire]:
    with make_network() as made:
        yield made


@pytest.fixture(scope="module")
def cgroup() -> Iterator[Path]:
    with own_cgroup() as folder:
        yield folder


@pytest.fixture(scope="module")
def attached(cgroup: Path) -> Iterator[Bench]:
    with KernelProgram.load(ProgramOptions(burst_idle_ns=60_000_000_000)) as program:
        program.attach_host(cgroup)
        yield Bench(program)


@pytest.fixture
def bench(attached: Bench) -> Bench:
    attached.reset()
    return attached


@pytest.fixture
def start(network: Wire, cgroup: Path) -> Iterator[Callable[..., Python]]:
    """Return a starter of children: code, and the end of the network they run at."""
    with ExitStack() as stack:

        def start(code: str, end: str, *, watched: bool = True) -> Python:
            child = Python(code, getattr(network, end), cgroup if watched else None)
            stack.callback(child.close)
            return child

        yield start


def read(bench: Bench, count: int) -> NDArray[Any]:
    """Return the events once there are so many (more would show too)."""
    events = [bench.program.ring.read()]

    def arrived() -> bool:
        events.append(bench.program.ring.read())
        return sum(map(len, events)) >= count

    eventually(arrived)
    time.sleep(0.05)
    events.append(bench.program.ring.read())
    return np.concatenate(events)


def test_connections_within_the_host_are_counted_exactly_with_their_process(
    bench: Bench, start: Callable[..., Python]
) -> None:
    start(ECHO_SERVER, "server").line()
    client = start(CLIENT_CODE.format(targets=[(SERVER, 53), (SERVER6, 48)]), "client")
    client.finish()

    events = read(bench, 202)
    ends = events[events["kind"] == EventKind.END]["value"]
    assert np.bincount(events["kind"]).tolist() == [0, 101, 0, 101]
    assert set(events["value"]["tgid"].tolist()) == {client.pid}
    assert set(events["value"]["comm"].tolist()) == {Path(sys.executable).name.encode()}
    assert set(events["value"]["direction"].tolist()) == {Direction.OUTBOUND}
    assert set(ends["outcome"].tolist()) == {Outcome.CLOSED}
    opener = ends["opener"].astype(int)
    rows = np.arange(len(ends))
    assert set(ends["bytes"][rows, opener].tolist()) == {11}
    assert set(ends["bytes"][rows, 1 - opener].tolist()) == {22}
    assert bench.counted()["opened"] == 101
    assert bench.counted()["other_view"] > 0


def test_what_comes_from_elsewhere_belongs_to_the_server(
    bench: Bench, start: Callable[..., Python]
) -> None:
    server = start(ECHO_SERVER, "server")
    server.line()
    code = CLIENT_CODE.format(targets=[(SERVER, 7), (SERVER6, 6)])
    start(code, "client", watched=False).finish()

    events = read(bench, 26)
    ends = events[events["kind"] == EventKind.END]["value"]
    assert np.bincount(events["kind"]).tolist() == [0, 13, 0, 13]
    assert set(ends["tgid"].tolist()) == {server.pid}
    assert set(ends["direction"].tolist()) == {Direction.INBOUND}
    assert "other_view" not in bench.counted()


def test_a_connection_ends_when_its_process_closes_it_whatever_the_peer_does(
    bench: Bench, start: Callable[..., Python]
) -> None:
    """The peer's FIN, sent much later, meets a TIME_WAIT stub that no hook sees."""
    lazy = ECHO_SERVER.replace("connection.close()", "import time; time.sleep(30)")
    start(lazy, "server", watched=False).line()
    start(CLIENT_CODE.format(targets=[(SERVER, 1)]), "client").finish()

    _, end = read(bench, 2)
    assert end["kind"] == EventKind.END
    assert end["value"]["outcome"] == Outcome.CLOSED
    assert end["value"]["bytes"].sum() == 33


def test_a_half_close_does_not_end_the_connection(
    bench: Bench, start: Callable[..., Python]
) -> None:
    server = """
import socket
listener = socket.create_server(("", 8443))
print("ready", flush=True)
connection, _ = listener.accept()
assert connection.recv(10) == b"last" and connection.recv(10) == b""
input()
connection.sendall(b"answer")
connection.close()
"""
    client = f"""
import socket
connection = socket.create_connection(("{SERVER}", 8443))
connection.sendall(b"last"); connection.shutdown(socket.SHUT_WR)
print("half", flush=True)
while connection.recv(10): pass
connection.close()
"""
    served = start(server, "server", watched=False)
    served.line()
    asked = start(client, "client")
    asked.line()
    time.sleep(0.1)
    assert bench.kinds() == [EventKind.START]
    served.tell()
    asked.finish()

    (end,) = read(bench, 1)
    assert end["value"]["bytes"].sum() == 10


def test_a_refused_connection_is_told(bench: Bench, start: Callable[..., Python]) -> None:
    code = f"""
import socket
for address in ("{SERVER}", "{SERVER6}"):
    try: socket.create_connection((address, 1))
    except ConnectionRefusedError: pass
"""
    client = start(code, "client")
    client.finish()

    events = read(bench, 4)
    ends = events[events["kind"] == EventKind.END]["value"]
    assert ends["outcome"].tolist() == [Outcome.REFUSED] * 2
    assert ends["tgid"].tolist() == [client.pid] * 2


def test_datagrams_are_counted_exactly_with_their_process(
    bench: Bench, start: Callable[..., Python]
) -> None:
    code = f"""
import socket
for family, address in ((socket.AF_INET, "{SERVER}"), (socket.AF_INET6, "{SERVER6}")):
    for connected in (False, True):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if connected: s.connect((address, 9999))
        for size in range(1, 18):
            (s.send(b"x" * size) if connected else s.sendto(b"x" * size, (address, 9999)))
            assert s.recv(100) == b"y" * size
"""
    server = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 9999))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b"y" * len(data), peer)
"""
    start(server, "server").line()
    client = start(code, "client")
    client.finish()

    starts = read(bench, 4)
    values = bench.flows()["value"]
    assert starts["kind"].tolist() == [EventKind.START] * 4
    assert values["packets"].tolist() == [[17, 17]] * 4
    assert values["bytes"].tolist() == [[153, 153]] * 4
    assert values["tgid"].tolist() == [client.pid] * 4


ECHO_CODE = f"""
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(60)
def checksum(data):
    total = sum(struct.unpack(f"!{{len(data) // 2}}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
for sequence in range(5):
    body = struct.pack("!HH", 4242, sequence) + b"ping" * 5
    sum_ = checksum(struct.pack("!BBH", 8, 0, 0) + body)
    s.sendto(struct.pack("!BBH", 8, 0, sum_) + body, ("{SERVER}", 0))
    s.recv(100)
"""


def test_echoes_are_counted_once_however_many_raw_sockets_listen(
    bench: Bench, start: Callable[..., Python]
) -> None:
    idle = """
import socket
s = [socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) for _ in range(3)]
print("ready", flush=True)
input()
"""
    start(idle, "client").line()
    client = start(ECHO_CODE, "client")
    client.finish()

    (event,) = read(bench, 1)
    value = bench.flow()
    assert event["key"]["protocol"] == Protocol.ICMP
    assert event["key"]["port_a"] == 4242
    assert value["packets"].tolist() == [5, 5]
    assert value["bytes"].tolist() == [100, 100]
    assert value["tgid"] == client.pid


SNIFFER = """
import socket
s = [socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) for _ in range(2)]
print("ready", flush=True)
input()
"""


@pytest.mark.parametrize("elsewhere", ["server", "client"])
def test_a_raw_socket_that_listens_to_tcp_changes_nothing(
    bench: Bench, start: Callable[..., Python], elsewhere: str
) -> None:
    """It gets a copy of each packet, before the connection's own socket does."""
    start(SNIFFER, "client").line()
    start(SNIFFER, "server").line()
    server = start(ECHO_SERVER, "server", watched=elsewhere != "server")
    server.line()
    targets = CLIENT_CODE.format(targets=[(SERVER, 3)])
    client = start(targets, "client", watched=elsewhere != "client")
    client.finish()

    events = read(bench, 6)
    ends = events[events["kind"] == EventKind.END]["value"]
    ours = server if elsewhere == "client" else client
    assert np.bincount(events["kind"]).tolist() == [0, 3, 0, 3]
    assert set(events["value"]["tgid"].tolist()) == {ours.pid}
    assert set(ends["bytes"].sum(axis=1).tolist()) == {33}


def test_an_accepted_connection_that_fell_out_of_the_map_keeps_its_process(
    bench: Bench, start: Callable[..., Python]
) -> None:
    client = f"""
import socket
with socket.create_connection(("{SERVER}", 8443)) as s:
    s.sendall(b"a"); s.recv(2)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    print("open", flush=True)
    input()
    s.sendall(b"b"); s.recv(2)
"""
    server = start(ECHO_SERVER, "server")
    server.line()
    asking = start(client, "client", watched=False)
    asking.line()

    def sent() -> int:
        value = bench.flow()
        return int(value["packets"][int(value["opener"])])

    # SYN, ACK, data, ACK: then nothing is under way, and the flow may be forgotten.
    eventually(lambda: sent() == 4, "the client acknowledged what it read")
    bench.reset()
    asking.tell()
    asking.finish()

    first, last = read(bench, 2)
    assert (first["kind"], last["kind"]) == (EventKind.START, EventKind.END)
    assert first["value"]["origin"] == Origin.MIDSTREAM
    assert first["value"]["tgid"] == last["value"]["tgid"] == server.pid


def test_a_flow_belongs_to_the_process_that_began_it(
    bench: Bench, start: Callable[..., Python]
) -> None:
    code = f"""
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"one", ("{SERVER}", 9))
child = os.fork()
s.sendto(b"two", ("{SERVER}", 9))
if child: os.waitpid(child, 0)
"""
    parent = start(code, "client")
    parent.finish()

    assert len(read(bench, 1)) == 1
    assert bench.flow()["tgid"] == parent.pid
    assert bench.flow()["packets"].sum() == 3


def test_a_large_transfer_is_exact_in_bytes_and_counts_wire_packets(
    bench: Bench, start: Callable[..., Python]
) -> None:
    size = 5_000_011
    sink = """
import socket
listener = socket.create_server(("", 8443))
print("ready", flush=True)
connection, _ = listener.accept()
while connection.recv(1 << 20): pass
"""
    # A busy machine may send a segment twice: tcpi_bytes_sent (byte 200) says what was sent.
    code = f"""
import socket
with socket.create_connection(("{SERVER}", 8443)) as s:
    s.sendall(bytes({size}))
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
    sent = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 208)[200:]
    print(int.from_bytes(sent, "little"), flush=True)
"""
    start(sink, "server", watched=False).line()
    client = start(code, "client")
    sent = int(client.line())
    client.finish()

    _, end = read(bench, 2)
    out = int(end["value"]["opener"])
    assert sent >= size
    assert end["value"]["bytes"][out] == sent
    assert end["value"]["packets"][out] >= size // 1460
    assert bench.counted()["packets"] < end["value"]["packets"].sum()


def test_the_process_is_the_one_that_connects_not_the_one_that_made_the_socket(
    bench: Bench, start: Callable[..., Python]
) -> None:
    code = f"""
import os, socket
s = socket.socket()
child = os.fork()
if child == 0:
    s.connect(("{SERVER}", 8443)); s.sendall(b"a"); s.recv(2); s.close()
    os._exit(0)
s.close()
print(child, flush=True)
os.waitpid(child, 0)
"""
    start(ECHO_SERVER, "server").line()
    parent = start(code, "client")
    child = int(parent.line())
    parent.finish()

    events = read(bench, 2)
    assert set(events["value"]["tgid"].tolist()) == {child}


def test_other_addresses_of_the_host_are_not_loopback(
    bench: Bench, start: Callable[..., Python]
) -> None:
    start(ECHO_SERVER, "client").line()
    start(CLIENT_CODE.format(targets=[(CLIENT, 3), ("127.0.0.1", 2)]), "client").finish()

    assert np.bincount(read(bench, 6)["kind"]).tolist() == [0, 3, 0, 3]


SENSOR = """
import sys, time
from ctypes import byref, c_uint32, sizeof
from pathlib import Path
from beacon_detect.data_plane.libbpf import ProgramInfo, library
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
program = KernelProgram.load(ProgramOptions(ring_bytes=4096, flow_map_size=1024))
program.attach_host(Path(sys.argv[1]))
for name in ("host_ingress", "host_egress", "socket_connect4"):
    info, size = ProgramInfo(), c_uint32(sizeof(ProgramInfo))
    library().call("bpf_obj_get_info_by_fd", program._program(name), byref(info), byref(size))
    print(info.id, flush=True)
time.sleep(60)
"""


def test_a_killed_sensor_leaves_no_program_and_traffic_goes_on(
    cgroup: Path, start: Callable[..., Python]
) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", SENSOR, str(cgroup)], stdout=subprocess.PIPE, text=True
        ) as sensor,
        ExitStack() as stack,
    ):
        stack.callback(sensor.kill)
        assert sensor.stdout is not None
        ids = [int(sensor.stdout.readline()) for _ in range(3)]
        assert program_name(ids[0]) == "host_ingress"
        start(ECHO_SERVER, "server").line()
        start(CLIENT_CODE.format(targets=[(SERVER, 3)]), "client").finish()
        sensor.send_signal(signal.SIGKILL)
        sensor.wait()

    start(CLIENT_CODE.format(targets=[(SERVER, 3)]), "client").finish()
    eventually(lambda: not any(map(program_name, ids)))


def test_without_a_cgroup_the_whole_host_is_watched(start: Callable[..., Python]) -> None:
    start(ECHO_SERVER, "server", watched=False).line()
    with KernelProgram.load(ProgramOptions()) as program:
        program.attach_host()
        client = start(CLIENT_CODE.format(targets=[(SERVER, 5)]), "client", watched=False)
        client.finish()
        ours: list[NDArray[Any]] = []

        def ended() -> bool:
            events = program.ring.read()
            ours.append(events[events["value"]["tgid"] == client.pid])
            return sum(np.count_nonzero(e["kind"] == EventKind.END) for e in ours) >= 5

        eventually(ended, "every connection ends")

    assert np.bincount(np.concatenate(ours)["kind"]).tolist() == [0, 5, 0, 5]
