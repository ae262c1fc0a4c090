"""The log of check-ins: every event in its series once, in time order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt import event_log as module
from beacon_detect.hunt.event_log import EventLog, SeriesPart, merged_series

Pairs = list[tuple[int, int]]
EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), max_size=80)
TIED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=80)


@contextmanager
def bounds(**values: int) -> Iterator[None]:
    """Set bounds of the module for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


def log_of(events: Pairs, cut: int = 7) -> EventLog:
    """Return a log that got the events in chunks of ``cut``."""
    log = EventLog()
    for start in range(0, len(events), cut):
        rows, times = np.array(events[start : start + cut], np.int64).T
        log.add(rows.astype(np.int32), times, times * 2, times * 3)
    return log


def listed(parts: Iterable[SeriesPart]) -> dict[int, list[int]]:
    """Return the times of each series; sizes must have stayed with their times."""
    found: dict[int, list[int]] = {}
    for part in parts:
        assert (part.batch.bytes_out == part.batch.times * 2).all()
        assert (part.batch.bytes_in == part.batch.times * 3).all()
        for i, row in enumerate(part.rows.tolist()):
            assert row not in found
            found[row] = part.batch.times[
                part.batch.offsets[i] : part.batch.offsets[i + 1]
            ].tolist()
    return found


def expected(events: Pairs) -> dict[int, list[int]]:
    return {row: sorted(t for r, t in events if r == row) for row in {row for row, _ in events}}


@given(EVENTS, st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
def test_series_hold_every_event_sorted_however_the_log_is_cut(
    events: Pairs, cut: int, part_rows: int, piece_rows: int
) -> None:
    with bounds(PART_ROWS=part_rows, PIECE_ROWS=piece_rows):
        log = log_of(events, cut)

        assert listed(log.series(minimum=1)) == expected(events)
    assert len(log) == len(events)


@given(st.one_of(EVENTS, TIED), st.integers(1, 30), st.integers(1, 40))
def test_a_compacted_log_keeps_the_newest(events: Pairs, keep: int, part_rows: int) -> None:
    events = sorted(events, key=lambda event: event[1])
    with bounds(MAX_SERIES=keep, COMPACT_ROWS=5, PIECE_ROWS=3, PART_ROWS=part_rows):
        log = log_of(events)
        kept = listed(log.series(minimum=1))

    assert sum(map(len, kept.values())) == len(log) == len(events) - log.dropped
    for row, times in expected(events).items():
        assert kept[row][-min(keep, len(times)) :] == times[-keep:]


@given(st.one_of(EVENTS, TIED), st.integers(1, 30))
def test_right_after_compacting_no_pair_has_more_than_the_limit(events: Pairs, keep: int) -> None:
    with bounds(MAX_SERIES=keep, COMPACT_ROWS=max(len(events) - 1, 0)):
        log = log_of(events, cut=len(events) + 1)

    assert listed(log.series(minimum=1)) == {
        row: times[-keep:] for row, times in expected(events).items()
    }


@given(EVENTS, st.integers(8, 40))
def test_a_full_log_shortens_every_series_alike_and_counts_what_it_drops(
    events: Pairs, most: int
) -> None:
    events = sorted(events, key=lambda event: event[1])
    with bounds(MAX_EVENTS=most):
        log = log_of(events, cut=4)

        assert len(log) <= most
        kept = listed(log.series(minimum=1))
    assert len(log) + log.dropped == len(events)
    for row, times in expected(events).items():
        assert kept[row] == times[-len(kept[row]) :]
        assert len(kept[row]) >= min(len(times), log.limit)


def test_in_a_hurry_series_come_a_few_at_a_time() -> None:
    log = log_of([(row, time) for time in range(3) for row in range(20)])
    hurried = iter([False, *[True] * 20])
    with bounds(PART_ROWS=30, HURRIED_ROWS=6):
        sizes = [len(part.rows) for part in log.series(1, lambda: next(hurried))]

    assert sizes == [10, 2, 2, 2, 2, 2]


def test_a_log_within_its_bounds_drops_nothing() -> None:
    with bounds(MAX_EVENTS=40, COMPACT_ROWS=10, MAX_SERIES=20):
        log = log_of([(i % 2, i) for i in range(40)], cut=3)

    assert (len(log), log.dropped, log.limit) == (40, 0, 20)


@given(EVENTS, EVENTS, st.lists(st.integers(-1, 2), min_size=6, max_size=6), st.integers(1, 20))
def test_logs_merge_under_other_numbers(
    one: Pairs, other: Pairs, numbers: list[int], part_rows: int
) -> None:
    labels = np.array(numbers, np.int32)
    together = [(numbers[row], t) for row, t in (*one, *other) if numbers[row] >= 0]
    with bounds(PART_ROWS=part_rows):
        found = listed(merged_series([log_of(one), log_of(other)], labels, minimum=1))

    assert found == expected(together)


@given(EVENTS, st.sets(st.integers(0, 7), max_size=4))
def test_single_pairs_are_found_with_their_events_in_time_order(
    events: Pairs, rows: set[int]
) -> None:
    found = log_of(events).of_pairs(np.array(sorted(rows), np.int64))
    wanted = expected(events)

    assert {row: times.tolist() for row, (times, _, _) in found.items() if len(times)} == {
        row: wanted[row] for row in rows if row in wanted
    }
    assert all((out == times * 2).all() for times, out, _ in found.values())


@given(EVENTS, EVENTS)
def test_pairs_and_times_are_known_or_not(events: Pairs, asked: Pairs) -> None:
    rows = np.array([row for row, _ in asked], np.int32)
    times = np.array([time for _, time in asked], np.int64)

    assert log_of(events).times_at(rows, times).tolist() == [one in events for one in asked]


def test_series_with_enough_events_are_counted() -> None:
    log = log_of([(0, 1), (0, 2), (2, 1), (2, 2), (2, 3)])

    assert log.scorable(minimum=2) == (2, 5)
    assert log.scorable(minimum=3) == (1, 3)
    assert listed(log.series(minimum=3)) == {2: [1, 2, 3]}
    assert EventLog().scorable() == (0, 0)


def test_sizes_beyond_four_gibibytes_do_not_wrap() -> None:
    log = EventLog()
    log.add(*(np.array([value]) for value in (np.int32(0), 7, 2**33 + 1, 5)))
    [part] = log.series(minimum=1)

    assert (part.batch.bytes_out.tolist(), part.batch.bytes_in.tolist()) == ([2**32 - 1], [5])
