"""Boot to wall time: exact under a steady clock, and a step moves only what comes after it."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.data_plane.clock import KEPT_SAMPLES, STEP_NS, WallClock
from beacon_detect.records import SECOND

EPOCH = 1_790_000_000 * SECOND


class Script:
    """A machine whose boot clock advances a second a sample, with offsets as told."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)
        self._boot = 0

    def __call__(self) -> tuple[int, int]:
        self._boot += SECOND
        return self._boot, self._offsets.pop(0)


@given(
    offset=st.integers(EPOCH, 2 * EPOCH),
    boots=st.lists(st.integers(0, 100 * SECOND)),
    samples=st.integers(1, 5),
)
def test_a_steady_clock_shifts_by_a_constant(offset: int, boots: list[int], samples: int) -> None:
    clock = WallClock(Script(*[offset] * samples))
    for _ in range(samples - 1):
        assert clock.sample() == 0

    wall = clock.wall(np.array(boots, np.int64))

    assert wall.tolist() == [boot + offset for boot in boots]


@given(
    offsets=st.lists(st.integers(0, 10**15), min_size=1, max_size=50),
    boots=st.lists(st.integers(0, 60 * SECOND), min_size=1),
)
def test_every_event_is_converted_with_the_sample_nearest_to_it(
    offsets: list[int], boots: list[int]
) -> None:
    clock = WallClock(Script(*offsets))
    for _ in offsets[1:]:
        clock.sample()
    taken = SECOND * np.arange(1, len(offsets) + 1)

    wall = clock.wall(np.array(boots, np.int64))

    for boot, found in zip(boots, wall.tolist(), strict=True):
        distance = np.abs(taken - boot)
        nearest = {boot + offsets[i] for i in np.flatnonzero(distance == distance.min())}
        assert found in nearest


def test_only_a_jump_beyond_slewing_counts_as_a_step() -> None:
    clock = WallClock(Script(EPOCH, EPOCH + STEP_NS, EPOCH + 10 * SECOND, EPOCH + 9 * SECOND))

    assert [clock.sample(), clock.sample(), clock.sample()] == [0, 10 * SECOND - STEP_NS, -SECOND]
    assert clock.steps == 2


def test_a_step_moves_no_event_before_it() -> None:
    clock = WallClock(Script(EPOCH, EPOCH + 3600 * SECOND))
    before = clock.wall(np.array([SECOND + SECOND // 4]))
    clock.sample()

    assert clock.wall(np.array([SECOND + SECOND // 4])).tolist() == before.tolist()
    assert clock.wall(np.array([2 * SECOND])).tolist() == [EPOCH + 3602 * SECOND]


def test_the_samples_kept_are_bounded_and_the_newest() -> None:
    count = 3 * KEPT_SAMPLES
    clock = WallClock(Script(*range(count)))
    for _ in range(count - 1):
        clock.sample()

    assert clock.offset == count - 1
    recent = SECOND * (count - KEPT_SAMPLES + 1)
    assert clock.wall(np.array([recent])).tolist() == [recent + count - KEPT_SAMPLES]


def test_the_real_clocks_agree_with_the_wall() -> None:
    clock = WallClock()
    before = time.time_ns()

    now = int(clock.wall(np.array([time.clock_gettime_ns(time.CLOCK_BOOTTIME)]))[0])

    # However long the machine paused in between; half of the pause of a sample is its error.
    assert before - SECOND < now < time.time_ns() + SECOND
