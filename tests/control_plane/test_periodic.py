"""Repeated work goes on after failures, follows a changed interval and stops when told."""

from __future__ import annotations

import threading
import time

from beacon_detect.control_plane.periodic import Periodic
from patience import PATIENCE


def test_it_runs_at_once_and_again_after_the_interval() -> None:
    runs: list[float] = []
    twice = threading.Event()

    def work() -> None:
        runs.append(time.monotonic())
        if len(runs) == 2:
            twice.set()

    periodic = Periodic("test", work, lambda: 0.05)
    before = time.monotonic()
    periodic.start()
    assert twice.wait(PATIENCE)
    assert periodic.stop(PATIENCE)

    # An interval counts from the start of a run, which is no earlier than its thread's.
    assert runs[1] - before >= 0.05


def test_a_failing_run_is_counted_and_the_schedule_goes_on() -> None:
    recovered = threading.Event()
    runs = 0

    def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("no such thing")
        recovered.set()

    periodic = Periodic("test", work, lambda: 0.01)
    periodic.start()
    assert recovered.wait(PATIENCE)
    assert periodic.stop(PATIENCE)

    assert periodic.failures == 2
    assert periodic.last_error == ""


def test_a_shorter_interval_holds_at_once() -> None:
    interval = 3600.0
    runs = threading.Semaphore(0)
    periodic = Periodic("test", runs.release, lambda: interval)
    periodic.start()
    assert runs.acquire(timeout=PATIENCE)

    interval = 0.01
    periodic.reschedule()

    assert runs.acquire(timeout=PATIENCE)
    assert periodic.stop(PATIENCE)


def test_stopping_says_whether_the_run_ended_in_time() -> None:
    release = threading.Event()
    started = threading.Event()

    def work() -> None:
        started.set()
        release.wait(PATIENCE)

    periodic = Periodic("test", work, lambda: 0.01)
    periodic.start()
    assert started.wait(PATIENCE)

    assert not periodic.stop(0.05)
    release.set()
    assert periodic.stop(PATIENCE)


def test_stopping_before_the_start_is_allowed() -> None:
    assert Periodic("test", lambda: None, lambda: 1.0).stop(0)


def test_a_run_that_is_wanted_follows_at_once_even_during_another() -> None:
    started, release = threading.Semaphore(0), threading.Semaphore(0)
    wanted = False

    def work() -> None:
        nonlocal wanted
        wanted = False
        started.release()
        release.acquire(timeout=PATIENCE)

    periodic = Periodic("test", work, lambda: 3600.0, lambda: wanted)
    periodic.start()
    assert started.acquire(timeout=PATIENCE)

    wanted = True
    periodic.reschedule()
    release.release()

    assert started.acquire(timeout=PATIENCE)
    release.release()
    assert periodic.stop(PATIENCE)
    assert periodic.runs == 2
