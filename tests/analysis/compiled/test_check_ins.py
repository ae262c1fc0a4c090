"""The compiled collapse finds what the plain one finds."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.compiled.check_ins import (
    find_check_ins,
    mean_gap_rate,
    shortest_interval,
)
from beacon_detect.analysis.compiled.workspace import workspace
from beacon_detect.analysis.reference.check_ins import find_check_ins as find_plainly
from beacon_detect.analysis.reference.check_ins import shortest_interval as shortest_plainly


def test_check_ins_are_the_reference_s() -> None:
    rng = np.random.default_rng(1)
    times = np.rint(
        np.cumsum(np.where(np.arange(90) % 3, 0.2, 60) * rng.uniform(0.8, 1.2, 90)) * 1e9
    )
    times = times.astype(np.int64)
    w = workspace(len(times))
    found, gap, busy, *_ = find_check_ins(times, mean_gap_rate(times), shortest_interval(times), w)
    plain = find_plainly(times)

    assert plain is not None
    assert (gap, busy) == (plain.gap, plain.busy)
    assert w.intervals[: found - 1].tolist() == pytest.approx(plain.intervals.tolist())
    assert times[w.firsts[:found]].tolist() == plain.starts.tolist()


@pytest.mark.parametrize("step", [1_000_000_000, 1_000_000_001])
def test_the_clock_of_a_log_is_known(step: int) -> None:
    times = 5 + np.arange(20) * step

    assert shortest_interval(times) == shortest_plainly(times)
    assert (shortest_interval(times) > 1) == (step % 1_000_000_000 == 0)
