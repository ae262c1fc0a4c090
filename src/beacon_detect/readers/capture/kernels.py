"""One source, two speeds: the stages as plain Python, or as machine code.

A small capture is read before the machine code would be loaded, so its first
packets run interpreted; what follows runs compiled. Both are the same functions,
and a test holds their results equal. Limit: the functions may use what
:mod:`beacon_detect.readers.native.lowering` lists and nothing else.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

from beacon_detect.readers.capture import flows, frames, index, names
from beacon_detect.readers.native import code

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
    """Return the stages as machine code, which is kept on disk between runs."""
    return code.compile_kernels(STAGES)


def is_warm() -> bool:
    """Say whether an earlier run has left the machine code."""
    return code.is_warm(STAGES)
