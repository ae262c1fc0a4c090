"""Where the kernel programs hang: cgroup links for a host, tc filters or tcx links for a gateway.

Links belong to a file descriptor and vanish with the process, however it
dies. Kernels before 6.6 have no tcx links; there a classic tc filter is used,
which outlives a killed process: it has a handle and priority of its own and
is removed when the sensor closes, or when the next one starts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from ctypes import byref, sizeof
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beacon_detect.data_plane.libbpf import (
    KernelCallError,
    Libbpf,
    LinkCreateOptions,
    TcHook,
    TcOptions,
    explain,
    program_name,
)
from beacon_detect.errors import KernelUnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# enum bpf_attach_type of include/uapi/linux/bpf.h.
CGROUP_ATTACH_TYPES: Final[Mapping[str, int]] = {
    "socket_create": 2,
    "socket_release": 34,
    "socket_connect4": 10,
    "socket_connect6": 11,
    "socket_sendmsg4": 14,
    "socket_sendmsg6": 15,
    "host_ingress": 0,
    "host_egress": 1,
}
"""Host mode: program and hook, the process hooks first so that no flow starts without one."""

LINK_PROGRAMS: Final = ("link_ingress", "link_egress", "link_ingress_l3", "link_egress_l3")
"""Gateway mode: with an Ethernet header, and for interfaces without any."""

_INGRESS, _EGRESS = 1, 2  # enum bpf_tc_attach_point
_TCX: Final[Mapping[int, int]] = {_INGRESS: 46, _EGRESS: 47}  # enum bpf_attach_type
_BPF_F_BEFORE = 1 << 3
_SIOCGIFHWADDR = 0x8927

TC_HANDLE: Final = 0xBEAC
TC_PRIORITY: Final = 0xBEAC
"""Identify our own tc filter; a high number, so that other filters come first."""

_LOOPBACK_TYPE: Final = 772  # ARPHRD_LOOPBACK
_ETHERNET_TYPES: Final = frozenset({1, _LOOPBACK_TYPE})  # ARPHRD_ETHER
_HEADERLESS_TYPES: Final = frozenset({65534, 768, 769, 776, 778})  # tun/wg, ipip, ip6ip6, sit, gre


def find_cgroup_root(mount_table: Path = Path("/proc/self/mountinfo")) -> Path:
    """Return where the cgroup v2 hierarchy is mounted, its root wherever it is visible.

    Parameters
    ----------
    mount_table
        In the format of ``mountinfo`` of proc(5).

    Raises
    ------
    KernelUnsupportedError
        There is no cgroup v2 mount.
    """
    mounts = []
    for line in mount_table.read_text("utf-8", "surrogateescape").splitlines():
        # "36 35 0:32 / /sys/fs/cgroup rw,... - cgroup2 cgroup2 rw"
        fields, _, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] == "cgroup2":
            root, point = fields.split(" ")[3:5]
            mounts.append((root != "/", len(point), _unescape(point)))
    if mounts:
        return Path(min(mounts)[2])
    raise KernelUnsupportedError(
        "no cgroup v2 hierarchy is mounted, so there is nothing to watch this host's sockets by",
        hint="mount one: mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2;"
        " in a container, mount the host's /sys/fs/cgroup; or set data_plane.interface",
    )


def _unescape(point: str) -> str:
    """Undo the octal escapes of mountinfo (space, tab, newline, backslash)."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        point = point.replace(code, chr(int(code[1:], 8)))
    return point


