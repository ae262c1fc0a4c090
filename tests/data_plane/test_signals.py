"""Signals stop and reload the loop; a second stop ends the process by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from beacon_detect.data_plane.signals import SAME_STOP, Signals


def test_a_stop_ends_the_wait_at_once() -> None:
    with Signals() as signals:
        assert not signals.wait(0)
        os.kill(os.getpid(), signal.SIGTERM)
        began = time.monotonic()

        assert signals.wait(10)
        assert time.monotonic() - began < 5


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
        "import time\n"
        "from beacon_detect.data_plane.signals import Signals\n"
        "with Signals():\n"
        "    print('ready', flush=True)\n"
        "    for _ in range(60): time.sleep(1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        time.sleep(SAME_STOP + 0.2)
        assert child.poll() is None, "both are one stop, as when Ctrl-C reaches a whole group"
        child.send_signal(signal.SIGTERM)

        assert child.wait(10) == -signal.SIGTERM
