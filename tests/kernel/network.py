"""Real traffic for the kernel tests: processes in a cgroup and in network namespaces.

A cgroup of its own keeps a test's counts exact on a machine where other
programs talk too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from beacon_detect.data_plane.attachment import find_cgroup_root

CLIENT, SERVER = "198.51.100.1", "198.51.100.2"
CLIENT6, SERVER6 = "fd00:be:1::1", "fd00:be:1::2"

_CLONE_NEWNET = 0x40000000


def run(*command: str) -> str:
    """Return the output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Network:
    """Two namespaces joined by a veth pair, ``client0`` and ``server0``."""

    def __init__(self) -> None:
        self.client, self.server = (f"bdk-{end}-{os.getpid()}" for end in ("client", "server"))

    def build(self) -> None:
        for name in (self.client, self.server):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        peer = ("peer", "name", "server0", "netns", self.server)
        run("ip", "link", "add", "client0", "netns", self.client, "type", "veth", *peer)
        for name, device, v4, v6 in (
            (self.client, "client0", CLIENT, CLIENT6),
            (self.server, "server0", SERVER, SERVER6),
        ):
            # Without it the kernel's own neighbour discovery mixes into the counts.
            run("ip", "-n", name, "link", "set", device, "addrgenmode", "none")
            run("ip", "-n", name, "address", "add", f"{v4}/24", "dev", device)
            run("ip", "-n", name, "address", "add", f"{v6}/64", "dev", device, "nodad")
            run("ip", "-n", name, "link", "set", device, "up")

    def remove(self) -> None:
        for name in (self.client, self.server):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


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

    def finish(self, within: float = 20) -> None:
        assert self.child.wait(within) == 0

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()


def eventually(probe: Callable[[], object], within: float = 5) -> None:
    """Wait until the probe is true."""
    deadline = time.monotonic() + within
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
