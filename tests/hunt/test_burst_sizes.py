"""Burst sizes: differences within a connection, however the bursts come in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt import burst_sizes
from beacon_detect.hunt.burst_sizes import BurstSizes

BURSTS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1000)), min_size=1, max_size=60)


@given(BURSTS, st.integers(1, 20))
def test_sizes_of_a_connection_add_up_to_its_last_counter(
    bursts: list[tuple[int, int]], cut: int
) -> None:
    ids = np.array([i for i, _ in bursts], np.uint64)
    sent = np.array([s for _, s in bursts], np.int64)
    total = np.zeros(len(bursts), np.int64)
    for i in np.unique(ids):
        total[ids == i] = np.cumsum(sent[ids == i])
    times = np.arange(len(bursts))
    sizes = BurstSizes()
    found = [
        sizes.own(ids[a : a + cut], times[a : a + cut], total[a : a + cut], 2 * total[a : a + cut])
        for a in range(0, len(bursts), cut)
    ]

    assert np.concatenate([out for out, _ in found]).tolist() == sent.tolist()
    assert np.concatenate([received for _, received in found]).tolist() == (2 * sent).tolist()


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    before, burst_sizes.MAX_CONNECTIONS = burst_sizes.MAX_CONNECTIONS, 2
    try:
        sizes = BurstSizes()
        ids = np.array([1, 2, 3], np.uint64)
        sizes.own(ids, np.array([1, 2, 3]), np.array([5, 5, 5]), np.zeros(3, np.int64))
        out, _ = sizes.own(ids, np.array([4, 5, 6]), np.array([9, 9, 9]), np.zeros(3, np.int64))
    finally:
        burst_sizes.MAX_CONNECTIONS = before

    assert out.tolist() == [9, 4, 4]
