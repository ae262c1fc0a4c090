"""Where compiled code is kept between runs, and the one import of the compiled package.

numba would write beside the sources, which an installed package may not allow,
and it does not notice that a *called* function changed in another file.  So the
cache lives in the user's or service's cache directory, under a fingerprint of
the sources and of numba.  Limit: when no directory is writable nothing is
cached and every process compiles for some seconds.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_importing = threading.Lock()


@cache
def load_compiled() -> ModuleType:
    """Import the compiled implementation with its cache in a place that can be written."""
    with _importing:
        numba: Any = import_module("numba")  # half a second: only when a batch is worth it
        chosen = numba.config.CACHE_DIR
        if not chosen:
            numba.config.CACHE_DIR = str(cache_directory(numba.__version__) or "")
        try:
            compiled: ModuleType = import_module("beacon_detect.analysis.compiled")
        finally:
            # Only our own functions move: the setting is global to the process.
            numba.config.CACHE_DIR = chosen
    return compiled


def is_loaded() -> bool:
    """Tell whether this process has the compiled implementation already."""
    return load_compiled.cache_info().currsize > 0


def cache_directory(numba_version: str) -> Path | None:
    """Return a private, writable directory for this version of the code.

    Parameters
    ----------
    numba_version
        Part of the fingerprint: compiled code of another version does not load.

    Returns
    -------
    Path or None
        ``None`` when no candidate can be written.
    """
    return private_directory(f"compiled-{fingerprint(numba_version)}")


def private_directory(name: str) -> Path | None:
    """Return a directory of a name in the first cache home where it is ours alone, made if needed."""
    for base in _candidates():
        directory = base / "beacon-detect" / name
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if _is_ours(directory):
            return directory
    return None


def is_compiled() -> bool:
    """Tell whether an earlier run left compiled code: without it the first large batch waits."""
    directory = cache_directory(version("numba"))
    return directory is not None and any(directory.glob("compiled_*/batch.measure_slice-*.nbc"))


def fingerprint(numba_version: str) -> str:
    """Return a short hash of everything the compiled code is made from."""
    digest = hashlib.sha256(numba_version.encode())
    root = Path(__file__).parent
    for source in sorted([*root.glob("*.py"), *root.glob("compiled/*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _candidates() -> Iterator[Path]:
    """Yield cache homes: systemd's CacheDirectory=, then the XDG directory, then the home's."""
    for variable in ("CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        value = os.environ.get(variable, "").split(":")[0]
        if value:
            yield Path(value)
    home = os.environ.get("HOME", "")
    if home:
        yield Path(home) / ".cache"


def _is_ours(directory: Path) -> bool:
    """Tell whether we may write there and nobody else can: the cache is loaded as code."""
    state = directory.stat()
    private = state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return private and os.access(directory, os.W_OK | os.X_OK)
