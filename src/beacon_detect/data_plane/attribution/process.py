"""Which program is behind a process id: its name, its executable, its container.

Asked as soon as the kernel reports a new connection, because many processes
live for milliseconds. What ``/proc`` no longer tells falls back to what the
kernel recorded with the connection (thread name, control group), never to a
guess: a process id that was given to another process meanwhile is noticed by
its start time. Ids are those of the sensor's own PID namespace.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from beacon_detect.data_plane.attribution.container import ContainerNames

CAPACITY = 16_384
"""Processes remembered; the least recently seen goes first."""
RECHECK_NS = SECOND
"""Age at which a remembered process is looked at again when it opens a connection."""
TRUST_NS = 30 * SECOND
"""How long after its last sign of life an exited process may explain a new connection.

Longer, and a reused id with the same name becomes likelier than a late record.
"""
LONGEST_TEXT = 600
"""Bytes kept of a name or path.

Repeated in each record it would otherwise let a process with a path of 4 KiB
make batches that are too large to be accepted.
"""
_CUT = "…"
_TICK_NS = SECOND // os.sysconf("SC_CLK_TCK")
_START_FIELD = 19
"""Field 22 of /proc/PID/stat (proc_pid_stat(5)), counted after the name's closing bracket."""


@dataclass(frozen=True, slots=True)
class Process:
    """What is known of the program behind a connection; empty where unknown."""

    name: str
    executable: str
    container: str


@dataclass(slots=True)
class _Known:
    """A remembered process, when it started and when it was last seen alive (boot ns)."""

    process: Process
    started: int
    alive: int
    checked: int


class ProcessTable:
    """Programs by process id, remembered while they matter.

    Parameters
    ----------
    containers
        Answers for the container.
    proc
        Mount point of procfs.
    """

    def __init__(
        self, containers: ContainerNames, proc: Path = Path("/proc"), capacity: int = CAPACITY
    ) -> None:
        self._containers = containers
        self._proc = proc
        self._capacity = capacity
        self._known: OrderedDict[tuple[int, bytes, int], _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def resolve(
        self, tgid: int, comm: bytes, cgroup_id: int, *, first: int, opened: bool, now: int
    ) -> Process:
        """Return the program behind a connection.

        Parameters
        ----------
        tgid, comm, cgroup_id
            Process id, thread name and control group as the kernel recorded them.
        first
            First packet of the connection, boot ns.
        opened
            Whether the connection was just opened (then a remembered process is
            looked at again), rather than reported once more.
        now
            Boot ns.
        """
        key = (tgid, comm, cgroup_id)
        known = self._known.get(key)
        if known is None or (opened and now - known.checked >= RECHECK_NS):
            known = self._known[key] = self._look(key, known, now)
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        if known.started > first + _TICK_NS:
            # The id belongs to a process younger than the connection: not the one asked for.
            return self._recorded(comm, cgroup_id)
        return known.process

    def _look(self, key: tuple[int, bytes, int], known: _Known | None, now: int) -> _Known:
        tgid, comm, cgroup_id = key
        if tgid and (found := self._read(tgid, cgroup_id)):
            return _Known(*found, alive=now, checked=now)
        if known is not None and now - known.alive <= TRUST_NS:
            known.checked = now
            return known
        return _Known(self._recorded(comm, cgroup_id), started=0, alive=0, checked=now)

    def _recorded(self, comm: bytes, cgroup_id: int) -> Process:
        """Return what the kernel recorded: enough to name a process that has exited."""
        return Process(_text(comm), "", self._containers.of_group(cgroup_id))

    def _read(self, tgid: int, cgroup_id: int) -> tuple[Process, int] | None:
        """Return a living process and its start (boot ns), or None when it is gone."""
        folder = self._proc / str(tgid)
        try:
            name, started = _parse_stat((folder / "stat").read_bytes())
        except (OSError, ValueError):
            return None
        try:
            executable = _text(os.fsencode((folder / "exe").readlink()))
        except OSError:
            executable = ""  # a kernel thread, or a process that exits right now
        container = self._containers.of_process(tgid)
        if container is None:
            container = self._containers.of_group(cgroup_id)
        return Process(name, executable, container), started


def _parse_stat(stat: bytes) -> tuple[str, int]:
    """Return (name, start in boot ns) from the content of /proc/PID/stat."""
    opening, closing = stat.index(b"("), stat.rindex(b")")
    started = int(stat[closing + 2 :].split()[_START_FIELD]) * _TICK_NS
    return _text(stat[opening + 1 : closing]), started


def _text(raw: bytes) -> str:
    """Return file system bytes as text that is valid everywhere, its middle cut out when long."""
    text = raw.decode("utf-8", "backslashreplace")
    encoded = text.encode()
    if len(encoded) <= LONGEST_TEXT:
        return text
    half = (LONGEST_TEXT - len(_CUT.encode())) // 2
    return (
        encoded[:half].decode("utf-8", "ignore") + _CUT + encoded[-half:].decode("utf-8", "ignore")
    )
