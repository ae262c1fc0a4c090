"""Signals as the sensor's loop sees them: stop, reload, and a second stop that forces.

Handlers only set flags; the loop acts between two rounds. Main thread only,
as Python's signal handling is.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

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
        self._stop = threading.Event()
        self._told = 0.0
        self._reload = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
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

    def wait(self, seconds: float) -> bool:
        """Wait; return at once, and True, when told to stop."""
        return self._stop.wait(seconds)

    def take_reload(self) -> bool:
        """Return whether a reload was asked for since the last call."""
        asked, self._reload = self._reload, False
        return asked

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._stop.is_set():
            self._told = now
            self._stop.set()
        elif now - self._told >= SAME_STOP:
            # Told twice: end now, by the signal itself. Kernel programs go with the process.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True