def interface_index(interface: str) -> int:
    """Return an interface's index; KernelUnsupportedError when there is none of that name."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise KernelUnsupportedError(
            f"no network interface is called {interface!r}",
            hint=f"set data_plane.interface to one of: {names}",
        ) from None


def hardware_type(interface: str) -> int:
    """Return an interface's ARPHRD_* number (include/uapi/linux/if_arp.h).

    Raises
    ------
    KernelUnsupportedError
        No such interface, or one whose headers the programs do not know.
    """
    interface_index(interface)
    request = struct.pack("16sH14x", interface.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFHWADDR, request)
    kind: int = struct.unpack_from("16xH", answer)[0]
    if kind in _ETHERNET_TYPES | _HEADERLESS_TYPES:
        return kind
    raise KernelUnsupportedError(
        f"interface {interface} is of hardware type {kind}, which the sensor cannot read",
        hint="watch an Ethernet, VLAN, bridge, tun, WireGuard, IPIP, SIT or GRE interface",
    )


class Links:
    """Attached programs of one sensor, detached together."""

    def __init__(self, libbpf: Libbpf) -> None:
        self._libbpf = libbpf
        self._descriptors: list[int] = []
        self._filters: list[TcHook] = []

    def attach_cgroup(self, programs: Mapping[str, int], cgroup: Path) -> None:
        """Attach the host-mode programs (name: descriptor) to a cgroup v2 directory."""
        try:
            directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelUnsupportedError(
                f"cannot open the cgroup {cgroup}: {error.strerror}",
                hint="give a directory of the mounted cgroup v2 hierarchy",
            ) from error
        try:
            for name, attach_type in CGROUP_ATTACH_TYPES.items():
                self._create_link(programs[name], directory, attach_type, flags=0)
        except KernelCallError as error:
            raise explain(error, f"attaching to the cgroup {cgroup}") from error
        finally:
            os.close(directory)

    def attach_interface(
        self, interface: str, programs: Mapping[str, int], *, use_tcx: bool = True
    ) -> None:
        """Attach programs to an interface, by tcx links or, on older kernels, tc filters.

        Every packet of a loopback interface passes twice; only its receipt is watched.
        """
        kind, index = hardware_type(interface), interface_index(interface)
        suffix = "" if kind in _ETHERNET_TYPES else "_l3"
        wanted = [(_INGRESS, programs[f"link_ingress{suffix}"])]
        if kind != _LOOPBACK_TYPE:
            wanted.append((_EGRESS, programs[f"link_egress{suffix}"]))
        remove_leftovers(self._libbpf, index)
        try:
            for direction, program in wanted:
                if not use_tcx or not self._attach_tcx(index, direction, program):
                    self._attach_filter(index, direction, program)
        except KernelCallError as error:
            raise explain(error, f"attaching to the interface {interface}") from error

    def _attach_tcx(self, index: int, direction: int, program: int) -> bool:
        """Return False where the kernel has no tcx links (before 6.6)."""
        try:
            # First in the chain: a program before ours could decide and hide the packet.
            self._create_link(program, index, _TCX[direction], flags=_BPF_F_BEFORE)
        except KernelCallError as error:
            if error.number == errno.EINVAL:
                return False
            raise
        return True

    def _create_link(self, program: int, target: int, attach_type: int, *, flags: int) -> None:
        options = LinkCreateOptions(sz=sizeof(LinkCreateOptions), flags=flags)
        self._descriptors.append(
            self._libbpf.call("bpf_link_create", program, target, attach_type, byref(options))
        )

    def _attach_filter(self, index: int, direction: int, program: int) -> None:
        both = _hook(index, _INGRESS | _EGRESS)
        number = self._libbpf.try_call("bpf_tc_hook_create", byref(both))
        if number not in {0, errno.EEXIST}:
            raise KernelCallError("bpf_tc_hook_create", number)
        hook = _hook(index, direction)
        options = _filter()
        options.prog_fd = program
        self._libbpf.call("bpf_tc_attach", byref(hook), byref(options))
        self._filters.append(hook)

    def close(self) -> None:
        """Detach everything."""
        while self._descriptors:
            os.close(self._descriptors.pop())
        while self._filters:
            # ENOENT, ENODEV: somebody else removed the filter or the interface.
            self._libbpf.try_call("bpf_tc_detach", byref(self._filters.pop()), byref(_filter()))


def remove_leftovers(libbpf: Libbpf, index: int) -> int:
    """Remove the tc filters that a killed sensor left on an interface; return how many."""
    removed = 0
    for direction in (_INGRESS, _EGRESS):
        hook, found = _hook(index, direction), _filter()
        if libbpf.try_call("bpf_tc_query", byref(hook), byref(found)):
            continue
        if program_name(found.prog_id).startswith("link_"):
            removed += libbpf.try_call("bpf_tc_detach", byref(hook), byref(_filter())) == 0
    return removed


def _hook(index: int, direction: int) -> TcHook:
    return TcHook(sz=sizeof(TcHook), ifindex=index, attach_point=direction)


def _filter() -> TcOptions:
    return TcOptions(sz=sizeof(TcOptions), handle=TC_HANDLE, priority=TC_PRIORITY)
