"""Bytes of open connections are counted once, whatever is reported when."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from beacon_detect.control_plane import open_connections
from beacon_detect.control_plane.columns import numbers, table_pair_ids
from beacon_detect.control_plane.open_connections import OpenConnections
from beacon_detect.records import Kind
from records_factory import BASE_TIME, make_records


def grown(held: OpenConnections, table: pa.Table) -> int:
    """Return the bytes out that the records add."""
    kind, time = numbers(table, "kind"), numbers(table, "time")
    rows, out, in_ = held.growth(table_pair_ids(table), kind, time, table)
    assert len(rows) == len(out) == len(in_)
    return int(out.sum())


def reports(kinds: list[Kind], counters: list[int], **columns: object) -> pa.Table:
    columns.setdefault("connection_id", 7)
    return make_records(kind=kinds, bytes_out=counters, **columns)


def test_counters_are_cumulative() -> None:
    held = OpenConnections()

    assert grown(held, reports([Kind.START, Kind.UPDATE], [40, 100])) == 100
    assert grown(held, reports([Kind.BURST, Kind.UPDATE], [150, 300])) == 200
    assert grown(held, reports([Kind.END], [310])) == 10
    assert grown(held, reports([Kind.UPDATE], [305])) == 0


def test_whole_connections_count_in_full() -> None:
    held = OpenConnections()
    table = reports([Kind.CONNECTION, Kind.END, Kind.CONNECTION], [1, 10, 100], connection_id=0)

    assert grown(held, table) == 111
    assert len(held) == 0


def test_the_same_id_on_another_pair_is_another_connection() -> None:
    held = OpenConnections()
    table = reports([Kind.UPDATE, Kind.UPDATE], [100, 100], dst=["203.0.113.1", "203.0.113.2"])

    assert grown(held, table) == 200


def test_beyond_the_bound_connections_count_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "MAX_TRACKED", 2)
    held = OpenConnections()
    ids = np.arange(5)

    assert grown(held, reports([Kind.UPDATE] * 5, [100] * 5, connection_id=ids)) == 200
    assert len(held) == 2
    assert grown(held, reports([Kind.END] * 5, [101] * 5, connection_id=ids)) == 305


def test_ended_and_silent_connections_are_forgotten() -> None:
    held = OpenConnections()
    table = reports(
        [Kind.UPDATE, Kind.UPDATE, Kind.UPDATE, Kind.END],
        [1, 1, 1, 2],
        connection_id=[1, 2, 3, 3],
        time=[BASE_TIME, BASE_TIME + 100, BASE_TIME + 100, BASE_TIME + 100],
    )
    grown(held, table)
    held.forget(BASE_TIME + 50)

    assert len(held) == 1
    assert grown(held, reports([Kind.UPDATE], [5], connection_id=2)) == 4
