"""The working set equals a dict of lists, keeps to its bounds and counts what it drops."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.control_plane import working_set
from beacon_detect.control_plane.columns import table_pair_ids
from beacon_detect.control_plane.working_set import SeriesGroup, SeriesKind, WorkingSet
from beacon_detect.records import SECOND, Kind, Origin, hash_words
from records_factory import BASE_TIME, make_records

MODEL = dict[tuple[int, int], list[int]]


def pair(number: int) -> np.uint64:
    return hash_words(np.array([number], np.uint64))[0]


def events(rows: list[tuple[int, Kind, int]]) -> tuple[np.ndarray, pa.Table]:
    """Return pair ids and a table of (pair number, kind, time); bytes out repeat the time."""
    numbers, kinds, times = zip(*rows, strict=True)
    table = make_records(
        kind=list(kinds), series_time=list(times), duration=0, bytes_out=list(times), bytes_in=1
    )
    return np.array([pair(number) for number in numbers]), table


def fill(held: WorkingSet, rows: list[tuple[int, Kind, int]]) -> None:
    held.add(*events(rows))


def as_dict(group: SeriesGroup) -> dict[tuple[int, int], list[int]]:
    offsets = group.batch.offsets
    return {
        (int(owner), int(kind)): group.batch.times[offsets[i] : offsets[i + 1]].tolist()
        for i, (owner, kind) in enumerate(zip(group.pair_ids, group.kinds, strict=True))
    }


def times_of(held: WorkingSet, number: int, kind: SeriesKind) -> list[int]:
    return held.series(int(pair(number)), kind).times.tolist()


ROW = st.tuples(
    st.integers(0, 4),
    st.sampled_from([Kind.START, Kind.CONNECTION, Kind.BURST]),
    st.integers(0, 1000),
)
BATCHES = st.lists(st.lists(ROW, min_size=1, max_size=30), max_size=8)
TAKES = st.lists(st.booleans(), min_size=8, max_size=8)


@settings(max_examples=150, deadline=None)
@given(BATCHES, TAKES, st.integers(1, 12), st.integers(0, 4))
def test_equals_a_dict_of_lists(
    batches: list[list[tuple[int, Kind, int]]], takes: list[bool], length: int, least: int
) -> None:
    held = WorkingSet(max_events=10_000, series_length=length)
    model: MODEL = defaultdict(list)
    dirty: set[tuple[int, int]] = set()
    for batch, take in zip(batches, takes, strict=False):
        fill(held, batch)
        for number, kind, moment in batch:
            key = (int(pair(number)), int(kind == Kind.BURST))
            model[key] = sorted([*model[key], moment])[-length:]
            dirty.add(key)
        if take:
            due = {key for key in dirty if len(model[key]) >= max(1, least)}
            assert as_dict(held.take_dirty(least)) == {key: model[key] for key in due}
            dirty -= due

    for number in range(5):
        for kind in (SeriesKind.CONNECTIONS, SeriesKind.BURSTS):
            assert times_of(held, number, kind) == model.get((int(pair(number)), kind), [])
    assert held.counters.events == sum(map(len, model.values()))
    assert held.counters.dirty == len(dirty)


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.integers(1, 40))
def test_never_holds_more_than_its_bound_and_counts_the_rest(
    batches: list[list[tuple[int, Kind, int]]], most: int
) -> None:
    held = WorkingSet(max_events=most, series_length=1000)
    for batch in batches:
        fill(held, batch)
    held.take_dirty(1)

    counters = held.counters
    assert counters.events <= most
    assert counters.events + sum(counters.dropped.values()) == sum(map(len, batches))


def test_noise_cannot_push_a_slow_beacon_out() -> None:
    held = WorkingSet(max_events=1000, series_length=1000)
    fill(held, [(1, Kind.START, 43_200 * n) for n in range(12)])
    for start in range(0, 20_000, 2000):
        fill(held, [(2, Kind.START, 10**6 + start + n) for n in range(2000)])
    held.take_dirty(1)

    assert len(times_of(held, 1, SeriesKind.CONNECTIONS)) == 12
    assert 0 < len(times_of(held, 2, SeriesKind.CONNECTIONS)) <= 988
    assert held.counters.dropped["series_length"] + held.counters.dropped["working_set_full"] > 0


def test_more_series_than_room_keeps_the_recently_active() -> None:
    held = WorkingSet(max_events=64, series_length=10)
    fill(held, [(number, Kind.START, number) for number in range(100)])
    held.take_dirty(1)

    assert [n for n in range(100) if times_of(held, n, SeriesKind.CONNECTIONS)] == [*range(44, 100)]


def test_what_was_not_seen_to_open_is_no_check_in() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    table = make_records(kind=Kind.START, origin=[Origin.OPENED, Origin.MIDSTREAM, Origin.SNAPSHOT])
    held.add(table_pair_ids(table), table)

    assert held.counters.events == 1


def test_a_check_in_gets_the_size_of_its_connection() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    kinds = [Kind.START, Kind.START, Kind.UPDATE, Kind.END, Kind.BURST]
    table = make_records(
        kind=kinds,
        series_time=[10, 20, 70, 95, 96],
        duration=[0, 0, 50, 85, 0],
        bytes_out=[1, 2, 700, 900, 3],
        bytes_in=[0, 0, 70, 2**40, 4],
    )
    held.add(table_pair_ids(table), table)
    batch = held.series(int(table_pair_ids(table)[0]), SeriesKind.CONNECTIONS)

    assert batch.times.tolist() == [10, 20]
    assert batch.bytes_out.tolist() == [900, 700]
    assert batch.bytes_in.tolist() == [2**32 - 1, 70]


def test_a_burst_has_the_bytes_that_its_connection_grew_by() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    table = make_records(
        kind=Kind.BURST,
        series_time=[10, 20, 30, 40, 50],
        bytes_out=[100, 300, 450, 80, 180],
        bytes_in=[5, 5, 9, 1, 1],
    )
    held.add(table_pair_ids(table), table)
    batch = held.series(int(table_pair_ids(table)[0]), SeriesKind.BURSTS)

    # The fourth counter fell: it is that of a new connection.
    assert batch.bytes_out.tolist() == [100, 200, 150, 80, 100]
    assert batch.bytes_in.tolist() == [5, 0, 4, 1, 0]


@settings(max_examples=100, deadline=None)
@given(BATCHES, TAKES)
def test_pairs_are_touched_when_they_got_events_whatever_passes_took(
    batches: list[list[tuple[int, Kind, int]]], takes: list[bool]
) -> None:
    held = WorkingSet(max_events=10_000, series_length=10)
    touched: set[int] = set()
    for batch, take in zip(batches, takes, strict=False):
        fill(held, batch)
        touched |= {int(pair(number)) for number, _, _ in batch}
        held.take_dirty(1)
        if take:
            assert sorted(held.take_touched().tolist()) == sorted(touched)
            touched = set()

    assert sorted(held.take_touched().tolist()) == sorted(touched)


def test_touched_pairs_survive_forgetting_and_can_be_touched_again() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    fill(held, [(1, Kind.START, 5), (2, Kind.START, 60), (3, Kind.BURST, 70)])
    held.forget(50)
    first = held.take_touched()

    assert sorted(first.tolist()) == sorted([int(pair(2)), int(pair(3))])
    assert held.take_touched().tolist() == []

    held.touch(np.append(first, pair(9)))

    assert held.take_touched().tolist() == first.tolist()


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.permutations(range(7)))
def test_gathering_gives_what_is_held_of_the_pairs_asked_for(
    batches: list[list[tuple[int, Kind, int]]], wanted: list[int]
) -> None:
    held = WorkingSet(max_events=10_000, series_length=100)
    for batch in batches:
        fill(held, batch)
    ids = np.array([pair(number) for number in wanted[:4]])
    group = held.gather(ids)
    kinds = (SeriesKind.CONNECTIONS, SeriesKind.BURSTS)
    expected = {
        (int(pair(number)), int(kind)): times
        for number in wanted[:4]
        for kind in kinds
        if (times := times_of(held, number, kind))
    }

    assert {key: times for key, times in as_dict(group).items() if times} == expected
    order = {int(identifier): place for place, identifier in enumerate(ids)}
    places = [order[owner] for owner in group.pair_ids.tolist()]
    assert places == sorted(places)
    assert held.sizes(ids).tolist() == [
        sum(len(times_of(held, number, kind)) for kind in kinds) for number in wanted[:4]
    ]


def test_series_of_groups_are_not_asked_of_a_pair() -> None:
    with pytest.raises(ValueError, match="NAME"):
        times_of(WorkingSet(max_events=100, series_length=10), 1, SeriesKind.NAME)


def test_series_put_back_are_taken_again() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    fill(held, [(1, Kind.START, 5), (1, Kind.BURST, 6), (2, Kind.START, 7)])
    first = held.take_dirty(1)
    assert len(held.take_dirty(1)) == 0

    held.put_back(first)

    assert as_dict(held.take_dirty(1)) == as_dict(first)


def test_a_take_can_be_cut_into_pieces() -> None:
    held = WorkingSet(max_events=1000, series_length=10)
    fill(held, [(number, Kind.START, moment) for number in range(20) for moment in range(5)])
    pieces = []
    while len(piece := held.take_dirty(1, 30)):
        pieces.append(piece)

    assert [len(piece) for piece in pieces] == [6, 6, 6, 2]
    assert len({int(owner) for piece in pieces for owner in piece.pair_ids}) == 20


def test_forgetting_drops_old_events_and_empty_pairs() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    fill(held, [(1, Kind.START, 5), (2, Kind.START, 6), (2, Kind.BURST, 50), (3, Kind.START, 60)])
    held.forget(50)
    fill(held, [(4, Kind.START, 70)])

    assert times_of(held, 1, SeriesKind.CONNECTIONS) == []
    assert times_of(held, 2, SeriesKind.BURSTS) == [50]
    assert times_of(held, 3, SeriesKind.CONNECTIONS) == [60]
    assert held.counters.pairs == 3
    assert held.counters.dropped == {"retention": 2}
    assert {key[1] for key in as_dict(held.take_dirty(1))} == {0, 1}


def test_a_shorter_series_length_takes_effect_at_once() -> None:
    held = WorkingSet(max_events=100, series_length=10)
    fill(held, [(1, Kind.START, moment) for moment in range(8)])
    held.resize(series_length=3)

    assert times_of(held, 1, SeriesKind.CONNECTIONS) == [5, 6, 7]


def test_adding_and_taking_at_once_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_set, "MIN_TAIL_EVENTS", 50)
    held = WorkingSet(max_events=100_000, series_length=10_000)

    def add(number: int) -> None:
        for start in range(0, 1000, 20):
            fill(held, [(number, Kind.START, start + step) for step in range(20)])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        held.take_dirty(1)
    for number in range(3):
        assert times_of(held, number, SeriesKind.CONNECTIONS) == [*range(1000)]


def test_a_hundred_thousand_pairs_are_taken_in_seconds_not_minutes() -> None:
    pairs, each = 100_000, 20
    ids = hash_words(np.arange(pairs, dtype=np.uint64))
    held = WorkingSet(max_events=4_000_000, series_length=1024)
    one = np.ones(pairs, np.int64)
    for step in range(each):
        table = pa.table(
            {
                "kind": np.full(pairs, Kind.START, np.uint8),
                "origin": np.zeros(pairs, np.uint8),
                "series_time": BASE_TIME + one * step * SECOND,
                "duration": 0 * one,
                "bytes_out": one,
                "bytes_in": one,
            }
        )
        held.add(ids, table)
    begin = time.perf_counter()
    group = held.take_dirty(10)

    assert len(group) == pairs
    assert len(group.batch.times) == pairs * each
    assert time.perf_counter() - begin < 60  # measured: 0.2 s alone on the machine
