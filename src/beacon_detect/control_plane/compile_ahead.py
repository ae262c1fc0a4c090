"""Has the analysis compiled by a process of its own while the control plane already works.

Compiling takes half a minute and 200 MiB, once for each version of the code on a
machine. In a process of its own it neither stalls requests nor stays in memory.
Limit: a large batch that comes before the end is compiled for twice.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from beacon_detect.analysis import warm_up
from beacon_detect.analysis.compiled_cache import is_compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

NICE = 10
_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


@contextmanager
def compiled_ahead() -> Iterator[None]:
    """Start the compilation where it is needed; end it with the block if it still runs."""
    if is_compiled():
        yield
        return
    child = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    log.info("compiling the analysis, once on this machine", pid=child.pid)
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def main() -> None:
    """Compile, politely; end with the control plane that asked for it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.nice(NICE)
    warm_up()


if __name__ == "__main__":
    main()
