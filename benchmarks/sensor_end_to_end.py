"""What the sensor costs from packet to acknowledged batch, and whether it loses any record.

    python benchmarks/sensor_end_to_end.py [--rate RECORDS_PER_SECOND] [--seconds S]

Needs root. Two network namespaces joined by a veth pair. A generator puts
hand-made frames on the near end (a SYN and the RST that refuses it: a START
and an END); the real sensor watches the far end as a gateway and sends to a
real HTTP receiver, three processes. Counted are the records that the receiver
got, the CPU time of the sensor's process alone, and its resident memory. The
kernel's part of the work runs in the generator's CPU time, as it would in that
of whoever sends the packets. The baseline is decoding the same events record
by record in Python, in the same run.
"""

from __future__ import annotations

import argparse
import ctypes
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from beacon_detect.data_plane.events import EVENT  # noqa: E402
from beacon_detect.records import Kind, record_schema  # noqa: E402
from beacon_detect.wire import HEADER_KEY, BatchHeader, encode_batch, parse_header  # noqa: E402
from network_wire import Wire, make_wire  # noqa: E402

PORT = 9090
TUPLES = 50_000
"""Distinct connections, used again and again: fewer than the default flow map holds."""
BURST = 500
BASELINE_EVENTS = 20_000
TARGET_RATE, TARGET_CPU, TARGET_RSS = 100_000, 25.0, 150
TICKS = os.sysconf("SC_CLK_TCK")


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr, flattened (x86-64 and arm64)."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


def make_frames() -> np.ndarray[Any, Any]:
    """Return ``(2 * TUPLES, 54)`` bytes: for each connection its SYN and the RST in answer."""
    ethernet = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01" + b"\x08\0"
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0)
    frames = []
    server = socket.inet_aton("198.51.100.1")
    for number in range(TUPLES):
        client = socket.inet_aton(f"10.0.{number >> 8}.{number & 255}")
        port = 20_000 + number % 40_000
        tail = struct.pack(">BBHHH", 0x50, 0x02, 1024, 0, 0)
        syn = struct.pack(">HHII", port, 443, 0, 0) + tail
        tail = struct.pack(">BBHHH", 0x50, 0x14, 0, 0, 0)
        rst = struct.pack(">HHII", 443, port, 0, 0) + tail
        frames += [ethernet + ip + client + server + syn, ethernet + ip + server + client + rst]
    return np.frombuffer(b"".join(frames), np.uint8).reshape(2 * TUPLES, -1).copy()


