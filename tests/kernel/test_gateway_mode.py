"""Gateway mode on real interfaces: every packet counted, none held up, nothing left behind."""

from __future__ import annotations

import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ctypes import byref, sizeof

import numpy as np
import pytest

from beacon_detect.data_plane.attachment import interface_index
from beacon_detect.data_plane.events import EventKind
from beacon_detect.data_plane.libbpf import TcHook, TcOptions, library
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
from beacon_detect.errors import KernelUnsupportedError
from beacon_detect.records import Direction, Outcome, Protocol
from kernel.conftest import Bench
from kernel.network import (
    CLIENT,
    CLIENT_CODE,
    ECHO_SERVER,
    SERVER,
    SERVER6,
    Python,
    inside,
    make_network,
)
from kernel.packets import IPV4, QINQ, SYN, TCP, VLAN, ethernet, ipv4, tcp_segment
from network_wire import Wire, run
from patience import eventually

pytestmark = pytest.mark.root

OPTIONS = ProgramOptions(burst_idle_ns=60_000_000_000)


@pytest.fixture(scope="module")
def network() -> Iterator[Wire]:
    with make_network() as made:
        yield made


@pytest.fixture
def program() -> Iterator[KernelProgram]:
    with KernelProgram.load(OPTIONS) as program:
        yield program


@pytest.fixture
def bench(network: Wire, program: KernelProgram) -> Bench:
    """Return a bench attached to the server's end of the veth pair."""
    with inside(network.server):
        program.attach_gateway("server0")
    return Bench(program)


@pytest.fixture
def start(network: Wire) -> Iterator[Callable[..., Python]]:
    with ExitStack() as stack:

        def start(code: str, end: str) -> Python:
            child = Python(code, getattr(network, end))
            stack.callback(child.close)
            return child

        yield start


@pytest.mark.parametrize("use_tcx", [True, False], ids=["tcx", "clsact"])
def test_connections_through_an_interface_are_counted_exactly(
    network: Wire, program: KernelProgram, start: Callable[..., Python], use_tcx: bool
) -> None:
    with inside(network.server):
        program.attach_gateway("server0", use_tcx=use_tcx)
    bench = Bench(program)
    start(ECHO_SERVER, "server").line()
    start(CLIENT_CODE.format(targets=[(SERVER, 31), (SERVER6, 30)]), "client").finish()
    # An event is counted once it is in the ring.
    eventually(lambda: bench.counted().get("events") == 122, "61 starts and ends")

    events = program.ring.read()
    ends = events[events["kind"] == EventKind.END]["value"]
    assert np.bincount(events["kind"]).tolist() == [0, 61, 0, 61]
    assert set(ends["bytes"].sum(axis=1).tolist()) == {33}
    assert set(ends["outcome"].tolist()) == {Outcome.CLOSED}
    assert set(ends["direction"].tolist()) == {Direction.UNKNOWN}
    assert set(ends["tgid"].tolist()) == {0}
    with inside(network.server):
        program.close()
    assert "link_" not in run(
        "tc", "-n", network.server, "filter", "show", "dev", "server0", "ingress"
    )
    start(CLIENT_CODE.format(targets=[(SERVER, 2)]), "client").finish()


FILTER_SENSOR = """
import sys, time
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
program = KernelProgram.load(ProgramOptions(ring_bytes=4096, flow_map_size=1024))
program.attach_gateway("server0", use_tcx=sys.argv[1] == "tcx")
print("attached", flush=True)
time.sleep(60)
"""


def filters(network: Wire) -> str:
    return "".join(
        run("tc", "-n", network.server, "filter", "show", "dev", "server0", direction)
        for direction in ("ingress", "egress")
    )


def kernel_release() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int(minor)


def kill_a_sensor(network: Wire, how: str) -> None:
    command = ["ip", "netns", "exec", network.server, sys.executable, "-c", FILTER_SENSOR, how]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sensor,
        ExitStack() as stack,
    ):
        stack.callback(sensor.kill)
        assert sensor.stdout is not None
        assert sensor.stdout.readline() == "attached\n"
        sensor.send_signal(signal.SIGKILL)


def test_the_next_sensor_removes_the_filters_of_a_killed_one(
    network: Wire, program: KernelProgram
) -> None:
    kill_a_sensor(network, "clsact")
    assert filters(network).count("handle 0xbeac") == 2
    with inside(network.server):
        program.attach_gateway("server0")
        program.close()

    assert "link_" not in filters(network)


def test_a_killed_sensor_leaves_no_tcx_link(network: Wire, start: Callable[..., Python]) -> None:
    if kernel_release() < (6, 6):
        pytest.skip("this kernel has no tcx links (Linux 6.6)")
    kill_a_sensor(network, "tcx")
    assert "link_" not in filters(network)

    start(ECHO_SERVER, "server").line()
    start(CLIENT_CODE.format(targets=[(SERVER, 2)]), "client").finish()


