"""Ctrl-C as a wish to see what there is, at a place where the data is whole.

While files are read it ends the reading between two chunks; while pairs are
scored it is only noted, and the scoring ends soon by itself. A second Ctrl-C
ends everything. Limit: signals reach the main thread of a process only, so
elsewhere nothing is caught.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interrupts:
    """Catches SIGINT for a block."""

    def __init__(self) -> None:
        self.came = False
        """Whether there was one."""
        self._held = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: object) -> None:
        del number, frame
        again, self.came = self.came, True
        if again or not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end before an interrupt is raised."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.came:
            raise KeyboardInterrupt

    def only_note(self) -> None:
        """Raise no more, except for a second one: whoever goes on asks :attr:`came`."""
        self._held = True
