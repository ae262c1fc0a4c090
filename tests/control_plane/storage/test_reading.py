"""Reads span hot rows and segments as if they were one table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from beacon_detect.control_plane.columns import table_pair_ids
from beacon_detect.control_plane.storage import reading
from beacon_detect.records import SECOND, Kind, Origin
from records_factory import BASE_TIME, make_header, make_records

if TYPE_CHECKING:
    from beacon_detect.control_plane.storage.store import Store

HOUR = 3600 * SECOND
PAIR = int(table_pair_ids(make_records(1))[0])


@pytest.fixture
def filled(store: Store) -> Store:
    """Four hours of records: two in segments, one merged, the last one hot."""
    table = make_records(240, kind=Kind.START)
    store.append(make_header(), table.slice(0, 180)).result()
    store.maintain(time.time_ns() + HOUR, 10**18)
    store.append(make_header(), table.slice(180)).result()
    return store


def test_a_scan_yields_every_record_once(filled: Store) -> None:
    times = [t for table in filled.scan_records(0, ["time"]) for t in table["time"].to_pylist()]

    assert sorted(times) == [BASE_TIME + n * 60 * SECOND for n in range(240)]


def test_a_scan_begins_where_it_is_told(filled: Store) -> None:
    for skipped in (0, 10, 181, 239, 240):
        since = BASE_TIME + skipped * 60 * SECOND
        found = sum(t.num_rows for t in filled.scan_records(since, ["time", "process"]))
        assert found == 240 - skipped


def test_a_scan_comes_in_pieces(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SCAN_ROWS", 50)

    assert sum(t.num_rows for t in filled.scan_records(0, ["time"])) == 240


def test_a_scan_that_is_given_up_lets_files_go(filled: Store) -> None:
    scan = filled.scan_records(0, ["time"])
    next(scan)
    scan.close()

    assert filled._files._readers == 0


def test_unknown_columns_are_refused(filled: Store) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        list(filled.scan_records(0, ["time", "nonsense; DROP TABLE record"]))


@pytest.mark.parametrize("limit", [1, 30, 100, 1000])
def test_a_series_is_the_newest_in_the_order_of_time(filled: Store, limit: int) -> None:
    table = filled.series([PAIR], "connections", limit)

    expected = [BASE_TIME + n * 60 * SECOND for n in range(240)][-limit:]
    assert table["time"].to_pylist() == expected


def test_a_series_holds_its_own_kind_only(store: Store) -> None:
    kinds = [Kind.START, Kind.BURST, Kind.END, Kind.CONNECTION, Kind.UPDATE, Kind.START]
    origins = [0, 0, 0, 0, 0, Origin.SNAPSHOT]
    store.append(make_header(), make_records(kind=kinds, origin=origins)).result()

    assert store.series([PAIR], "connections", 9)["kind"].to_pylist() == [
        Kind.START,
        Kind.CONNECTION,
    ]
    assert store.series([PAIR], "bursts", 9)["kind"].to_pylist() == [Kind.BURST]
    assert store.series([1], "bursts", 9).num_rows == 0


def test_a_series_of_several_pairs_is_one_in_the_order_of_time(store: Store) -> None:
    dst = ["203.0.113.1", "203.0.113.2", "203.0.113.3"] * 4
    kinds = [Kind.START, Kind.BURST, Kind.START] * 4
    table = make_records(kind=kinds, dst=dst)
    store.append(make_header(), table).result()
    pairs = table_pair_ids(table)[:2]

    found = store.series(pairs, "name", 9)

    assert found["time"].to_pylist() == [
        BASE_TIME + n * 60 * SECOND for n in range(12) if n % 3 < 2
    ]
    assert store.series(pairs, "process", 3)["time"].to_pylist() == found["time"].to_pylist()[-3:]
    assert store.series([], "name", 9).num_rows == 0
