"""Work that repeats: one named thread, one run at a time, failures counted and shown.

The next run is due one interval after the start of the last one, or at once
when that took longer; runs never pile up. An exception is logged and the
schedule goes on, because a daemon that silently stops analyzing is worse than
one that complains every minute.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class Periodic:
    """Runs ``work`` now and then every ``interval()`` seconds until stopped.

    Parameters
    ----------
    name
        Name of the thread, as shown in logs and debuggers.
    work
        What to do; its own errors are its own business, others are counted here.
    interval
        Asked before each wait, so that a changed setting holds at once
        (together with :meth:`reschedule`).
    wanted
        Whether somebody waits for a run, which then follows at once, also where one
        is under way; ``work`` settles it, and :meth:`reschedule` has it looked at.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        interval: Callable[[], float],
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work = work
        self._interval = interval
        self._wanted = wanted
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.runs = 0
        """Runs that are over."""
        self.failures = 0
        """Runs that ended in an exception."""
        self.last_error = ""
        """The last run's exception; empty when it went well."""

    def start(self) -> None:
        """Begin with a run at once."""
        self._thread.start()

    def reschedule(self) -> None:
        """Work out anew when the next run is due; call after the interval or the wish changed."""
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout: float) -> bool:
        """Start no further run; return whether the current one ended within ``timeout`` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            begin = time.monotonic()
            try:
                self._work()
                self.last_error = ""
            except Exception as error:
                self.failures += 1
                self.last_error = str(error) or type(error).__name__
                log.exception("periodic work failed", work=self._thread.name)
            self.runs += 1
            self._wait(begin)

    def _wait(self, begin: float) -> None:
        with self._changed:
            while not self._stopping and not self._wanted():
                left = begin + self._interval() - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
