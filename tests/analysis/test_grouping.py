"""Merging series is a law-abiding operation: it adds nothing, loses nothing, knows no order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis import Settings, analyze
from beacon_detect.analysis.grouping import NO_GROUP, group_series, keep_newest
from beacon_detect.analysis.types import SeriesBatch
from beacon_detect.records import SECOND

EVENT = st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 3))
SERIES = st.lists(EVENT, max_size=12).map(sorted)
MANY = st.lists(st.tuples(SERIES, st.integers(-1, 3)), max_size=8)
Events = list[tuple[int, int, int]]


def batch_of(series: list[Events]) -> SeriesBatch:
    rows = np.array([event for events in series for event in events], np.int64).reshape(-1, 3)
    offsets = np.cumsum([0, *map(len, series)]).astype(np.int64)
    return SeriesBatch(offsets, rows[:, 0], rows[:, 1], rows[:, 2])


def events_of(batch: SeriesBatch) -> list[Events]:
    rows = list(
        zip(batch.times.tolist(), batch.bytes_out.tolist(), batch.bytes_in.tolist(), strict=True)
    )
    ends = batch.offsets.tolist()
    return [rows[low:high] for low, high in itertools.pairwise(ends)]


def merged(series: list[Events], keys: list[int], groups: int) -> list[Events]:
    return events_of(group_series(batch_of(series), np.array(keys, np.int64), groups))


@given(MANY)
def test_a_group_holds_the_events_of_its_series_in_order_and_no_others(
    many: list[tuple[Events, int]],
) -> None:
    series, keys = [one for one, _ in many], [key for _, key in many]

    expected = [sorted(e for s, k in many if k == group for e in s) for group in range(4)]

    assert merged(series, keys, 4) == expected


@given(SERIES)
def test_merging_one_series_is_the_identity(series: Events) -> None:
    assert merged([series], [0], 1) == [series]


@given(SERIES, st.integers(1, 8))
def test_a_series_dealt_round_robin_comes_back_exactly(series: Events, hands: int) -> None:
    dealt = [series[hand::hands] for hand in range(hands)]

    assert merged(dealt, [0] * hands, 1) == [series]


@given(MANY, st.randoms(use_true_random=False))
def test_the_order_of_the_series_changes_nothing(
    many: list[tuple[Events, int]], random: object
) -> None:
    shuffled = list(many)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    def of(rows: list[tuple[Events, int]]) -> list[Events]:
        return merged([one for one, _ in rows], [key for _, key in rows], 4)

    assert of(shuffled) == of(many)


def test_times_centuries_apart_are_ordered_as_well() -> None:
    far = 2**62

    assert merged([[(-far, 0, 0), (far, 0, 0)], [(0, 0, 0)]], [1, 1], 2) == [
        [],
        [(-far, 0, 0), (0, 0, 0), (far, 0, 0)],
    ]


def test_series_without_a_group_are_left_out() -> None:
    assert merged([[(1, 0, 0)], [(2, 0, 0)]], [NO_GROUP, 0], 1) == [[(2, 0, 0)]]


@given(st.lists(SERIES, max_size=6), st.integers(1, 5))
def test_the_newest_events_stay(series: list[Events], most: int) -> None:
    assert events_of(keep_newest(batch_of(series), most)) == [one[-most:] for one in series]


@pytest.mark.parametrize("seed", range(8))
def test_random_traffic_of_many_addresses_stays_random_when_merged(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hands = [np.cumsum(rng.exponential(60 * SECOND, 40)).astype(np.int64) for _ in range(8)]
    apart = SeriesBatch.from_lists(hands)

    together = group_series(apart, np.zeros(8, np.int64), 1)

    assert analyze(together, Settings()).score[0] < 0.7


def test_a_beacon_over_addresses_that_are_each_irregular_is_one_again() -> None:
    rng = np.random.default_rng(5)
    whole = np.arange(40) * 60 * SECOND + rng.integers(0, 6 * SECOND, 40)
    hand = rng.integers(0, 8, 40)
    apart = SeriesBatch.from_lists([whole[hand == number] for number in range(8)])

    together = analyze(group_series(apart, np.zeros(8, np.int64), 1), Settings())

    alone = analyze(apart, Settings()).score
    assert np.median(alone) < 0.5
    assert alone.max() < 0.8
    assert together.score[0] >= 0.9
    assert together.interval[0] == pytest.approx(60, rel=0.05)
