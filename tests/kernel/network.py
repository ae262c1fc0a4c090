"""Real traffic for the kernel tests: processes in a cgroup and in network namespaces.

A cgroup of its own keeps a test's counts exact on a machine where other
programs talk too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beacon_detect.data_plane.attachment import find_cgroup_root
from network_wire import Wire, make_wire
from patience import PATIENCE, eventually

CLIENT, SERVER = "198.51.100.1", "198.51.100.2"
CLIENT6, SERVER6 = "fd00:be:1::1", "fd00:be:1::2"

_CLONE_NEWNET = 0x40000000


@contextmanager
def make_network() -> Iterator[Wire]:
    """Join two namespaces under addresses that only these tests use."""
    ends = {"client_v4": CLIENT, "server_v4": SERVER, "client_v6": CLIENT6, "server_v6": SERVER6}
    with make_wire(**ends) as wire:
        yield wire


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Run the block in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        assert libc.setns(there, _CLONE_NEWNET) == 0
        yield
    finally:
        assert libc.setns(here, _CLONE_NEWNET) == 0
        os.close(here)
        os.close(there)


@contextmanager
def own_cgroup() -> Iterator[Path]:
    """Make a cgroup below the root, and remove it."""
    folder = find_cgroup_root() / f"beacon-test-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        eventually(lambda: not (folder / "cgroup.procs").read_text().split())
        folder.rmdir()


class Python:
    """A Python child in a namespace and a cgroup: it prints lines, and waits for ours."""

    def __init__(self, code: str, namespace: str, cgroup: Path | None = None) -> None:
        # Into the cgroup first: `ip netns exec` mounts a /sys of its own over it.
        enter = f"echo $$ > {cgroup / 'cgroup.procs'}; " if cgroup else ""
        command = ["ip", "netns", "exec", namespace, sys.executable, "-c", code]
        self.child = subprocess.Popen(
            ["sh", "-c", f'{enter}exec "$@"', "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.child.pid

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def tell(self) -> None:
        """Let a child that reads a line go on."""
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def finish(self) -> None:
        assert self.child.wait(PATIENCE) == 0

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()


ECHO_SERVER = """
import socket
listener = socket.create_server(("::", 8443), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    while data := connection.recv(1 << 16):
        connection.sendall(data * 2)
    connection.close()
"""

CLIENT_CODE = """
import socket
for address, count in {targets!r}:
    for _ in range(count):
        with socket.create_connection((address, 8443)) as connection:
            connection.sendall(b"x" * 11)
            left = 22
            while left:
                left -= len(connection.recv(left))
"""
