"""A few explanations at a time, in threads of their own: they measure, and must not hold up the rest.

Limit: an explanation that has begun is not cut off when its client goes away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from beacon_detect.control_plane.api.problems import RETRY_AFTER_SECONDS, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

AT_ONCE = 2
"""Explanations measured at a time; each may take the analysis of one long series."""
WAITING = 16
"""Further ones that wait for their turn; beyond it clients are asked to come again."""


class ExplanationDesk:
    """Gives each explanation its turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._asked = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, run in a thread when its turn has come.

        Raises
        ------
        ProblemError
            Too many wait already.
        """
        if self._asked >= AT_ONCE + WAITING:
            detail = f"{self._asked} explanations are being made; try again in a moment"
            retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise ProblemError(503, "busy", detail, headers=retry)
        self._asked += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._asked -= 1
