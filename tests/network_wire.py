"""Two network namespaces joined by a cable: made by a test, removed by it, joined to nothing else."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_wires = itertools.count()


def run(*command: str) -> str:
    """Return the output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Wire:
    """Two namespaces joined by a veth pair, ``client0`` and ``server0``."""

    client: str
    server: str
    client_v4: str = "192.0.2.10"
    server_v4: str = "192.0.2.20"
    client_v6: str = "fd00:be::10"
    server_v6: str = "fd00:be::20"
    client_interface: str = "client0"
    server_interface: str = "server0"

    # Not `ip netns exec`, whose mount namespace hides the cgroup hierarchy.
    def in_client(self) -> list[str]:
        """Return the command prefix that runs something at the client's end."""
        return ["nsenter", f"--net=/run/netns/{self.client}"]

    def in_server(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.server}"]


@contextmanager
def make_wire(**addresses: str) -> Iterator[Wire]:
    """Make the namespaces, and remove them whatever happens."""
    number = f"{os.getpid()}-{next(_wires)}"
    wire = Wire(f"bd-client-{number}", f"bd-server-{number}", **addresses)
    try:
        for name in (wire.client, wire.server):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run(
            *("ip", "link", "add", wire.client_interface, "netns", wire.client, "type", "veth"),
            *("peer", "name", wire.server_interface, "netns", wire.server),
        )
        for name, interface, v4, v6 in (
            (wire.client, wire.client_interface, wire.client_v4, wire.client_v6),
            (wire.server, wire.server_interface, wire.server_v4, wire.server_v6),
        ):
            # Without it the kernel's own neighbour discovery mixes into the counts.
            run("ip", "-n", name, "link", "set", interface, "addrgenmode", "none")
            run("ip", "-n", name, "address", "add", f"{v4}/24", "dev", interface)
            run("ip", "-n", name, "address", "add", f"{v6}/64", "dev", interface, "nodad")
            run("ip", "-n", name, "link", "set", interface, "up")
        yield wire
    finally:
        for name in (wire.client, wire.server):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
