"""The collector: every check-in in its series once, in time order, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.hunt import collector as module
from beacon_detect.hunt.collector import Collector, EventLog
from beacon_detect.records import SECOND, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Callable


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), max_size=80)


def columns(events: list[tuple[int, int]]) -> tuple[np.ndarray, ...]:
    rows = np.array([row for row, _ in events], np.int32)
    times = np.array([time for _, time in events], np.int64)
    return rows, times, times * 2, times * 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(EVENTS, st.integers(1, 30), st.integers(1, 40))
def test_series_hold_every_event_sorted_however_the_log_is_cut(
    events: list[tuple[int, int]], cut: int, part_rows: int
) -> None:
    log = EventLog()
    for start in range(0, len(events), cut):
        log.add(*columns(events[start : start + cut]))
    before, module.PART_ROWS = module.PART_ROWS, part_rows
    try:
        found = {
            int(row): part.batch.times[part.batch.offsets[i] : part.batch.offsets[i + 1]].tolist()
            for part in log.series(minimum=1)
            for i, row in enumerate(part.rows)
        }
        for part in log.series(minimum=1):
            assert (part.batch.bytes_out == part.batch.times * 2).all()
            assert (part.batch.bytes_in == part.batch.times * 3).all()
    finally:
        module.PART_ROWS = before

    assert found == {
        row: sorted(t for r, t in events if r == row) for row in {row for row, _ in events}
    }


@given(EVENTS, st.integers(1, 30))
def test_a_compacted_log_keeps_the_newest(events: list[tuple[int, int]], keep: int) -> None:
    before = module.MAX_SERIES, module.COMPACT_ROWS
    module.MAX_SERIES, module.COMPACT_ROWS = keep, 5
    try:
        log = EventLog()
        for start in range(0, len(events), 7):
            log.add(*columns(sorted(events, key=lambda event: event[1])[start : start + 7]))
    finally:
        module.MAX_SERIES, module.COMPACT_ROWS = before
    kept = {
        int(row): part.batch.times[part.batch.offsets[i] : part.batch.offsets[i + 1]].tolist()
        for part in log.series(minimum=1)
        for i, row in enumerate(part.rows)
    }

    assert sum(map(len, kept.values())) + log.dropped == len(events)
    for row, times in kept.items():
        every = sorted(t for r, t in events if r == row)
        assert times[-min(keep, len(every)) :] == every[-keep:]


def test_short_series_are_not_sorted_at_all(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk([0, 60, 120]))

    assert list(some.logs["connections"].series()) == []
    assert len(some.pairs) == 1


def test_midstream_connections_count_but_are_no_check_ins(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk([0, 60, 120], origin=np.array([0, Origin.MIDSTREAM, 0], np.uint8)))

    assert len(some.logs["connections"]) == 2
    assert some.pairs.column("connections").tolist() == [3]
    assert some.midstream == 1


def test_open_connections_count_once_unless_their_end_is_there(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk([10, 20], kind=Kind.UPDATE, bytes_out=5))
    some.add(make_chunk([10, 20], kind=Kind.UPDATE, bytes_out=7))
    some.add(make_chunk([20, 30], bytes_out=9))
    some.finish()

    assert some.pairs.column("connections").tolist() == [3]
    assert some.pairs.column("bytes_out").tolist() == [7 + 9 + 9]
    times = [part.batch.times for part in some.logs["connections"].series(minimum=1)]
    assert (times[0] // SECOND).tolist() == [10, 20, 30]


def test_bursts_are_a_series_of_their_own(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk([1, 2, 3], kind=Kind.BURST, bytes_out=5))
    some.add(make_chunk([1], bytes_out=50))

    assert (len(some.logs["bursts"]), len(some.logs["connections"])) == (3, 1)
    assert some.pairs.column("bytes_out").tolist() == [50]


def test_records_outside_the_chosen_time_are_counted(make_chunk: Callable) -> None:
    some = Collector(since_ns=10 * SECOND, until_ns=20 * SECOND)
    some.add(make_chunk([9, 10, 19, 20]))
    some.add(make_chunk([1, 2]))

    assert some.outside == 4
    assert some.pairs.column("connections").tolist() == [2]


def test_sizes_beyond_four_gibibytes_do_not_wrap(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk([1], bytes_out=2**33 + 1))
    part = next(iter(some.logs["connections"].series(minimum=1)))

    assert part.batch.bytes_out.tolist() == [2**32 - 1]
    assert some.pairs.column("bytes_out").tolist() == [2**33 + 1]
