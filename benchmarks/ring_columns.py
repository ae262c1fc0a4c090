"""Records a second from the event ring to NumPy columns, against a loop of struct.unpack.

The kernel itself fills the ring (test runs of the program, each a new flow);
then the ring's consumer position is set back and the same bytes are read again
and again, so that only the reader is measured. Run as root:
python benchmarks/ring_columns.py
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from beacon_detect.data_plane.events import EVENT
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
from beacon_detect.data_plane.ring import STRIDE
from kernel.packets import SYN, V4

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = 5_000_000
"""Records a second that the project promises."""
RECORDS = 50_000
ROUNDS = 25


def fill(program: KernelProgram) -> int:
    """Have the kernel put records into the ring; return how many."""
    for number in range(RECORDS):
        program.test_run("link_ingress", V4.with_port(1 + number).tcp(SYN))
    return program.counters()["events"]


def columns(program: KernelProgram) -> int:
    """Read everything as columns, and take the five that a decoder looks at first."""
    events = program.ring.read()
    np.ascontiguousarray(events["time"])
    np.ascontiguousarray(events["kind"])
    np.ascontiguousarray(events["value"]["first"])
    np.ascontiguousarray(events["value"]["tgid"])
    np.ascontiguousarray(events["value"]["bytes"])
    return len(events)


def read_only(program: KernelProgram) -> int:
    """Read everything, look at nothing."""
    return len(program.ring.read())


def loop(program: KernelProgram) -> int:
    """Do the same record by record with struct.unpack, as a callback would."""
    ring = program.ring
    start, end = int(ring._consumer[0]), int(ring._producer[0])
    layout = struct.Struct("<IIQB7x40sQQQQQQQQIIII8s16s")
    assert layout.size == STRIDE
    view = memoryview(ring._data)
    count = 0
    times, kinds, firsts, processes, sent = [], [], [], [], []
    while start < end:
        fields = layout.unpack_from(view, start % ring.ring_bytes)
        times.append(fields[2])
        kinds.append(fields[3])
        firsts.append(fields[5])
        sent.append((fields[7], fields[8]))
        processes.append(fields[13])
        start += STRIDE
        count += 1
    ring._consumer[0] = start
    view.release()
    return count


def measure(program: KernelProgram, reader: Callable[[KernelProgram], int], rounds: int) -> float:
    """Return records a second, the median of the rounds."""
    begin = int(program.ring._consumer[0])
    rates = []
    for _ in range(rounds):
        program.ring._consumer[0] = begin
        started = time.perf_counter()
        count = reader(program)
        rates.append(count / (time.perf_counter() - started))

        assert count == RECORDS
    program.ring._consumer[0] = begin
    return median(rates)


def main() -> None:
    """Print the table."""
    with KernelProgram.load(ProgramOptions()) as program:
        assert fill(program) == RECORDS
        baseline = measure(program, loop, 5)
        rows = [
            ("struct.unpack loop, 5 columns", baseline),
            ("mmap + NumPy, 5 columns", measure(program, columns, ROUNDS)),
            ("mmap + NumPy, read only", measure(program, read_only, ROUNDS)),
        ]
    print(f"{RECORDS:,} records of {EVENT.itemsize} bytes; target {TARGET:,} records/s\n")
    print(f"{'':32}{'records/s':>14}{'ratio':>8}")
    for label, rate in rows:
        print(f"{label:32}{rate:>14,.0f}{rate / baseline:>8.1f}")


if __name__ == "__main__":
    main()
