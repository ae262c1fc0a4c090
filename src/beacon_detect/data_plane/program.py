"""The kernel side of the sensor as one object: load, attach, read, close.

The programs come as a compiled object in the package (built from ``bpf/``);
libbpf loads it. Nothing is pinned: programs, maps and links go when the
process does, except tc filters on kernels before 6.6 (``attachment.py``).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from ctypes import byref, sizeof
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np

from beacon_detect.data_plane.attachment import (
    CGROUP_ATTACH_TYPES,
    LINK_PROGRAMS,
    Links,
    find_cgroup_root,
    hardware_type,
)
from beacon_detect.data_plane.capabilities import missing_capabilities
from beacon_detect.data_plane.events import CONFIG, COUNTERS
from beacon_detect.data_plane.flow_map import FlowMap
from beacon_detect.data_plane.libbpf import (
    KernelCallError,
    Libbpf,
    TestRunOptions,
    explain,
    library,
)
from beacon_detect.data_plane.ring import RingReader
from beacon_detect.errors import BeaconError, KernelUnsupportedError, PermissionMissingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

OBJECT_FILE: Final = Path(__file__).with_name("beacon.bpf.o")
CONFIG_MAP: Final = b".rodata.config"

_RINGBUF: Final = 27  # BPF_MAP_TYPE_RINGBUF


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOptions:
    """What the kernel programs are loaded with; fixed until the next load."""

    ring_bytes: int = 16 << 20
    """Size of the event ring; rounded up to a power of two and at least a page."""
    flow_map_size: int = 65_536
    """Most flows tracked at once."""
    track_tcp: bool = True
    track_udp: bool = True
    track_icmp: bool = True
    include_loopback: bool = False
    burst_idle_ns: int = 1_000_000_000
    """Silence (ns) after which new activity in an open flow is a burst."""


class TestRun(NamedTuple):
    """What running a program on one packet gave."""

    retval: int
    duration_ns: int
    """Mean time of one run."""


class KernelProgram:
    """The loaded kernel programs and their maps; a context manager.

    Attributes
    ----------
    ring
        Reader of the event ring.
    flows
        The flow map.
    """

    ring: RingReader
    flows: FlowMap

    def __init__(self, libbpf: Libbpf, handle: int, options: ProgramOptions) -> None:
        self._libbpf = libbpf
        self._handle = handle
        self._links = Links(libbpf)
        self._counters = self._map("counters")
        self.options = options
        events = self._find_map("events")
        # libbpf rounds the size up to what the kernel accepts.
        ring_bytes = libbpf.call("bpf_map__max_entries", events)
        self.ring = RingReader(libbpf.call("bpf_map__fd", events), ring_bytes)
        self.flows = FlowMap(libbpf, self._map("flows"), options.flow_map_size)
        self._closed = False

    @classmethod
    def load(cls, options: ProgramOptions) -> KernelProgram:
        """Load the programs into the kernel, attached to nothing yet.

        Raises
        ------
        PermissionMissingError
            The process may not load programs.
        KernelUnsupportedError
            libbpf, the compiled object or a kernel feature is missing; the
            message carries what the kernel said.
        """
        libbpf = library()
        _check_object()
        libbpf.log.clear()
        handle = 0
        try:
            handle = libbpf.call("bpf_object__open_file", os.fsencode(OBJECT_FILE), None)
            _configure(libbpf, handle, options)
            libbpf.call("bpf_object__load", handle)
            return cls(libbpf, handle, options)
        except KernelCallError as error:
            if handle:
                libbpf.call("bpf_object__close", handle)
            # A missing capability shows in many disguises, down to "no such helper".
            _check_capabilities()
            raise explain(error, "loading the kernel programs") from error

    def attach_host(self, cgroup: Path | None = None) -> None:
        """Watch every socket below a cgroup, by default of the whole host.

        Raises
        ------
        PermissionMissingError, KernelUnsupportedError
            No cgroup v2 hierarchy, or the kernel refuses.
        """
        programs = {name: self._program(name) for name in CGROUP_ATTACH_TYPES}
        self._links.attach_cgroup(programs, cgroup or find_cgroup_root())

    def attach_gateway(self, interface: str, *, use_tcx: bool = True) -> None:
        """Watch every packet that an interface receives or sends.

        Parameters
        ----------
        interface
            Its name, in the network namespace of this process.
        use_tcx
            False uses classic tc filters even where tcx links exist.

        Raises
        ------
        PermissionMissingError, KernelUnsupportedError
            No such interface, one of an unknown kind, or the kernel refuses.
        """
        programs = {name: self._program(name) for name in LINK_PROGRAMS}
        self._links.attach_interface(interface, programs, use_tcx=use_tcx)

    def counters(self) -> dict[str, int]:
        """Return the kernel's counters by name, summed over the CPUs, since the load."""
        values = np.zeros(_possible_cpus(), np.uint64)
        totals = {}
        for index, name in enumerate(COUNTERS):
            self._libbpf.call(
                "bpf_map_lookup_elem",
                self._counters,
                byref(ctypes.c_uint32(index)),
                values.ctypes.data,
            )
            totals[name] = int(values.sum())
        return totals

    def test_run(
        self, program: str, packet: bytes, repeat: int = 1, *, context: bytes = b""
    ) -> TestRun:
        """Run one program on a packet, without any interface or traffic.

        Parameters
        ----------
        program
            Name of the program in the object.
        packet
            The frame, from its Ethernet header on.
        repeat
            How often; the duration is the mean.
        context
            A ``struct __sk_buff`` to run with (``gso_segs`` and the like).

        Raises
        ------
        KernelUnsupportedError
            The kernel refuses to run this packet (too short).
        """
        options = TestRunOptions(
            sz=sizeof(TestRunOptions),
            data_in=ctypes.cast(ctypes.c_char_p(packet), ctypes.c_void_p),
            data_size_in=len(packet),
            repeat=repeat,
        )
        if context:
            options.ctx_in = ctypes.cast(ctypes.c_char_p(context), ctypes.c_void_p)
            options.ctx_size_in = len(context)
        try:
            self._libbpf.call("bpf_prog_test_run_opts", self._program(program), byref(options))
        except KernelCallError as error:
            raise explain(error, f"running {program} on a packet") from error
        return TestRun(ctypes.c_int32(options.retval).value, options.duration)

    def close(self) -> None:
        """Detach and unload; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._links.close()
        self.ring.close()
        self._libbpf.call("bpf_object__close", self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find_map(self, name: str) -> int:
        return int(self._libbpf.call("bpf_object__find_map_by_name", self._handle, name.encode()))

    def _map(self, name: str) -> int:
        return int(self._libbpf.call("bpf_map__fd", self._find_map(name)))

    def _program(self, name: str) -> int:
        found = self._libbpf.call("bpf_object__find_program_by_name", self._handle, name.encode())
        return int(self._libbpf.call("bpf_program__fd", found))


def _configure(libbpf: Libbpf, handle: int, options: ProgramOptions) -> None:
    """Set the sizes of the maps and the programs' constants, before the load."""
    config = np.zeros(1, CONFIG)
    config["burst_idle"] = options.burst_idle_ns
    for name in ("track_tcp", "track_udp", "track_icmp", "include_loopback"):
        config[name] = getattr(options, name)
    found = libbpf.call("bpf_object__find_map_by_name", handle, CONFIG_MAP)
    libbpf.call("bpf_map__set_initial_value", found, config.ctypes.data, config.nbytes)
    for name, entries in (("events", options.ring_bytes), ("flows", options.flow_map_size)):
        found = libbpf.call("bpf_object__find_map_by_name", handle, name.encode())
        libbpf.call("bpf_map__set_max_entries", found, entries)


