"""Signals stop and reload the loop; a second stop ends the process by itself."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

from beacon_detect.data_plane.signals import Signals
from patience import PATIENCE


def test_a_stop_ends_the_wait_at_once() -> None:
    with Signals() as signals:
        assert not signals.wait(0)
        os.kill(os.getpid(), signal.SIGTERM)
        began = time.monotonic()

        assert signals.wait(PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2


def test_a_stop_may_come_at_any_step_of_the_wait() -> None:
    """A handler that waited for what the wait itself holds would wait for ever."""
    for step in itertools.count(1):
        seen = 0

        def trace(_frame: FrameType, _event: str, _argument: Any, step: int = step) -> Any:
            nonlocal seen
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGTERM)
            return trace

        with Signals() as signals:
            sys.settrace(trace)
            signals.wait(0)
            sys.settrace(None)
            if seen < step:
                break
            assert signals.wait(PATIENCE)


def test_a_reload_is_taken_once() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.wait(0.01)

        assert signals.take_reload()
        assert not signals.take_reload()
        assert not signals.wait(0)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_stop_ends_a_process_that_does_not_heed_the_first() -> None:
    script = (
        "import os, signal, time\n"
        "from beacon_detect.data_plane import signals\n"
        "real, signals.SAME_STOP = signals.SAME_STOP, 3600.0  # however slow this machine is\n"
        "with signals.Signals():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('both are one stop, as when Ctrl-C reaches a whole group', flush=True)\n"
        "    signals.SAME_STOP = real\n"
        "    time.sleep(real)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('the third is none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stdout == "both are one stop, as when Ctrl-C reaches a whole group\n"
    assert done.returncode == -signal.SIGTERM
