"""Joins: a name finds its connection, before or after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt.joins import MAX_WAITING, ConnectionPairs, Joins

if TYPE_CHECKING:
    import pytest


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


@given(
    st.lists(st.lists(st.integers(1, 60), max_size=12), max_size=12),
    st.lists(st.integers(1, 80), max_size=20),
)
def test_the_newest_pair_of_every_connection_is_found(
    batches: list[list[int]], wanted: list[int]
) -> None:
    pairs, model = ConnectionPairs(), {}
    for number, batch in enumerate(batches):
        values = np.array([number * 1000 + i for i in range(len(batch))], np.uint64)
        pairs.add(ids(*batch), values)
        model |= dict(zip(batch, values.tolist(), strict=True))
        if number % 3 == 1:
            pairs.find(ids(1))

    found, known = pairs.find(ids(*wanted))

    assert known.tolist() == [key in model for key in wanted]
    assert found[known].tolist() == [model[key] for key in wanted if key in model]


def test_of_too_many_connections_the_newest_half_at_least_is_kept() -> None:
    pairs = ConnectionPairs(most=100)
    for start in range(1, 1001, 10):
        pairs.add(np.arange(start, start + 10).astype(np.uint64), np.arange(10).astype(np.uint64))
        known = pairs.find(np.arange(1, start + 10).astype(np.uint64))[1]
        assert known[-50:].all()
        assert known.sum() <= 100


TIME, CODE = np.array([7, 8]), np.array([0, 1], np.int32)


def test_a_name_that_comes_first_waits_for_its_connection_and_is_given_once() -> None:
    joins = Joins()
    own = ids(100, 200)

    _, rows = joins.pairs_of(ids(1, 2), own, TIME, CODE, np.array([False, True]))
    assert rows.tolist() == [1]
    assert joins.unplaced == 1

    pairs, times, codes = joins.add(ids(3, 1), ids(30, 10))
    assert (pairs.tolist(), times.tolist(), codes.tolist()) == ([10], [7], [0])
    assert joins.unplaced == 0
    assert len(joins.add(ids(1), ids(10))[0]) == 0


def test_a_name_that_comes_second_gets_the_pair_of_its_connection_not_of_its_addresses() -> None:
    joins = Joins()
    joins.add(ids(1), ids(10))

    pairs, rows = joins.pairs_of(ids(1, 0), ids(100, 200), TIME, CODE, np.array([True, True]))

    assert pairs.tolist() == [10, 200]
    assert rows.tolist() == [0, 1]


def test_names_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beacon_detect.hunt.joins.MAX_WAITING", 3)
    joins = Joins()
    for start in (1, 3, 5):
        joins.pairs_of(ids(start, start + 1), ids(0, 0), TIME, CODE, np.zeros(2, bool))

    assert joins.unplaced == 6
    assert len(joins.add(ids(1, 2, 3, 4, 5, 6), ids(*range(6)))[0]) == 2
    assert MAX_WAITING == 1_000_000
