"""Losses are counted by reason and never shrink."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.data_plane.losses import Loss, Losses


def test_nothing_is_told_where_nothing_was_lost() -> None:
    losses = Losses()
    losses.add(Loss.RING_FULL, 0)
    losses.raise_to(Loss.MAP_FULL, 0)
    losses.raise_to(Loss.FLOWS_EVICTED, -3)

    assert losses.totals() == {}


@given(st.lists(st.integers(-10, 10**12)))
def test_a_total_taken_over_never_falls(totals: list[int]) -> None:
    losses = Losses()
    for total in totals:
        losses.raise_to(Loss.RING_FULL, total)

    assert losses.totals().get("ring_full", 0) == max([0, *totals])


@given(st.lists(st.tuples(st.sampled_from(Loss), st.integers(1, 1000))))
def test_additions_add_up_by_reason(additions: list[tuple[Loss, int]]) -> None:
    losses = Losses()
    for reason, count in additions:
        losses.add(reason, count)

    assert sum(losses.totals().values()) == sum(count for _, count in additions)
    assert set(losses.totals()) == {reason.value for reason, _ in additions}


def test_threads_do_not_lose_counts() -> None:
    losses = Losses()
    threads = [
        threading.Thread(target=lambda: [losses.add(Loss.BATCH_REJECTED, 1) for _ in range(5000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert losses.totals() == {"batch_rejected": 20_000}
