"""What one packet costs the kernel: each program on a known and on a new flow.

The baseline is an empty program on the same packet, run the same way
(BPF_PROG_TEST_RUN), so the difference is ours and not the harness's. Run as
root: python benchmarks/kernel_packet.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
from kernel.packets import ACK, SYN, V4, V6

ROUNDS = 7
KNOWN_REPEATS = 300_000
NEW_FLOWS = 4_000


def known(program: KernelProgram, name: str, frame: bytes) -> float:
    """Return ns per packet of a flow that is in the map already."""
    runs = [program.test_run(name, frame, KNOWN_REPEATS).duration_ns for _ in range(ROUNDS)]
    return median(runs)


def new(program: KernelProgram, name: str) -> float:
    """Return ns per packet that opens a flow and sends START."""
    times = []
    for port in range(NEW_FLOWS):
        frame = V4.with_port(1 + port).tcp(SYN)
        times.append(program.test_run(name, frame).duration_ns)
        if port % 1000 == 999:
            program.ring.read()
    program.flows.delete(program.flows.snapshot()["key"])
    return median(times)


def empty_once(program: KernelProgram) -> float:
    """Return ns of one run of the empty program: a single run costs more than one of many."""
    frames = [V4.with_port(1 + port).tcp(SYN) for port in range(NEW_FLOWS)]
    return median(program.test_run("link_empty", frame).duration_ns for frame in frames)


def main() -> None:
    """Print the table."""
    with KernelProgram.load(ProgramOptions()) as program:
        rows = [("empty program", known(program, "link_empty", V4.tcp(ACK)), 0.0)]
        for label, frame in (
            ("TCP v4", V4.tcp(ACK, b"x" * 100)),
            ("TCP v6", V6.tcp(ACK, b"x" * 100)),
            ("UDP v4", V4.udp(b"x" * 100)),
            ("echo v4", V4.echo(7, b"x" * 56)),
        ):
            for mode, name in (("gateway", "link_ingress"), ("host", "host_egress")):
                cost = known(program, name, frame)
                rows.append((f"{label}, known flow, {mode}", cost, rows[0][1]))
                program.flows.delete(program.flows.snapshot()["key"])
        single = empty_once(program)
        rows.append(("empty program, single runs", single, 0.0))
        for mode, name in (("gateway", "link_ingress"), ("host", "host_egress")):
            rows.append((f"TCP v4, new flow + START, {mode}", new(program, name), single))
    print(f"{'':38}{'ns/packet':>10}{'over empty':>12}{'ratio':>8}")
    for label, cost, base in rows:
        over = f"{cost - base:>12.0f}{cost / base:>8.1f}" if base else f"{'':>20}"
        print(f"{label:38}{cost:>10.0f}{over}")


if __name__ == "__main__":
    main()
