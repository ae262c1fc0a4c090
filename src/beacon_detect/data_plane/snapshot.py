"""The TCP connections that were open before the sensor started.

The kernel program sees a connection only from its next packet on; one that
sleeps for an hour would stay unseen for that long. At the start the kernel's
socket table is read once and each open connection is entered in the flow map
with origin SNAPSHOT. When it was opened is unknown and not invented: its time
is the sensor's start. Sees the network namespace of the sensor only; UDP has
no connections to find; what opened it is told by whether its local port is
being listened on.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from beacon_detect.data_plane.events import DELIVERED_START, FLOW
from beacon_detect.records import V4_PREFIX, Direction, Origin, Outcome, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ESTABLISHED = "01"
_LISTENING = "0A"
"""States of include/net/tcp_states.h as /proc/net/tcp shows them."""

_End = tuple[bytes, int]

log = structlog.get_logger()


def open_connections(
    now: int, *, include_loopback: bool, proc: Path = Path("/proc")
) -> NDArray[Any]:
    """Return the established TCP connections as flow map entries (``events.FLOW``).

    Parameters
    ----------
    now
        Boot ns, taken as first and last packet.
    include_loopback
        Whether connections within 127.0.0.0/8 and ::1 are wanted.
    proc
        Mount point of procfs.
    """
    rows = [row for name in ("tcp", "tcp6") for row in _socket_rows(proc / "net" / name)]
    listening = {_port(row[1]) for row in rows if row[3] == _LISTENING}
    owners = _socket_owners(proc)
    flows = np.zeros(len(rows), FLOW)
    seen: set[tuple[_End, _End]] = set()
    count = 0
    for row in rows:
        if row[3] != _ESTABLISHED:
            continue
        local, remote = _address(row[1]), _address(row[2])
        if not include_loopback and (_is_loopback(local) or _is_loopback(remote)):
            continue
        near, far = (local, _port(row[1])), (remote, _port(row[2]))
        # Both ends of a connection within this machine are in the table: one flow.
        if (far, near) in seen:
            continue
        seen.add((near, far))
        _fill(flows[count], near, far, inbound=near[1] in listening)
        flows[count]["value"]["uid"] = int(row[7])
        _own(flows[count], owners.get(row[9]), proc)
        count += 1
    flows = flows[:count]
    flows["value"]["first"] = flows["value"]["last"] = now
    return flows


def _socket_rows(table: Path) -> list[list[str]]:
    """Return the fields of each line of a /proc/net socket table (proc_net(5)); none without IPv6."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except FileNotFoundError:
        return []
    return [line.split() for line in lines]


def _address(field: str) -> bytes:
    """Return the 16-byte form of ``0100007F:1F90``: 32-bit words in the machine's byte order."""
    digits = field.partition(":")[0]
    words = np.array([int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)], np.uint32)
    packed = words.tobytes()
    return packed if len(packed) == 16 else V4_PREFIX + packed


def _port(field: str) -> int:
    return int(field.rpartition(":")[2], 16)


def _is_loopback(packed: bytes) -> bool:
    if packed.startswith(V4_PREFIX):
        return packed[12] == 127
    return ipaddress.IPv6Address(packed).is_loopback


def _fill(flow: Any, local: tuple[bytes, int], remote: tuple[bytes, int], *, inbound: bool) -> None:
    """Enter both ends in the kernel's order, and who opened."""
    side_a, side_b = sorted((local, remote))
    for side, (address, port) in (("a", side_a), ("b", side_b)):
        flow["key"][f"address_{side}"] = np.frombuffer(address, np.uint8)
        flow["key"][f"port_{side}"] = port
    flow["key"]["protocol"] = Protocol.TCP
    opener = remote if inbound else local
    value = flow["value"]
    value["opener"] = opener == side_b
    value["direction"] = Direction.INBOUND if inbound else Direction.OUTBOUND
    value["origin"] = Origin.SNAPSHOT
    value["outcome"] = Outcome.ESTABLISHED
    value["started"] = DELIVERED_START


def _own(flow: Any, pid: int | None, proc: Path) -> None:
    """Enter the process that holds the socket, if it is still known."""
    if pid is None:
        return
    flow["value"]["tgid"] = pid
    try:
        flow["value"]["comm"] = (proc / str(pid) / "comm").read_bytes().rstrip(b"\n")
    except OSError:
        return


def _socket_owners(proc: Path) -> dict[str, int]:
    """Return the process id by socket inode, from one pass over every process's open files."""
    owners: dict[str, int] = {}
    unreadable = 0
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            descriptors = list((folder / "fd").iterdir())
        except FileNotFoundError:
            continue
        except PermissionError:
            unreadable += 1
            continue
        for descriptor in descriptors:
            try:
                target = os.readlink(descriptor)  # noqa: PTH115 - a Path each would double the cost
            except OSError:
                continue
            if target.startswith("socket:["):
                owners.setdefault(target[8:-1], int(folder.name))
    if unreadable:
        log.warning("open files unreadable, older connections lack a process", processes=unreadable)
    return owners
