"""Whether this process may run the sensor: root is neither needed nor, in a container, enough."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")

# Bit numbers of include/uapi/linux/capability.h
_NET_ADMIN, _SYS_ADMIN, _PERFMON, _BPF = 12, 21, 38, 39
_NEEDED = {"CAP_BPF": _BPF, "CAP_NET_ADMIN": _NET_ADMIN, "CAP_PERFMON": _PERFMON}
_IN_SYS_ADMIN = {"CAP_BPF", "CAP_PERFMON"}
"""Split off from CAP_SYS_ADMIN in Linux 5.8, which still grants them."""


def effective_capabilities(status: str) -> int:
    """Return the bit mask of effective capabilities in a ``/proc/PID/status`` text."""
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def missing_capabilities(mask: int | None = None) -> list[str]:
    """Return the names of the capabilities that the sensor needs and this process lacks."""
    held = effective_capabilities(_STATUS.read_text("utf-8")) if mask is None else mask
    admin = bool(held >> _SYS_ADMIN & 1)
    return [
        name
        for name, bit in _NEEDED.items()
        if not held >> bit & 1 and not (admin and name in _IN_SYS_ADMIN)
    ]
