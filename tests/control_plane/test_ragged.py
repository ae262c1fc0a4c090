"""Laws of ragged arrays, against plain lists of lists."""

from __future__ import annotations

import bisect
import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane import ragged

SERIES = st.lists(st.lists(st.integers(-50, 50), max_size=8), max_size=8)


def flat(series: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = [len(one) for one in series]
    return np.array(list(itertools.chain(*series)), np.int64), ragged.offsets_of(np.array(lengths))


@given(SERIES)
def test_offsets_cut_the_column_into_the_series(series: list[list[int]]) -> None:
    column, offsets = flat(series)

    assert [column[a:b].tolist() for a, b in itertools.pairwise(offsets)] == series


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5))))
def test_positions_are_those_of_the_slices(slices: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in slices], np.int64)
    lengths = np.array([length for _, length in slices], np.int64)

    expected = [start + step for start, length in slices for step in range(length)]
    assert ragged.positions(starts, lengths).tolist() == expected


@given(SERIES)
def test_disordered_names_the_series_that_fall(series: list[list[int]]) -> None:
    falling = [i for i, one in enumerate(series) if one != sorted(one)]

    assert ragged.disordered(*flat(series)).tolist() == falling


@given(SERIES, st.lists(st.tuples(st.integers(0, 7), st.integers(-50, 50)), max_size=10))
def test_find_is_a_binary_search_in_each_slice(
    series: list[list[int]], asked: list[tuple[int, int]]
) -> None:
    series = [sorted(one) for one in series]
    column, offsets = flat(series)
    asked = [(i, value) for i, value in asked if i < len(series)]
    which = np.array([i for i, _ in asked], np.int64)
    wanted = np.array([value for _, value in asked], np.int64)

    found = ragged.find(column, offsets[which], offsets[which + 1], wanted).tolist()

    for (i, value), position in zip(asked, found, strict=True):
        expected = bisect.bisect_left(series[i], value)
        present = value in series[i]
        assert position == (offsets[i] + expected if present else -1)


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(0, 300))
def test_fair_cap_is_the_largest_that_fits(lengths: list[int], budget: int) -> None:
    def total(cap: int) -> int:
        return sum(min(length, cap) for length in lengths)

    cap = ragged.fair_cap(np.array(lengths, np.int64), budget)

    assert total(cap) <= budget
    assert cap >= max(lengths, default=0) or total(cap + 1) > budget
