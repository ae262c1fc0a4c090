"""Compiles plain functions with numba and keeps the machine code between runs.

The functions stay what they are written as, so that they can run interpreted
too. Machine code is kept under a fingerprint of all sources of the readers:
numba itself does not notice a constant that changed in another file. Limit:
functions of one module see each other by name; those of another module do not.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from beacon_detect.analysis.compiled_cache import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType


WAIT = "compiling the fast reader of {} for this machine, once: some seconds"
"""What a user is told before the first compilation."""


def compile_kernels(modules: Iterable[ModuleType]) -> SimpleNamespace:
    """Return the functions that each module lists as ``KERNELS``, compiled on their first call."""
    numba: Any = import_module("numba")  # half a second: only when there is much to read
    chosen = numba.config.CACHE_DIR
    if not chosen:
        numba.config.CACHE_DIR = str(_directory() or "")
    found: dict[str, Any] = {}
    try:
        for module in modules:
            # The functions of a module call each other by name, so they share one set of globals.
            scope = dict(vars(module))
            for name in module.KERNELS:
                copy = FunctionType(getattr(module, name).__code__, scope, name)
                copy.__module__ = module.__name__
                scope[name] = found[name] = _compile(numba, copy)
    finally:
        # Only our own functions move: the setting is global to the process.
        numba.config.CACHE_DIR = chosen
    return SimpleNamespace(**found)


def _compile(numba: Any, function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:
        # No folder for the cache can be written: every process compiles anew.
        return numba.njit(function, nogil=True)


def is_warm(module: str, function: str) -> bool:
    """Say whether an earlier run has left a function's machine code: a second instead of ten."""
    directory = _directory()
    return directory is not None and any(directory.rglob(f"{module}.{function}-*.nbc"))


@cache
def _directory() -> Path | None:
    """Return where the machine code of these very sources is kept; None when nowhere."""
    base = cache_directory(version("numba"))
    if base is None:
        return None
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    directory = base / f"readers-{digest.hexdigest()[:16]}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
