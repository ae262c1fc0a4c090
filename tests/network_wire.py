"""Two network namespaces joined by a cable: made by a test, removed by it, joined to nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


def command(*words: str) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Wire:
    """Two namespaces joined by a veth pair."""

    near: str
    far: str
    near_v4: str = "192.0.2.10"
    far_v4: str = "192.0.2.20"
    near_v6: str = "fd00:be::10"
    far_v6: str = "fd00:be::20"
    far_interface: str = "far0"

    def in_near(self) -> list[str]:
        """Return the command prefix that runs something at the near end."""
        return ["nsenter", f"--net=/run/netns/{self.near}"]

    def in_far(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.far}"]


@contextmanager
def make_wire() -> Iterator[Wire]:
    wire = Wire(f"bd-near-{os.getpid()}", f"bd-far-{os.getpid()}")
    try:
        for name in (wire.near, wire.far):
            command("ip", "netns", "add", name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        command(
            *("ip", "link", "add", "near0", "netns", wire.near, "type", "veth"),
            *("peer", "name", wire.far_interface, "netns", wire.far),
        )
        for name, interface, v4, v6 in (
            (wire.near, "near0", wire.near_v4, wire.near_v6),
            (wire.far, wire.far_interface, wire.far_v4, wire.far_v6),
        ):
            command("ip", "-n", name, "address", "add", f"{v4}/24", "dev", interface)
            command("ip", "-n", name, "address", "add", f"{v6}/64", "dev", interface, "nodad")
            command("ip", "-n", name, "link", "set", interface, "up")
        yield wire
    finally:
        for name in (wire.near, wire.far):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