def test_somebody_elses_filter_is_left_alone(network: Wire, program: KernelProgram) -> None:
    with inside(network.server), KernelProgram.load(OPTIONS) as somebody:
        index = interface_index("server0")
        both = TcHook(sz=sizeof(TcHook), ifindex=index, attach_point=3)
        library().try_call("bpf_tc_hook_create", byref(both))
        hook = TcHook(sz=sizeof(TcHook), ifindex=index, attach_point=1)
        theirs = TcOptions(sz=sizeof(TcOptions), handle=1, priority=7)
        theirs.prog_fd = somebody._program("link_empty")
        library().call("bpf_tc_attach", byref(hook), byref(theirs))
        program.attach_gateway("server0", use_tcx=False)
        program.close()

        assert "link_empty" in filters(network)
        assert "0xbeac" not in filters(network)
        identity = TcOptions(sz=sizeof(TcOptions), handle=1, priority=7)
        library().call("bpf_tc_detach", byref(hook), byref(identity))


def test_fragmented_datagrams_have_exact_bytes(bench: Bench, start: Callable[..., Python]) -> None:
    code = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3): s.sendto(bytes(4001), ("{SERVER}", 9))
"""
    start(code, "client").finish()
    eventually(lambda: bench.counted().get("fragments") == 6, "what follows the first ones")
    eventually(lambda: bench.flow()["packets"].sum() == 3, "the first ones")

    value = bench.flow()
    assert value["bytes"].tolist() == [12_003, 0]
    assert value["packets"].tolist() == [3, 0]


def test_truncated_frames_of_every_length_are_never_counted_as_a_flow(
    network: Wire, bench: Bench
) -> None:
    """Shorter than a test run accepts: sent as they are, from the other end of the wire."""
    packet = ipv4(CLIENT, SERVER, TCP, tcp_segment(1, 2, SYN, b"abc"))
    frame = ethernet(IPV4, packet)
    with inside(network.client), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("client0", 0))
        for length in range(14, len(frame)):
            wire.send(frame[:length])
        wire.send(frame)
    # On two processors the whole frame may be counted before one of the others.
    truncated = len(frame) - 14
    eventually(lambda: bench.counted().get("unparsed", 0) >= truncated, "they are counted")
    eventually(lambda: bench.counted().get("opened") == 1, "the whole frame is counted")

    assert bench.counted()["unparsed"] == truncated
    assert len(bench.flows()) == 1


def test_the_vlan_tag_that_the_receiver_strips_becomes_the_zone(
    network: Wire, bench: Bench
) -> None:
    packet = ipv4(CLIENT, SERVER, TCP, tcp_segment(1, 2, SYN, b"abc"))
    with inside(network.client), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("client0", 0))
        wire.send(ethernet(IPV4, packet, ((VLAN, 321),)))
        wire.send(ethernet(IPV4, packet, ((QINQ, 1), (VLAN, 321))))
    eventually(lambda: bench.counted().get("opened") == 2)

    assert sorted(bench.flows()["key"]["zone"].tolist()) == [321, 1 << 12 | 321]


def test_a_device_without_ethernet_header_is_read_from_the_ip_header(
    network: Wire, program: KernelProgram
) -> None:
    code = f"""
import fcntl, os, socket, struct
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF, TUN | NO_PI
os.system("ip address add 203.0.113.1/24 dev tun0; ip link set tun0 up")
print("ready", flush=True)
input()
os.write(tun, {ipv4("203.0.113.9", "203.0.113.1", TCP, tcp_segment(5, 6, SYN))!r})
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"out", ("203.0.113.9", 7))
print("sent", flush=True)
input()
"""
    child = Python(code, network.server)
    try:
        assert child.line() == "ready"
        with inside(network.server):
            program.attach_gateway("tun0")
        bench = Bench(program)
        child.tell()
        assert child.line() == "sent"
        eventually(lambda: bench.counted().get("opened") == 2)
        flows = bench.flows()
    finally:
        child.close()

    assert sorted(flows["key"]["protocol"].tolist()) == [Protocol.TCP, Protocol.UDP]
    assert sorted(flows["value"]["bytes"].sum(axis=1).tolist()) == [0, 3]


def test_loopback_interfaces_are_counted_once(network: Wire, start: Callable[..., Python]) -> None:
    with KernelProgram.load(ProgramOptions(include_loopback=True)) as program:
        with inside(network.client):
            program.attach_gateway("lo")
        bench = Bench(program)
        start(ECHO_SERVER, "client").line()
        start(CLIENT_CODE.format(targets=[("127.0.0.1", 3), ("::1", 2)]), "client").finish()
        eventually(lambda: bench.counted().get("events") == 10, "every connection ends")
        events = program.ring.read()

    ends = events[events["kind"] == EventKind.END]["value"]
    assert len(ends) == 5
    assert set(ends["bytes"].sum(axis=1).tolist()) == {33}


def test_a_missing_interface_is_named_with_the_ones_there_are(program: KernelProgram) -> None:
    with pytest.raises(KernelUnsupportedError, match="no network interface is called 'nope'") as e:
        program.attach_gateway("nope")

    assert "lo" in e.value.hint
