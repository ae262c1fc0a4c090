"""Has the analysis compiled by a process of its own while the one that needs it stays responsive.

Compiling takes half a minute and 200 MiB, once for each version of the code on a
machine. In a process of its own it neither stalls requests nor stays in memory,
and it can be given up at once. Limit: a large batch that comes before the end is
compiled for twice.
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
    with compiling() as child:
        log.info("compiling the analysis, once on this machine", pid=child.pid)
        yield


@contextmanager
def compiling(*, nice: int = NICE) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that compiles and ends; end it with the block if it still runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, str(nice)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for whoever waits
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def main() -> None:
    """Compile, politely; end with the process that asked for it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.nice(int(sys.argv[1]) if len(sys.argv) > 1 else NICE)
    warm_up()


if __name__ == "__main__":
    main()
