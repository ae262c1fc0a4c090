"""One source, two speeds: the stages as plain Python, or compiled by numba.

A small capture is read before the compiler would be warm (some seconds on a
machine's first run), so its first packets run interpreted; what follows runs
compiled. Both are the same functions, and a test holds their results equal.
Limit: the functions may use integers, tuples of integers and flat columns only.
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
from beacon_detect.readers.capture import flows, frames, index, names

if TYPE_CHECKING:
    from collections.abc import Callable
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
    numba: Any = import_module("numba")  # half a second: only when a capture is worth it
    directory = _directory()
    chosen = numba.config.CACHE_DIR
    if not chosen:
        numba.config.CACHE_DIR = str(directory or "")
    found: dict[str, Any] = {}
    try:
        for module in STAGES:
            # The functions of a stage call each other by name, so they share one set of globals.
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


def is_warm() -> bool:
    """Say whether an earlier run has left the machine code, so that it costs a second, not ten."""
    directory = _directory()
    return directory is not None and any(directory.rglob("flows.follow_packets-*.nbc"))


@cache
def _directory() -> Path | None:
    """Return where the machine code of these very sources is kept; None when nowhere."""
    base = cache_directory(version("numba"))
    if base is None:
        return None
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    directory = base / f"capture-{digest.hexdigest()[:16]}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
