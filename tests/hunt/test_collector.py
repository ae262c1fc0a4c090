"""The collector: every check-in in its series once, in time order, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from beacon_detect.hunt.collector import Collector
from beacon_detect.records import SECOND, Kind, Origin

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