def generate(interface: str, rate: float, seconds: float) -> None:
    """Send the frames round and round at so many a second; print how many connections were made."""
    frames = make_frames()
    count, length = frames.shape
    start = frames.ctypes.data
    iovecs = (Iovec * count)(*[(start + i * length, length) for i in range(count)])
    at, size = ctypes.addressof(iovecs), ctypes.sizeof(Iovec)
    messages = (Message * count)(*[Message(iov=at + i * size, iov_length=1) for i in range(count)])
    libc = ctypes.CDLL(None, use_errno=True)
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            if sent > now * rate:
                time.sleep(0.0005)
                continue
            first = sent % count
            if first == 0:
                # A new sequence number tells the kernel program a new connection from a retry.
                frames[:, 38:42] = np.frombuffer(struct.pack(">I", 1 + sent // count), np.uint8)
            place = ctypes.addressof(messages) + first * ctypes.sizeof(Message)
            done = libc.sendmmsg(
                sender.fileno(), ctypes.c_void_p(place), min(BURST, count - first), 0
            )
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
        if sent % 2:
            sender.send(frames[sent % count].tobytes())
            sent += 1
    print(json.dumps({"connections": sent // 2, "seconds": time.monotonic() - began}))


def receive() -> None:
    """Acknowledge every batch; print the running totals."""
    totals = {"starts": 0, "ends": 0, "batches": 0, "bytes": 0, "losses": {}}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with pa.ipc.open_stream(body) as stream:
                header = parse_header(stream.schema.metadata[HEADER_KEY])
                kinds = np.concatenate(
                    [np.zeros(0, np.uint8), *[b["kind"].to_numpy() for b in stream]]
                )
            totals["starts"] += int((kinds == Kind.START).sum())
            totals["ends"] += int((kinds == Kind.END).sum())
            totals["batches"] += 1
            totals["bytes"] += len(body)
            totals["losses"] = header.losses
            answer = json.dumps({"status": "accepted", "batch": header.batch}).encode()
            self.send_response(202)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            print(json.dumps(totals), flush=True)

        def log_message(self, *_arguments: Any) -> None:
            pass

    http.server.HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int, name: str) -> float:
    """Return VmRSS or VmHWM of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def baseline_microseconds() -> float:
    """Return the CPU time a record costs when events become records one by one in Python."""
    events = np.zeros(BASELINE_EVENTS, EVENT)
    events["kind"] = Kind.START
    raw = events.tobytes()
    layout = struct.Struct("<QB7x16s16sHHBxHQQ2Q2QQQIIII2BBBBBBB16s")
    schema = record_schema()
    began = time.process_time()
    rows = []
    for place in range(0, len(raw), layout.size):
        e = layout.unpack_from(raw, place)
        swap = e[24]
        rows.append(
            {
                "kind": e[1],
                "connection_id": hash(e[2:10]) & (1 << 63) - 1,
                "time": e[9],
                "series_time": e[9],
                "src": e[2 + swap],
                "dst": e[3 - swap],
                "src_port": e[4 + swap],
                "dst_port": e[5 - swap],
                "protocol": e[6],
                "duration": e[9] - e[8],
                "bytes_out": e[10 + swap],
                "bytes_in": e[11 - swap],
                "packets_out": e[12 + swap],
                "packets_in": e[13 - swap],
                "tcp_flags_out": e[20 + swap],
                "tcp_flags_in": e[21 - swap],
                "outcome": e[25 - 1],
                "origin": e[25],
                "direction": e[26],
                "pid": e[16],
                "uid": e[17],
                "cgroup": e[14],
                "process": "",
                "executable": "",
                "container": "",
                "name": "",
            }
        )
    encode_batch(pa.Table.from_pylist(rows, schema), BatchHeader("s", "b"))
    return (time.process_time() - began) / BASELINE_EVENTS * 1e6


def spawn(stack: ExitStack, wire: Wire, *words: str, client: bool = False) -> Any:
    """Start this file in a role, inside a namespace."""
    prefix = wire.in_client() if client else wire.in_server()
    child = subprocess.Popen(
        [*prefix, sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True
    )
    stack.callback(child.wait)
    stack.callback(child.kill)
    return child


def start_sensor(stack: ExitStack, wire: Wire, folder: Path) -> Any:
    """Start the real sensor with its default settings."""
    config = {
        "interface": wire.server_interface,
        "control_plane_port": PORT,
        "spool_dir": str(folder / "spool"),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"data_plane": config}))
    log = stack.enter_context((folder / "sensor.log").open("wb"))
    command = [sys.executable, "-m", "data_plane.collector", "-c", str(folder / "config.yaml")]
    child = subprocess.Popen([*wire.in_server(), *command], cwd=ROOT, stderr=log)
    stack.callback(child.wait)
    stack.callback(child.kill)
    deadline = time.monotonic() + 30
    while b"watching" not in (folder / "sensor.log").read_bytes():
        assert child.poll() is None, (folder / "sensor.log").read_text()
        assert time.monotonic() < deadline, "the sensor does not start"
        time.sleep(0.05)
    return child


def measure(rate: int, seconds: float) -> None:
    """Run all parts and print the result."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wire = stack.enter_context(make_wire())
        receiver = spawn(stack, wire, "--receive")
        sensor = start_sensor(stack, wire, folder)
        generator = spawn(
            stack, wire, "--generate", "--rate", str(rate), "--seconds", str(seconds), client=True
        )
        before, began = cpu_seconds(sensor.pid), time.monotonic()
        made = json.loads(generator.stdout.readline())
        elapsed = time.monotonic() - began
        resident = memory_mib(sensor.pid, "VmRSS")
        time.sleep(6)  # the last records are due after export_interval
        used, peak = cpu_seconds(sensor.pid) - before, memory_mib(sensor.pid, "VmHWM")
        sensor.terminate()
        sensor.wait()
        receiver.terminate()
        got = json.loads(receiver.stdout.read().splitlines()[-1])
        report(made, got, elapsed, used, resident, peak)


def report(
    made: dict[str, Any],
    got: dict[str, Any],
    elapsed: float,
    used: float,
    resident: float,
    peak: float,
) -> None:
    """Print the figures beside their targets."""
    records = got["starts"] + got["ends"]
    expected = 2 * made["connections"]
    rate, cost = expected / made["seconds"], used / records * 1e6
    share, slow = 100 * used / elapsed, baseline_microseconds()
    lines = [
        ("records made", f"{expected:,} in {made['seconds']:.1f} s", ""),
        ("records received", f"{records:,}", f"target: {expected:,}"),
        ("lost", f"{expected - records:,}, told: {got['losses']}", "target: 0"),
        ("records/s", f"{rate:,.0f}", f"target: >= {TARGET_RATE:,}"),
        ("sensor CPU, of one core", f"{share:.1f} %", f"target: <= {TARGET_CPU:.0f} %"),
        ("sensor CPU a record", f"{cost:.2f} us", ""),
        ("on the wire", f"{got['bytes'] / records:.1f} bytes a record", ""),
        ("sensor memory, peak", f"{peak:.0f} MiB ({resident:.0f} at the end)", f"target: <= {TARGET_RSS} MiB"),
        ("record by record in Python", f"{slow:.1f} us a record, decoding and encoding only", ""),
        ("ratio to it", f"{slow / cost:.1f}x", ""),
    ]  # fmt: skip
    for name, value, target in lines:
        print(f"{name:28} {value:48} {target}")


def main() -> None:
    """Play the role the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=110_000, help="records a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        receive()
    elif options.generate:
        generate("client0", options.rate, options.seconds)
    else:
        measure(options.rate, options.seconds)


if __name__ == "__main__":
    main()
