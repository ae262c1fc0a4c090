"""A process on a pseudo-terminal of its own, and what a terminal must look like afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from patience import PATIENCE

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR, WRAP = b"\x1b[?25h", b"\x1b[?7h"


@dataclass
class Pty:
    """A process on a pseudo-terminal, seen from the terminal's side."""

    terminal: int
    line: int
    child: subprocess.Popen[bytes]
    before: list[Any]
    seen: bytes = b""

    def read(self, until: bytes, within: float = PATIENCE) -> bytes:
        """Read until ``until`` was seen."""
        deadline = time.monotonic() + within
        while until not in self.seen:
            assert time.monotonic() < deadline, self.seen[-3000:]
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536)
        return self.seen

    def ended(self) -> int:
        """Read until the process ends, so that it never waits for room; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while (code := self.child.poll()) is None:
            assert time.monotonic() < deadline, self.seen[-3000:]
            if select.select([self.terminal], [], [], 0.02)[0]:
                self.seen += os.read(self.terminal, 65536)
        return code

    def drain(self) -> bytes:
        """Read what is still on its way."""
        while select.select([self.terminal], [], [], 0.3)[0]:
            self.seen += os.read(self.terminal, 65536)
        return self.seen

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.line)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_a_terminal(*words: str, terminal_type: str = "xterm") -> Iterator[Pty]:
    """Run Python with a controlling terminal of its own."""
    terminal, line = pty.openpty()
    termios.tcsetwinsize(line, (24, 80))
    before = termios.tcgetattr(line)
    child = subprocess.Popen(
        [sys.executable, *words], stdin=line, stdout=line, stderr=line, start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509 (one call, before any thread of the child)
        env={**os.environ, "TERM": terminal_type},
    )  # fmt: skip
    try:
        yield Pty(terminal, line, child, before)
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
        os.close(line)


def assert_given_back(tty: Pty) -> None:
    seen = tty.drain()
    tail = seen[seen.rindex(LEAVE) - 20 :]

    assert seen.count(ENTER) == seen.count(LEAVE)
    assert SHOW_CURSOR in tail
    assert WRAP in tail
    assert tty.modes() == tty.before
