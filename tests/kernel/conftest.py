"""One loaded set of kernel programs per options, emptied before each test."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beacon_detect.data_plane.events import EventKind
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions
from beacon_detect.records import SECOND

BURST_IDLE_SECONDS = 5
"""No test waits for it: flows are made older, and a busy machine sends within it."""
PASS = {"link": -1, "host": 1}
"""What each kind of program returns: never a verdict against the packet."""


class Bench:
    """Puts packets through a program and shows what came of them since the last reset."""

    def __init__(self, program: KernelProgram) -> None:
        self.program = program
        self._before: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        self.program.flows.delete(self.program.flows.snapshot()["key"])
        while len(self.program.ring.read()):
            pass
        self._before = self.program.counters()

    def send(self, *frames: bytes, by: str = "link_ingress", segments: int = 0) -> None:
        """Run a program on each frame, as one packet of so many segments."""
        # Offset of gso_segs in struct __sk_buff (include/uapi/linux/bpf.h).
        context = struct.pack("164xI", segments) + bytes(24) if segments else b""
        for frame in frames:
            verdict = self.program.test_run(by, frame, context=context).retval

            assert verdict == PASS[by.partition("_")[0]]

    def counted(self) -> dict[str, int]:
        """Return the counters that have moved."""
        now = self.program.counters()
        return {n: now[n] - self._before[n] for n in now if now[n] != self._before[n]}

    def events(self) -> list[tuple[EventKind, Any]]:
        """Return (kind, value) of the waiting events."""
        return [(EventKind(e["kind"]), e["value"].copy()) for e in self.program.ring.read()]

    def kinds(self) -> list[EventKind]:
        return [kind for kind, _ in self.events()]

    def flows(self) -> NDArray[Any]:
        return self.program.flows.snapshot()

    def flow(self) -> Any:
        """Return the value of the only flow."""
        (flow,) = self.flows()
        return flow["value"]

    def age(self, seconds: float) -> None:
        """Let every flow have been silent for so long already."""
        flows = self.flows()
        self.program.flows.delete(flows["key"])
        flows["value"]["last"] -= np.uint64(seconds * 1e9)
        flows["value"]["first"] -= np.uint64(seconds * 1e9)

        assert self.program.flows.insert(flows) == len(flows)

    def be_idle(self) -> None:
        """Let every flow have been silent for longer than a burst may be."""
        self.age(2 * BURST_IDLE_SECONDS)


@pytest.fixture(scope="session")
def bench_with() -> Iterator[Callable[..., Bench]]:
    """Return a maker of benches for options; each set of options is loaded once."""
    with ExitStack() as stack:
        loaded: dict[ProgramOptions, Bench] = {}

        def bench(**chosen: Any) -> Bench:
            defaults: dict[str, Any] = {
                "ring_bytes": 1 << 20,
                "flow_map_size": 4096,
                "burst_idle_ns": BURST_IDLE_SECONDS * SECOND,
            }
            options = ProgramOptions(**(defaults | chosen))
            if options not in loaded:
                loaded[options] = Bench(stack.enter_context(KernelProgram.load(options)))
            loaded[options].reset()
            return loaded[options]

        yield bench


@pytest.fixture
def bench(bench_with: Callable[..., Bench]) -> Bench:
    return bench_with()
