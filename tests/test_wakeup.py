"""A signal ends a wait, before it or during it, once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from beacon_detect.wakeup import Wakeup
from patience import PATIENCE


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with Wakeup() as made:
        yield made
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_before_the_wait_ends_it_and_only_it(wakeup: Wakeup) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    began = time.monotonic()

    assert not wakeup.wait(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    began = time.monotonic()
    assert not wakeup.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_a_signal_during_the_wait_ends_it(wakeup: Wakeup) -> None:
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    began = time.monotonic()

    assert not wakeup.wait(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    timer.join()


def test_a_file_ends_the_wait(wakeup: Wakeup) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")

    assert wakeup.wait(PATIENCE, reader)
    os.close(reader)
    os.close(writer)


def test_what_was_woken_before_is_woken_again_afterwards() -> None:
    with Wakeup() as outer:
        with Wakeup():
            pass
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        began = time.monotonic()

        assert not outer.wait(PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2
        signal.signal(signal.SIGUSR1, before)
