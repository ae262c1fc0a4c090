"""The compiled collapse finds what the plain one finds."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis.compiled.check_ins import (
    Way,
    find_ways,
    is_worth_measuring,
    mean_gap_rate,
    shortest_interval,
    take,
)
from beacon_detect.analysis.compiled.workspace import Workspace, workspace
from beacon_detect.analysis.reference.check_ins import CheckIns
from beacon_detect.analysis.reference.check_ins import find_check_ins as find_plainly
from beacon_detect.analysis.reference.check_ins import shortest_interval as shortest_plainly


def hold_equal(times: np.ndarray, way: Way, plain: CheckIns, w: Workspace) -> None:
    found, left_out, busy = take(times, way, w)

    assert (way.gap, busy) == (plain.collapse.gap, plain.busy)
    assert (bool(way.paused), bool(way.large)) == (plain.collapse.paused, plain.collapse.large)
    assert w.intervals[: found - 1].tolist() == pytest.approx(plain.intervals.tolist())
    assert times[w.firsts[:found]].tolist() == plain.starts.tolist()
    assert w.sizes[:found].tolist() == plain.sizes.tolist()
    assert left_out == plain.left_out


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_are_the_reference_s(seed: int) -> None:
    """Sleeps with a few connections each, and as many visits beside them."""
    rng = np.random.default_rng(seed)
    slow = rng.integers(2, 6)
    gaps = np.where(np.arange(150) % slow, rng.uniform(0.1, 20), 60) * rng.uniform(0.5, 1.2, 150)
    visits = rng.uniform(0, gaps.sum(), 40 * (seed % 2))
    times = np.rint(np.sort(np.concatenate((np.cumsum(gaps), visits))) * 1e9).astype(np.int64)
    w = workspace(len(times))
    collapses, best, second, uncollapsed = find_ways(
        times, mean_gap_rate(times), shortest_interval(times), w
    )
    plain = find_plainly(times)

    assert plain[0].merits.collapses == collapses
    assert plain[0].merits.uncollapsed == pytest.approx(uncollapsed)
    assert plain[0].merits.own == pytest.approx(best.merit)
    assert plain[0].merits.other == pytest.approx(max(second.merit, 0))
    assert len(plain) == 1 + is_worth_measuring(second, best)
    for way, found in zip((best, second), plain, strict=False):
        hold_equal(times, way, found, w)


def test_too_few_events_have_no_way() -> None:
    times = np.arange(5) * 60_000_000_000

    assert find_ways(times, mean_gap_rate(times), shortest_interval(times), workspace(5))[0] == 0


@pytest.mark.parametrize("step", [1_000_000_000, 1_000_000_001])
def test_the_clock_of_a_log_is_known(step: int) -> None:
    times = 5 + np.arange(20) * step

    assert shortest_interval(times) == shortest_plainly(times)
    assert (shortest_interval(times) > 1) == (step % 1_000_000_000 == 0)
