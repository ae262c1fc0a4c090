"""Signals as the sensor's loop sees them: stop, reload, and a second stop that forces.

Handlers only set flags, without locks: a handler interrupts the very code that
holds them. The loop acts between two rounds. Main thread only, as Python's
signal handling is.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Self

from beacon_detect.wakeup import Wakeup

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SAME_STOP = 0.5
"""Seconds within which a second signal is the first one's echo.

Ctrl-C reaches the whole process group, and a supervisor in it passes it on.
"""
_STOPS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes SIGTERM, SIGINT and SIGHUP over for the time of a ``with`` block."""

    def __init__(self) -> None:
        self._wakeup = Wakeup()
        self._stopping = False
        self._told = 0.0
        self._reload = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._wakeup.__enter__()
        for number in _STOPS:
            self._before[number] = signal.signal(number, self._on_stop)
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_reload)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._wakeup.__exit__(kind, error, trace)

    def wait(self, seconds: float) -> bool:
        """Wait at most so long, until the next signal; return whether one told to stop."""
        if not self._stopping:
            self._wakeup.wait(seconds)
        return self._stopping

    def take_reload(self) -> bool:
        """Return whether a reload was asked for since the last call."""
        asked, self._reload = self._reload, False
        return asked

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._stopping:
            self._told = now
            self._stopping = True
        elif now - self._told >= SAME_STOP:
            # Told twice: end now, by the signal itself. Kernel programs go with the process.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True
