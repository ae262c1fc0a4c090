"""Connections side by side: the columns say what a plain loop would, however the records come."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beacon_detect.context.side_by_side import NEVER, WITHIN, Counted, count_beside, share_beside
from beacon_detect.records import SECOND

STEP = WITHIN // 4
"""Coarse, so that starts and ends often fall together and bounds are met exactly."""
CONNECTION = st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 12))
"""Owner, start and duration, in steps."""
CONNECTIONS = st.lists(CONNECTION, max_size=60)
Connections = list[tuple[int, int, int]]


class Table:
    """What a pair table does with the counts."""

    def __init__(self) -> None:
        self.beside = np.zeros(4, np.int64)
        self.starts, self.ends = np.zeros(4, np.int64), np.full(4, NEVER)

    def last(self, owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.starts[owners], self.ends[owners]

    def add(self, some: Connections, *, origin: int = 0) -> Counted:
        columns = np.array(some, np.int64).reshape(-1, 3)
        starts = columns[:, 1] * STEP + origin
        found = count_beside(
            columns[:, 0].astype(np.int32), starts, starts + columns[:, 2] * STEP, self.last
        )
        self.beside[found.owners] += found.beside
        self.starts[found.owners], self.ends[found.owners] = found.starts, found.ends
        return found


def in_order(some: Connections) -> Connections:
    return sorted(some, key=lambda one: (one[1], one[1] + one[2]))


def plain(some: Connections) -> list[int]:
    """Count as one would say it, one connection after the other."""
    beside, before = [0] * 4, dict[int, tuple[int, int]]()
    for owner, begin, length in in_order(some):
        start, end = begin * STEP, (begin + length) * STEP
        if owner in before:
            earlier, until = before[owner]
            together = max(start, earlier) < min(end, until)
            beside[owner] += together and start - earlier < WITHIN
        before[owner] = start, end
    return beside


@given(CONNECTIONS)
def test_counts_what_a_plain_loop_counts(some: Connections) -> None:
    table = Table()
    found = table.add(some)

    assert table.beside.tolist() == plain(some)
    assert dict(zip(found.owners.tolist(), found.connections.tolist(), strict=True)) == Counter(
        owner for owner, _, _ in some
    )


@given(st.lists(CONNECTION, max_size=60).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))  # fmt: skip
def test_the_order_within_a_part_does_not_matter(both: tuple[Connections, Connections]) -> None:
    one, other = (Table().add(some) for some in both)

    for name in ("owners", "connections", "beside", "starts", "ends"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


@given(CONNECTIONS, st.integers(1, 20))
def test_records_in_order_may_be_cut_anywhere(some: Connections, size: int) -> None:
    some, table = in_order(some), Table()
    for begin in range(0, len(some), size):
        table.add(some[begin : begin + size])

    assert table.beside.tolist() == plain(some)


@given(CONNECTIONS, st.integers(-(10**18), 10**18))
def test_only_differences_of_time_matter(some: Connections, origin: int) -> None:
    one, other = Table(), Table()
    one.add(some)
    other.add(some, origin=origin)

    assert one.beside.tolist() == other.beside.tolist()


@given(CONNECTION, CONNECTION)
def test_two_that_come_one_at_a_time_may_come_in_either_order(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    table, turned = Table(), Table()
    for a, b in ((one, other), (other, one)):
        table.add([a])
        turned.add([b])

    assert table.beside.tolist() == turned.beside.tolist() == plain([one, other])


@given(CONNECTIONS)
def test_of_the_connections_of_a_pair_the_first_is_beside_none(some: Connections) -> None:
    found = Table().add(some)

    for owner, beside in zip(found.owners.tolist(), found.beside.tolist(), strict=True):
        assert 0 <= beside < sum(one[0] == owner for one in some)


@given(CONNECTIONS)
def test_connections_without_a_duration_are_beside_nothing(some: Connections) -> None:
    table = Table()
    table.add([(owner, start, 0) for owner, start, _ in some])

    assert not table.beside.any()


@pytest.mark.parametrize(
    ("gap", "duration", "beside"),
    [
        (0, 1, 1),
        (WITHIN - 1, WITHIN, 1),
        (WITHIN, 10 * WITHIN, 0),  # open at the same time, but not opened together
        (SECOND, SECOND, 0),  # one begins as the other ends
        (SECOND, SECOND + 1, 1),
    ],
)
def test_the_bounds_are_sharp(gap: int, duration: int, beside: int) -> None:
    starts = np.array([0, gap])
    found = count_beside(np.zeros(2, np.int32), starts, starts + duration, Table().last)

    assert found.beside.tolist() == [beside]


def test_large_owners_keep_their_connections_apart() -> None:
    owners = np.array([2**40 - 1, 0, 2**40 - 1, 2**40 - 2])
    starts = np.zeros(4, np.int64)
    found = count_beside(
        owners, starts, starts + 1, lambda known: (0 * known, np.full(len(known), NEVER))
    )

    assert found.owners.tolist() == [0, 2**40 - 2, 2**40 - 1]
    assert found.beside.tolist() == [0, 0, 1]


FULL = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(st.integers(0, 3), FULL), min_size=1, max_size=40))
def test_times_that_cannot_be_keep_to_their_owner(some: list[tuple[int, int]]) -> None:
    owners, starts = (np.array(column, np.int64) for column in zip(*some, strict=True))
    found = count_beside(owners, starts, starts, Table().last)

    newest = {owner: max(s for o, s in some if o == owner) for owner in set(owners.tolist())}
    assert dict(zip(found.owners.tolist(), found.starts.tolist(), strict=True)) == newest
    assert not found.beside.any()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**20)), min_size=1, max_size=60))
def test_where_starts_cannot_be_told_apart_at_once_the_order_is_exact(some: list[tuple[int, int]]) -> None:  # fmt: skip
    """A stamp of 1970 in between leaves no room for the last digits."""
    starts = np.array([0, *(2**60 + start for start, _ in some)])
    ends = starts + np.array([0, *(duration for _, duration in some)])
    owners = np.zeros(len(starts), np.int64)
    owners[0] = 2**50
    found = count_beside(owners, starts, ends, lambda known: (0 * known, np.full(len(known), NEVER)))  # fmt: skip

    rows = sorted((start, start + duration) for start, duration in some)
    expected = sum(max(a[0], b[0]) < min(a[1], b[1]) for a, b in pairwise(rows))
    assert found.beside.tolist() == [expected, 0]


def test_a_share_is_of_all_connections_and_unknown_without_durations() -> None:
    share = share_beside(
        np.array([3, 0, 0, 0]), np.array([4, 5, 5, 0]), np.array([True, True, False, False])
    ).tolist()

    assert share[:2] == [0.75, 0.0]
    assert all(math.isnan(one) for one in share[2:])
