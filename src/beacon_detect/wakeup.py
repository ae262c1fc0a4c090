"""A wait that any signal ends, also one that came just before the wait began.

A handler of Python runs between two steps of the interpreter. A signal that
comes after the last step before a system call finds the call still ahead, and
the call then waits its full time. The part of Python that takes the signal
writes to a pipe at once; who waits for the pipe always wakes up.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Wakeup:
    """Hears signals that have a handler, for the time of a ``with`` block; main thread only."""

    def __init__(self) -> None:
        self._ear = self._mouth = self._before = -1

    def __enter__(self) -> Self:
        self._ear, self._mouth = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._ear)
        os.close(self._mouth)

    def wait(self, seconds: float, *files: int) -> bool:
        """Wait for a signal since the last wait, or for a file; return whether a file is readable.

        Parameters
        ----------
        seconds
            Longest wait.
        files
            Descriptors to wait for as well.
        """
        ready = select.select([self._ear, *files], [], [], seconds)[0]
        if self._ear in ready:
            with suppress(BlockingIOError):
                os.read(self._ear, 4096)
            ready.remove(self._ear)
        return bool(ready)
