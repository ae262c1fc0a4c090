"""Shortlist: slices hold every series once, and an interrupt leaves the strongest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.analysis import MIN_CHECK_INS, SeriesBatch
from beacon_detect.hunt import shortlist
from beacon_detect.hunt.event_log import SeriesPart
from beacon_detect.hunt.shortlist import strongest, until_stopped

if TYPE_CHECKING:
    import pytest


def part_of(series: list[list[int]], first: int = 0) -> SeriesPart:
    arrays = [np.sort(np.array(times, np.int64)) for times in series]
    return SeriesPart(np.arange(first, first + len(series)), SeriesBatch.from_lists(arrays))


def listed(part: SeriesPart) -> list[tuple[int, list[int]]]:
    offsets = part.batch.offsets
    return [
        (int(row), part.batch.times[offsets[i] : offsets[i + 1]].tolist())
        for i, row in enumerate(part.rows)
    ]


SERIES = st.lists(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=20), min_size=1, max_size=20
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(SERIES, st.integers(1, 40))
def test_slices_are_the_part_cut_in_order(
    monkeypatch: pytest.MonkeyPatch, series: list[list[int]], events: int
) -> None:
    monkeypatch.setattr(shortlist, "SLICE_EVENTS", events)
    part = part_of(series)
    slices = list(until_stopped(iter([part]), lambda: False))

    assert [item for piece in slices for item in listed(piece)] == listed(part)
    largest = max(map(len, series))
    assert all(len(piece.batch.times) < events + 2 * largest for piece in slices)


def test_after_an_interrupt_the_most_regular_series_of_the_rest_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shortlist, "SLICE_EVENTS", 100)
    monkeypatch.setattr(shortlist, "FEW", 3)
    random = np.random.default_rng(4)
    series = [np.cumsum(random.exponential(60, 50)).astype(int).tolist() for _ in range(40)]
    for place in (5, 20, 33):
        series[place] = list(range(0, 3000, 60))
    asked = iter([False, *[True] * 99])
    first, rest = until_stopped(iter([part_of(series)]), lambda: next(asked))

    assert first.rows.tolist() == [0, 1]
    assert {5, 20, 33} == set(rest.rows.tolist())


@given(SERIES)
def test_what_is_too_short_to_score_is_never_among_the_strongest(series: list[list[int]]) -> None:
    found = strongest(part_of(series))

    assert all(len(times) >= MIN_CHECK_INS for _, times in listed(found))
    assert set(map(str, listed(found))) <= set(map(str, listed(part_of(series))))


def test_the_strongest_are_few_enough_to_be_scored_at_once() -> None:
    found = strongest(part_of([list(range(0, 10**6, 100))] * 30))

    assert 0 < len(found.batch.times) <= shortlist.FEW_EVENTS
