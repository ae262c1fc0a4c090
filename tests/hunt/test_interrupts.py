"""Interrupts: one asks for what there is, two end everything, and nothing is left half done."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from beacon_detect.hunt.interrupts import Interrupts


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_is_raised_at_once_outside_of_held_blocks() -> None:
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        interrupt()

    assert interrupts.came


def test_a_held_block_ends_before_the_interrupt_is_raised() -> None:
    done = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.held():
            done.append("before")
            interrupt()
            done.append("after")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        work(interrupts)

    assert done == ["before", "after"]


def test_a_noted_interrupt_is_not_raised_but_a_second_one_is() -> None:
    with Interrupts() as interrupts:
        interrupts.only_note()
        interrupt()
        assert interrupts.came
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_the_handler_of_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before

    assert signal.getsignal(signal.SIGINT) == before


def test_in_another_thread_nothing_is_caught_and_nothing_fails() -> None:
    seen = []

    def body() -> None:
        with Interrupts() as interrupts, interrupts.held():
            seen.append(interrupts.came)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()

    assert seen == [False]