def _possible_cpus() -> int:
    """Return how many values a per-CPU entry has (CPUs that could ever be there)."""
    text = Path("/sys/devices/system/cpu/possible").read_text()
    return 1 + max(int(part.rpartition("-")[2]) for part in text.split(","))


def require_host(interface: str = "") -> None:
    """Refuse to go on where something stands in the way of the sensor on this host.

    The kernel's BTF is not among it: the programs use stable interfaces only.

    Parameters
    ----------
    interface
        The interface to watch in gateway mode; empty for host mode.

    Raises
    ------
    BeaconError
        All that is missing in one message, of the class of the first.
    """
    place = partial(hardware_type, interface) if interface else find_cgroup_root
    # The kernel is asked only on behalf of a process that may: its refusal says less.
    problems = _problems(_check_object, library, place, _check_capabilities) or _problems(
        _check_kernel
    )
    if problems:
        first = problems[0]
        raise type(first)(
            "\n".join(problem.message for problem in problems),
            hint="; ".join(problem.hint for problem in problems if problem.hint),
        )


def _problems(*checks: Callable[[], object]) -> list[BeaconError]:
    problems = []
    for check in checks:
        try:
            check()
        except BeaconError as error:
            problems.append(error)
    return problems


def _check_object() -> None:
    if not OBJECT_FILE.exists():
        raise KernelUnsupportedError(
            f"the compiled kernel program is missing: {OBJECT_FILE}",
            hint="in a checkout, build it: python bpf/build.py",
        )


def _check_capabilities() -> None:
    """Raise PermissionMissingError naming the capabilities this process lacks."""
    missing = missing_capabilities()
    if missing:
        raise PermissionMissingError(
            f"this process lacks {' and '.join(missing)}",
            hint="run as root, or give the capabilities (systemd: AmbientCapabilities=)",
        )


def _check_kernel() -> None:
    """Make a ring buffer, the newest kind of map that the sensor needs (Linux 5.8)."""
    libbpf = library()
    try:
        os.close(libbpf.call("bpf_map_create", _RINGBUF, b"probe", 0, 0, mmap.PAGESIZE, None))
    except KernelCallError as error:
        raise explain(error, "making a ring buffer") from error
