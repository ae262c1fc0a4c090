"""Starts the daemons as child processes, watches over them, and stops them in order.

Signals are taken one at a time from a queue (``sigtimedwait``), never in a
handler. Each child is a process group of its own, so that Ctrl-C reaches only
the supervisor, which stops the last started child first. The kernel ends the
children when the supervisor is killed (``PR_SET_PDEATHSIG``).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from beacon_detect.errors import BeaconError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

STOP_SECONDS = 30.0
"""Time a child gets to end in order before it is killed."""

_LOOK_SECONDS = 1.0
"""Longest time between two looks at the children: another thread may take their SIGCHLD."""

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class ChildEndedError(BeaconError):
    """A child ended that should have gone on; leaves with the child's exit code."""

    def __init__(self, name: str, code: int) -> None:
        how = (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )
        super().__init__(f"the {name} {how}", hint="its own messages above say why")
        known = code in {int(known) for known in ExitCode} and code != 0
        self.exit_code = ExitCode(code) if known else ExitCode.FAILURE


@dataclass(frozen=True)
class Child:
    """One daemon: what people call it, and its process."""

    name: str
    process: subprocess.Popen[bytes]


class Supervisor:
    """Owner of the child processes; a context manager that leaves none behind.

    Parameters
    ----------
    tell
        Takes one line for people about what happens.
    stop_seconds
        Time each child gets to end in order.
    """

    def __init__(self, tell: Callable[[str], None], *, stop_seconds: float = STOP_SECONDS) -> None:
        self._tell = tell
        self._stop_seconds = stop_seconds
        self._children: list[Child] = []
        self._libc = ctypes.CDLL(None)
        self._old_mask: set[int] = set()
        # What the starter chose to ignore (nohup) stays ignored.
        self._stops = {s for s in _STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN}
        self._taken = self._stops | {signal.SIGCHLD}

    def __enter__(self) -> Self:
        self._old_mask = {int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, self._taken)}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stop_all()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a child; it is stopped before those that were started earlier."""
        parent = os.getpid()

        def prepare() -> None:
            # Between fork and exec: only calls that need no lock and no memory of ours.
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
            if os.getppid() != parent:
                os._exit(ExitCode.FAILURE)

        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=prepare,  # noqa: PLW1509 (this process has one thread)
        )
        self._children.append(Child(name, process))

    def pause(self, seconds: float) -> bool:
        """Wait at most ``seconds`` and return whether a stop was asked for.

        Raises
        ------
        ChildEndedError
            A child ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            for child in self._children:
                if (code := child.process.poll()) is not None:
                    raise ChildEndedError(child.name, code)
            left = max(0.0, deadline - time.monotonic())
            got = signal.sigtimedwait(self._taken, min(left, _LOOK_SECONDS))
            if got is not None and got.si_signo in self._stops:
                return True
            if got is None and left <= _LOOK_SECONDS:
                return False

    def watch(self) -> None:
        """Wait until a stop is asked for; ChildEndedError when a child ends before."""
        while not self.pause(3600.0):
            pass

    def _stop_all(self) -> None:
        forced = False
        for child in reversed(self._children):
            if child.process.poll() is None:
                self._tell(f"stopping the {child.name}")
                child.process.terminate()
                forced = self._ends(child, forced=forced)
        self._children.clear()

    def _ends(self, child: Child, *, forced: bool) -> bool:
        """Wait for a child to end, kill it when it does not; return whether that was asked for."""
        deadline = time.monotonic() + self._stop_seconds
        while child.process.poll() is None:
            left = deadline - time.monotonic()
            if forced or left <= 0:
                why = "as asked" if forced else f"it did not end within {self._stop_seconds:g} s"
                self._tell(f"killing the {child.name}: {why}")
                with suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
                break
            got = signal.sigtimedwait(self._taken, min(left, _LOOK_SECONDS))
            forced = forced or (got is not None and got.si_signo in self._stops)
        return forced
