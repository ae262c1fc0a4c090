"""The collector: every check-in in its series once, in time order, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from beacon_detect.hunt.collector import Collector
from beacon_detect.records import SECOND, Kind, Origin, pack_address

if TYPE_CHECKING:
    from collections.abc import Callable


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


@pytest.mark.parametrize("reports", [0, 3, 100])
def test_open_connections_count_once_unless_their_end_is_there(
    make_chunk: Callable, monkeypatch: pytest.MonkeyPatch, reports: int
) -> None:
    monkeypatch.setattr("beacon_detect.hunt.collector.OPEN_REPORTS", reports)
    some = Collector()
    some.add(make_chunk([10, 20], kind=Kind.UPDATE, bytes_out=5))
    some.add(make_chunk([10, 20], kind=Kind.UPDATE, bytes_out=7))
    some.add(make_chunk([20, 30], bytes_out=9))
    some.finish()

    assert some.pairs.column("connections").tolist() == [3]
    assert some.pairs.column("bytes_out").tolist() == [7 + 9 + 9]
    times = [part.batch.times for part in some.logs["connections"].series(minimum=1)]
    assert (times[0] // SECOND).tolist() == [10, 20, 30]


def test_an_open_connection_whose_end_was_left_out_of_a_long_series_counts_once(
    make_chunk: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beacon_detect.hunt.event_log.COMPACT_ROWS", 5)
    some = Collector()
    some.logs["connections"].limit = 2
    some.add(make_chunk([10, 20, 70], kind=Kind.UPDATE, bytes_out=5))
    # Few connections of a pair are all kept, and one before them was not in the log.
    some.add(make_chunk([5], dst="192.0.2.8", kind=Kind.UPDATE))
    some.add(make_chunk([15], dst="192.0.2.8"))
    some.add(make_chunk([10, 20, 30, 40, 50, 60], bytes_out=9))
    assert some.dropped_check_ins == 4
    some.finish()

    assert some.pairs.column("connections").tolist() == [7, 2]
    assert some.pairs.column("bytes_out").tolist() == [6 * 9 + 5, 0]
    times = [part.batch.times for part in some.logs["connections"].series(minimum=1)]
    assert (times[0] // SECOND).tolist() == [50, 60, 70, 5, 15]


def test_connections_side_by_side_are_those_that_finished_and_whose_start_was_seen(
    make_chunk: Callable,
) -> None:
    some = Collector()
    times, origin = [0, 0.1, 0.2, 60, 60.1], np.array([0, 0, Origin.MIDSTREAM, 0, 0], np.uint8)
    some.add(make_chunk(times, duration=SECOND, origin=origin))
    some.add(make_chunk([60.2], duration=SECOND, kind=Kind.UPDATE))
    some.add(make_chunk([60.3], duration=SECOND, kind=Kind.BURST))
    some.add(make_chunk([0, 0.1, 0.2], duration=0, dst="192.0.2.8"))
    some.finish()

    assert some.pairs.column("connections").tolist() == [6, 3]
    assert some.pairs.side_by_side(np.arange(2)).tolist() == pytest.approx([2 / 4, np.nan], nan_ok=True)  # fmt: skip


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


@pytest.fixture
def crowded(make_chunk: Callable, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Give a beacon, an open connection and its end among pairs of one connection each."""
    monkeypatch.setattr("beacon_detect.hunt.collector.MAX_PAIRS", 20)
    some = Collector()
    for number in range(60):
        some.add(make_chunk([60.0 * number], dst="203.0.113.9"))
        some.add(make_chunk([60.0 * number], dst=f"192.0.2.{number}"))
        if number < 3:
            some.add(make_chunk([7], dst="203.0.113.8", kind=Kind.UPDATE, bytes_out=number))
            some.add(make_chunk([number], dst="203.0.113.7", kind=Kind.BURST, bytes_out=number))
    some.finish()
    return some


def test_of_too_many_pairs_the_busiest_and_newest_are_kept(crowded: Collector) -> None:
    places = [dst.tobytes() for dst in crowded.pairs.column("dst")]
    beacon = places.index(pack_address("203.0.113.9"))
    [part] = crowded.logs["connections"].series(minimum=6)

    assert len(crowded.pairs) <= 20
    assert len(crowded.pairs) + crowded.forgotten == 63
    assert part.rows.tolist() == [beacon]
    assert (part.batch.times // SECOND).tolist() == [60 * number for number in range(60)]
    assert crowded.pairs.column("connections")[beacon] == 60
    assert pack_address("192.0.2.59") in places
    assert pack_address("192.0.2.0") not in places
    assert len(set(places)) == len(places)


def test_what_is_kept_of_too_many_pairs_keeps_its_events(crowded: Collector) -> None:
    places = [dst.tobytes() for dst in crowded.pairs.column("dst")]
    still_open = crowded.pairs.column("connections")[places.index(pack_address("203.0.113.8"))]
    [bursts] = crowded.logs["bursts"].series(minimum=1)

    assert still_open == 1
    assert bursts.rows.tolist() == [places.index(pack_address("203.0.113.7"))]
    assert (bursts.batch.times // SECOND).tolist() == [0, 1, 2]
    events = crowded.pairs.column("connections") + crowded.pairs.column("bursts")
    assert len(crowded.logs["connections"]) == events.sum() - 3


def test_a_pair_that_was_forgotten_may_come_again(crowded: Collector, make_chunk: Callable) -> None:
    crowded.add(make_chunk([9000.0, 9060.0], dst="192.0.2.0"))
    [again] = [i for i, dst in enumerate(crowded.pairs.column("dst")) if dst.tobytes() == pack_address("192.0.2.0")]  # fmt: skip

    assert crowded.pairs.column("connections")[again] == 2
    assert crowded.pairs.column("first_seen")[again] == 9000 * SECOND
