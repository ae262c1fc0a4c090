"""Packets a second from a capture to connections, on one core, with named peers on the same file.

    python benchmarks/readers_pcap.py [PACKETS] [FILE]
    python benchmarks/readers_pcap.py hunt PACKETS      generate a capture, run `analyze` on it
    python benchmarks/readers_pcap.py stream PACKETS    the same through a pipe, without a file
    python benchmarks/readers_pcap.py scan PACKETS      a scan through a pipe: every packet a pair

Without FILE a capture is generated: TCP connections of ten packets, interleaved,
HTTPS-like, snapshot length 96. Peers are run when they are installed: tshark,
argus, softflowd (Debian packages), and numbers are printed for all of them. The
connections are counted by both ways of this project and must agree. `hunt` and
`stream` print time and peak memory of the whole command, so that several sizes
give the growth curve.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand
from beacon_detect.readers.pcap import PcapReader

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 200_000
PACKETS_PER_FLOW = 10
KEPT = 96
_FLAGS = np.array([0x02, 0x12, 0x10, 0x18, 0x18, 0x18, 0x18, 0x11, 0x11, 0x10], np.uint8)
_BY_CLIENT = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0, 1], bool)
_PAYLOAD = np.array([0, 0, 0, 517, 1400, 200, 900, 0, 0, 0])


def write_capture(path: Path, packets: int, *, sources: int = 500) -> None:
    """Write a capture of about ``packets`` packets, a piece at a time."""
    with path.open("wb") as file:
        file.writelines(_pieces(packets, sources))


def _pieces(packets: int, sources: int = 500) -> Iterator[bytes]:
    """Yield the capture from its header on."""
    flows = packets // PACKETS_PER_FLOW
    yield bytes.fromhex("d4c3b2a1020004000000000000000000") + KEPT.to_bytes(4, "little") + b"\1\0\0\0"  # fmt: skip
    piece = 20_000
    for first in range(0, flows, piece):
        yield _piece(np.arange(first, min(first + piece, flows)), sources).tobytes()


def _piece(flow: np.ndarray, sources: int) -> np.ndarray:
    """Return the records of some connections, in order of time."""
    count = len(flow) * PACKETS_PER_FLOW
    flow = np.repeat(flow, PACKETS_PER_FLOW)
    step = np.tile(np.arange(PACKETS_PER_FLOW), count // PACKETS_PER_FLOW)
    micros = flow * 1000 + step * 3777
    order = np.argsort(micros, kind="stable")
    flow, step, micros = flow[order], step[order], micros[order]
    record = np.zeros((count, 16 + KEPT), np.uint8)
    client = np.stack(
        [np.full(count, 10), flow % sources >> 8, flow % sources & 255, np.full(count, 9)], 1
    )
    server = np.stack(
        [np.full(count, 93), flow * 7919 >> 16 & 63, flow * 7919 >> 8 & 255, np.full(count, 7)], 1
    )
    by_client = _BY_CLIENT[step]
    length = 54 + _PAYLOAD[step]

    def put(at: int, values: np.ndarray, kind: str) -> None:
        size = np.dtype(kind).itemsize
        record[:, at : at + size] = values.astype(kind).view(np.uint8).reshape(-1, size)

    put(0, 1_700_000_000 + micros // 1_000_000, "<u4")
    put(4, micros % 1_000_000, "<u4")
    put(8, np.full(count, KEPT), "<u4")
    put(12, np.maximum(length, KEPT), "<u4")
    put(16 + 12, np.full(count, 0x0800), ">u2")
    record[:, 30] = 0x45
    put(32, length - 14, ">u2")
    record[:, 38], record[:, 39] = 64, 6
    record[:, 42:46] = np.where(by_client[:, None], client, server)
    record[:, 46:50] = np.where(by_client[:, None], server, client)
    port = 1024 + flow % 60_000
    put(50, np.where(by_client, port, 443), ">u2")
    put(52, np.where(by_client, 443, port), ">u2")
    put(54, flow * 1000 + step, ">u4")
    put(58, flow * 1000 + step, ">u4")
    record[:, 62], record[:, 63] = 0x50, _FLAGS[step]
    return record


def ours(path: Path) -> tuple[int, int, int]:
    """Return connections, bytes and bursts that this project reads."""
    problems = Problems()
    connections = payload = bursts = 0
    with Source(expand([str(path)])[0], problems) as source:
        for chunk in PcapReader().read(source, problems, ReadOptions()):
            if chunk.records is not None:
                whole = chunk.records["kind"].to_numpy() == 5
                connections += int(whole.sum())
                bursts += int((~whole).sum())
                sums = chunk.records["bytes_out"].to_numpy() + chunk.records["bytes_in"].to_numpy()
                payload += int(sums[whole].sum())
    assert problems.total == 0, problems
    return connections, payload, bursts


PEERS = {
    "tshark -T fields": ["tshark", "-n", "-r", "{}", "-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.len"],
    "argus": ["argus", "-r", "{}", "-w", "/dev/null"],
    "softflowd": ["softflowd", "-r", "{}", "-d", "-n", "127.0.0.1:9"],
}  # fmt: skip


def _scan(packets: int) -> Iterator[bytes]:
    """Yield a capture in which each packet opens a pair of its own, and every 20,000th is a beacon's."""
    yield from _pieces(0)
    for first in range(0, packets, PIECE):
        number = np.arange(first, min(first + PIECE, packets))
        record = np.zeros((len(number), 16 + 54), np.uint8)
        beacon = number % 20_000 == 0
        for at, values, kind in (
            (0, 1_700_000_000 + number // 20_000, "<u4"), (4, number % 20_000 * 50, "<u4"),
            (8, 54, "<u4"), (12, 54, "<u4"), (28, 0x0800, ">u2"), (30, 0x45, "u1"), (32, 40, ">u2"),
            (38, 64, "u1"), (39, 6, "u1"),
            (42, np.where(beacon, 0x0A000005, number * 2_654_435_761 & 0xFFFFFFFF), ">u4"),
            (46, np.where(beacon, 0xCB007109, 0xC6336400 + number % 251), ">u4"),
            (50, 1024 + number % 60_000, ">u2"), (52, np.where(beacon, 443, 23), ">u2"),
            (54, number & 0xFFFFFFFF, ">u4"), (62, 0x50, "u1"), (63, 2, "u1"),
        ):  # fmt: skip
            size = np.dtype(kind).itemsize
            column = np.broadcast_to(values, len(number)).astype(kind)
            record[:, at : at + size] = column.view(np.uint8).reshape(-1, size)
        yield record.tobytes()


def hunt(packets: int, how: str) -> None:
    """Run `analyze` on a generated capture and print what it took."""
    command = [sys.executable, "-m", "beacon_detect", "analyze"]
    with tempfile.TemporaryDirectory() as folder:
        if how != "hunt":
            started, size = time.perf_counter(), 0
            with subprocess.Popen([*command, "-"], stdin=subprocess.PIPE) as child:
                assert child.stdin is not None
                for piece in _scan(packets) if how == "scan" else _pieces(packets):
                    size += child.stdin.write(piece)
        else:
            path = Path(folder) / "generated.pcap"
            write_capture(path, packets)
            size = path.stat().st_size
            started = time.perf_counter()
            subprocess.run([*command, str(path)], check=True)
    wall = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{packets:,} packets, {size / 1e9:.2f} GB: {wall:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of core, peak {usage.ru_maxrss / 1024:,.0f} MiB")  # fmt: skip


def main() -> None:
    if sys.argv[1:2] in (["hunt"], ["stream"], ["scan"]):
        hunt(int(sys.argv[2]), sys.argv[1])
        return
    packets = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder) / "generated.pcap"
        if len(sys.argv) < 3:
            write_capture(path, packets)
        print(
            f"{path.name}: {packets:,} packets, {path.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores"
        )
        for run in ("first run (may compile)", "second run"):
            started, used = time.perf_counter(), time.process_time()
            counts = ours(path)
            passed, core = time.perf_counter() - started, time.process_time() - used
            print(
                f"{'beacon-detect, ' + run:40} {passed:8.2f} s  {packets / core / 1e6:6.2f} M packets/s of core  {counts}"
            )
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
        for name, words in PEERS.items():
            program = shutil.which(words[0]) or shutil.which(f"/usr/sbin/{words[0]}")
            if program is None:
                print(f"{name:40} not installed")
                continue
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            subprocess.run(
                [program, *(word.format(path) for word in words[1:])],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"{name:40} {time.perf_counter() - started:8.2f} s  {packets / core / 1e6:6.2f} M packets/s of core"
            )


if __name__ == "__main__":
    main()
