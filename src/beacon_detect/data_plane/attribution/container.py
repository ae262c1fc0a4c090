"""Which container a process runs in, told by its control group.

Container engines name the control group of a container by its 64 hex digits
id; the first 12 are what ``docker ps``, ``podman ps`` and ``crictl ps`` show.
Engines that do not (LXC, nspawn) are not recognised; names and images would
need each engine's socket and are out of scope.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

SHORT_ID = 12
RESCAN_INTERVAL = 5.0
"""Seconds between two walks over the control groups in search of an unknown id."""
MAX_GROUPS = 20_000
"""Control groups visited in one walk: about 0.2 s."""

_CONTAINER = re.compile(
    r"""
    (?:^|/)                     # a whole path component:
    (?!                         # not podman's and CRI-O's monitor beside the container
        (?:libpod|crio)-conmon-
    )
    (?:[a-z0-9_.:-]*[-:])?       # docker-, libpod-, crio-, cri-containerd-, nerdctl-, or none
    ([0-9a-f]{64})
    (?:\.scope|\.slice)?
    (?=/|$)
    """,
    re.VERBOSE,
)


def container_in(cgroup_path: str) -> str:
    """Return the short id of the innermost container in a control group's path, or nothing.

    Knows the paths of Docker, Podman, containerd, CRI-O and the kubelet, with
    either control group driver (cgroupfs, systemd).
    """
    found = _CONTAINER.findall(cgroup_path)
    return found[-1][:SHORT_ID] if found else ""


def container_of_listing(listing: str) -> str:
    """Return the container in the text of ``/proc/PID/cgroup`` (both versions), or nothing."""
    for line in listing.splitlines():
        if container := container_in(line.split(":", 2)[-1]):
            return container
    return ""


class ContainerNames:
    """Containers by process, and by the kernel's control group id when the process is gone.

    Parameters
    ----------
    proc
        Mount point of procfs.
    groups
        Where the cgroup v2 hierarchy is mounted; None: only living processes are told.
    """

    def __init__(self, proc: Path = Path("/proc"), groups: Path | None = None) -> None:
        self._proc = proc
        self._groups = groups
        self._by_group: dict[int, str] = {}
        self._next_scan = 0.0

    def of_process(self, pid: int) -> str | None:
        """Return the container of a living process (empty: none), or None when it is gone."""
        try:
            listing = (self._proc / str(pid) / "cgroup").read_text("utf-8", "backslashreplace")
        except OSError:
            return None
        return container_of_listing(listing)

    def of_group(self, cgroup_id: int) -> str:
        """Return the container of a control group id, or nothing.

        Groups that ended before they were first asked for are not found.
        """
        if cgroup_id == 0 or self._groups is None:
            return ""
        if cgroup_id not in self._by_group and time.monotonic() >= self._next_scan:
            self._next_scan = time.monotonic() + RESCAN_INTERVAL
            self._by_group = _scan(self._groups)
        return self._by_group.get(cgroup_id, "")


def _scan(root: Path) -> dict[int, str]:
    """Return the container by id (inode) of every control group; groups may go meanwhile."""
    found: dict[int, str] = {}
    pending = [(str(root), "")]
    while pending and len(found) < MAX_GROUPS:
        folder, container = pending.pop()
        try:
            with os.scandir(folder) as entries:
                groups = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for group in groups:
            inner = container_in(f"/{group.name}") or container
            found[group.inode()] = inner
            pending.append((group.path, inner))
    return found
