"""The terminal is taken, drawn on, and given back exactly as it was, whatever ends the block."""

from __future__ import annotations

import os
import signal
import time

import pytest

from patience import eventually
from terminal import ENTER, LEAVE, assert_given_back, on_a_terminal

SCRIPT = """
import sys
from beacon_detect.cli.screen import Screen
with Screen() as screen:
    screen.show(["first", "second"] + ["x" * 300] * 100)
    print("quit" if screen.wait(float(sys.argv[1])) else "late", file=sys.stderr, flush=True)
    if sys.argv[2] == "fail":
        raise RuntimeError("broken")
"""


def test_keys_leave_no_trace_and_q_ends_it() -> None:
    with on_a_terminal("-c", SCRIPT, "600", "end") as tty:
        tty.read(b"second")
        assert tty.modes() != tty.before
        os.write(tty.terminal, b"zz")
        time.sleep(0.2)
        os.write(tty.terminal, b"q")
        tty.read(b"quit")

        assert tty.ended() == 0
        assert b"zz" not in tty.drain()
        assert_given_back(tty)


def test_what_does_not_fit_is_left_away() -> None:
    with on_a_terminal("-c", SCRIPT, "0", "end") as tty:
        seen = tty.read(b"late")

        assert seen[: seen.index(LEAVE) if LEAVE in seen else None].count(b"x" * 300) == 22
        assert tty.ended() == 0
        assert_given_back(tty)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGINT, None),
    ],
)
def test_a_signal_gives_the_terminal_back(number: signal.Signals, code: int | None) -> None:
    with on_a_terminal("-c", SCRIPT, "600", "end") as tty:
        tty.read(b"second")
        tty.child.send_signal(number)
        ended = tty.ended()

        assert code is None or ended == code
        assert_given_back(tty)


def test_an_exception_gives_the_terminal_back() -> None:
    with on_a_terminal("-c", SCRIPT, "0", "fail") as tty:
        tty.read(b"broken")

        assert tty.ended() == 1
        assert_given_back(tty)


def test_ctrl_z_gives_the_terminal_back_and_takes_it_again() -> None:
    with on_a_terminal("-c", SCRIPT, "600", "end") as tty:
        tty.read(b"second")
        # A session leader without a shell to continue it ignores Ctrl-Z's stop; the
        # terminal is what this is about.
        tty.child.send_signal(signal.SIGTSTP)
        tty.read(LEAVE)
        tty.child.send_signal(signal.SIGCONT)
        eventually(lambda: tty.drain().count(ENTER) == 2, "the screen is taken again")
        os.write(tty.terminal, b"q")

        assert tty.ended() == 0
        assert_given_back(tty)
