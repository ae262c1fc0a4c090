"""Explanations take turns, a few at a time, and too many at once are asked to come again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from beacon_detect.control_plane.api.explanation_desk import AT_ONCE, WAITING, ExplanationDesk
from beacon_detect.control_plane.api.problems import ProblemError
from patience import PATIENCE


def test_a_few_run_at_once_and_never_in_the_loops_own_thread() -> None:
    """As many as may run meet; more than that never run together."""
    running: set[int] = set()
    most: list[int] = []
    meeting = threading.Barrier(AT_ONCE)
    lock = threading.Lock()

    def work() -> int:
        number = threading.get_ident()
        with lock:
            running.add(number)
            most.append(len(running))
        meeting.wait(PATIENCE)
        with lock:
            running.discard(number)
        return number

    async def all_of_them() -> list[int]:
        desk = ExplanationDesk()
        return await asyncio.gather(*(desk.run(work) for _ in range(4 * AT_ONCE)))

    threads = asyncio.run(all_of_them())

    assert max(most) == AT_ONCE
    assert threading.get_ident() not in threads


def test_one_too_many_is_refused_and_the_others_are_served() -> None:
    go_on = threading.Event()

    async def crowd() -> list[object]:
        desk = ExplanationDesk()
        served = [
            asyncio.create_task(desk.run(lambda: go_on.wait(PATIENCE)))
            for _ in range(AT_ONCE + WAITING)
        ]
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refused:
            await desk.run(lambda: True)
        assert (refused.value.status, refused.value.name) == (503, "busy")
        assert int(refused.value.headers["Retry-After"]) > 0
        go_on.set()
        return list(await asyncio.gather(*served))

    assert asyncio.run(crowd()) == [True] * (AT_ONCE + WAITING)


def test_a_failed_explanation_gives_its_turn_back() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def many() -> int:
        desk = ExplanationDesk()
        for _ in range(AT_ONCE + WAITING + 1):
            with pytest.raises(ValueError, match="no"):
                await desk.run(fail)
        return await desk.run(lambda: 7)

    assert asyncio.run(many()) == 7
