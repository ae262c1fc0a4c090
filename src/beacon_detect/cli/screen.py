"""The terminal as a live screen, given back exactly as it was.

Drawing happens on the terminal's alternate screen, so that what was there
before comes back; echo is off so that keys leave no trace. Whatever ends the
block (an exception, Ctrl-C, SIGTERM, a suspend with Ctrl-Z) restores the
screen, the cursor and the line settings first. Lines longer than the screen
are cut by the terminal.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, Self

from beacon_detect.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

# https://invisible-island.net/xterm/ctlseqs/ctlseqs.html: alternate screen, cursor, autowrap
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_LINE_FLAGS = 3
"""Index of the local modes in what termios.tcgetattr returns."""

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)


class Screen:
    """The alternate screen of the terminal on stdout; a context manager.

    Keys are read from stdin where that is a terminal too.
    """

    def __init__(self) -> None:
        self._keys = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._wakeup = Wakeup()

    def __enter__(self) -> Self:
        self._wakeup.__enter__()
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGHUP, _end)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._wakeup.__exit__(kind, error, trace)

    def show(self, lines: Sequence[str]) -> None:
        """Draw lines from the top; what does not fit below is left away."""
        height = shutil.get_terminal_size().lines
        text = f"{_REST_OF_LINE}\r\n".join(lines[:height])
        sys.stdout.write(_HOME + text + _REST_OF_LINE + _REST_OF_SCREEN)
        sys.stdout.flush()

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether ``q`` was pressed (or the terminal went away)."""
        files = () if self._keys is None else (self._keys,)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._wakeup.wait(left, *files) and self._keys is not None:
                keys = os.read(self._keys, 64)
                if not keys or b"q" in keys.lower():
                    return True
        return False

    def _enter(self) -> None:
        if self._keys is not None:
            self._modes = termios.tcgetattr(self._keys)
            quiet = termios.tcgetattr(self._keys)
            # ISIG stays: Ctrl-C and Ctrl-Z keep their meaning.
            quiet[_LINE_FLAGS] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(self._keys, termios.TCSADRAIN, quiet)
        sys.stdout.write(_ENTER)
        sys.stdout.flush()

    def _leave(self) -> None:
        try:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
        finally:
            if self._keys is not None and self._modes is not None:
                # Flush: keys pressed meanwhile were not meant for the shell.
                termios.tcsetattr(self._keys, termios.TCSAFLUSH, self._modes)

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Give the terminal back, stop as Ctrl-Z asks, and take it again when continued."""
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._enter()


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by way of an exception, so that the block is left and the terminal restored."""
    sys.exit(128 + number)
