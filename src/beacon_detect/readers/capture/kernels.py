"""One source, two speeds: the stages as plain Python, or compiled by numba.

A small capture is read before the compiler would be warm (some seconds on a
machine's first run), so its first packets run interpreted; what follows runs
compiled. Both are the same functions, and a test holds their results equal.
Limit: the functions may use integers, tuples of integers and flat columns only.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

from beacon_detect.readers import compiling
from beacon_detect.readers.capture import flows, frames, index, names

if TYPE_CHECKING:
    from types import ModuleType

STAGES: tuple[ModuleType, ...] = (index, frames, flows, names)


def interpreted() -> SimpleNamespace:
    """Return the stages as they are written."""
    return SimpleNamespace(
        **{name: getattr(module, name) for module in STAGES for name in module.KERNELS}
    )


@cache
def compiled() -> SimpleNamespace:
    """Return the stages compiled; the machine code is kept on disk between runs."""
    return compiling.compile_kernels(STAGES)


def is_warm() -> bool:
    """Say whether an earlier run has left the machine code."""
    return compiling.is_warm("flows", "follow_packets")
