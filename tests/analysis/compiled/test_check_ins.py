"""The compiled collapse finds what the plain one finds."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.check_ins import find_check_ins, mean_gap_rate
from beacon_detect.analysis.compiled.workspace import workspace
from beacon_detect.analysis.reference.check_ins import find_check_ins as find_plainly


def test_check_ins_are_the_reference_s() -> None:
    rng = np.random.default_rng(1)
    times = np.rint(
        np.cumsum(np.where(np.arange(90) % 3, 0.2, 60) * rng.uniform(0.8, 1.2, 90)) * 1e9
    )
    times = times.astype(np.int64)
    w = workspace(len(times))
    found, gap, *_ = find_check_ins(times, mean_gap_rate(times), w)
    plain = find_plainly(times)

    assert plain is not None
    assert gap == plain.gap
    assert times[w.firsts[:found]].tolist() == plain.starts.tolist()
