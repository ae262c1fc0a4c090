"""After a restart the memory of the control plane is what it was, segments or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.restore import restore
from beacon_detect.control_plane.storage.store import CommittedBatch, Store
from beacon_detect.control_plane.working_set import WorkingSet
from beacon_detect.records import SECOND, Kind
from records_factory import BASE_TIME, make_header, make_records

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * SECOND


def workload(seed: int) -> pa.Table:
    """Return 200 connections of 7 pairs over three hours, opened, reported and ended."""
    rng = np.random.default_rng(seed)
    count = 200
    start = BASE_TIME + rng.choice(3 * HOUR, count, replace=False)
    kinds = [Kind.START, Kind.BURST, Kind.UPDATE, Kind.END]
    times = start + np.outer([0, 7, 60, 95], np.full(count, SECOND))
    length = np.outer([0, 7, 60, 95], np.full(count, SECOND))
    size = np.outer([1, 300, 2000, 5000], rng.integers(1, 9, count))
    who = rng.integers(0, 7, count)
    return make_records(
        kind=np.repeat(kinds, count),
        time=times.ravel(),
        duration=length.ravel(),
        bytes_out=size.ravel(),
        bytes_in=2 * size.ravel(),
        connection_id=np.tile(rng.integers(1, 2**60, count), 4),
        dst=[f"203.0.113.{w}" for w in np.tile(who, 4)],
        process=[f"p{w}" if w % 2 else "" for w in np.tile(who, 4)],
        name=[f"h{w}.example" for w in np.tile(who, 4)],
    )


class Memory:
    """The working set and the pair table of one run."""

    def __init__(self) -> None:
        self.working_set = WorkingSet(max_events=100_000, series_length=50)
        self.pairs = PairTable()

    def committed(self, batches: list[CommittedBatch]) -> None:
        for batch in batches:
            self.working_set.add(batch.pair_ids, batch.table)
            self.pairs.add(batch)

    def content(self) -> tuple[object, ...]:
        group = self.working_set.take_dirty(1)
        order = np.lexsort((group.kinds, group.pair_ids))
        events = [
            (
                int(group.pair_ids[i]),
                int(group.kinds[i]),
                *(
                    column[group.batch.offsets[i] : group.batch.offsets[i + 1]].tolist()
                    for column in (group.batch.times, group.batch.bytes_out, group.batch.bytes_in)
                ),
            )
            for i in order
        ]
        return self.pairs.top(1000), events


@pytest.mark.parametrize("rolled", [False, True], ids=["hot", "in segments"])
def test_a_restart_shows_what_was_shown_before(tmp_path: Path, rolled: bool) -> None:
    live, again = Memory(), Memory()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=live.committed)
    table = workload(1)
    for piece in range(0, 800, 100):
        store.append(make_header(f"sensor-{piece % 3}"), table.slice(piece, 100)).result()
    if rolled:
        assert store.maintain(time.time_ns() + HOUR, 10**18).rolled_records == 800
    store.close()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=again.committed)
    assert restore(store, again.working_set, again.pairs, 0) == 800
    store.close()

    assert again.content() == live.content()


@pytest.mark.parametrize("rolled", [False, True], ids=["hot", "in segments"])
def test_connections_side_by_side_are_counted_again(tmp_path: Path, rolled: bool) -> None:
    live, again = Memory(), Memory()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=live.committed)
    rng = np.random.default_rng(5)
    for page in range(30):
        opened = BASE_TIME + page * 200 * SECOND + np.sort(rng.integers(0, 2 * SECOND, 6))
        length = rng.integers(0, 2 * SECOND, 6)
        hosts = [f"203.0.113.{host}" for host in rng.integers(0, 3, 6)]
        ends = make_records(dst=hosts, time=opened + length, duration=length, kind=Kind.END)
        store.append(make_header(f"sensor-{page % 2}"), ends).result()
    if rolled:
        store.maintain(time.time_ns() + HOUR, 10**18)
    store.close()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=again.committed)
    restore(store, again.working_set, again.pairs, 0)
    store.close()

    shares = [
        dict(zip(columns.ids.tolist(), columns.side_by_side.tolist(), strict=True))
        for columns in (live.pairs.columns(), again.pairs.columns())
    ]
    assert shares[1] == shares[0]
    assert all(0.1 < share < 0.9 for share in shares[0].values())


def test_what_is_past_retention_is_not_brought_back(tmp_path: Path) -> None:
    memory = Memory()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=memory.committed)
    times = [BASE_TIME, BASE_TIME + HOUR]
    store.append(
        make_header(), make_records(time=times, dst=["203.0.113.1", "203.0.113.2"], duration=0)
    ).result()
    fresh = Memory()
    read = restore(store, fresh.working_set, fresh.pairs, BASE_TIME + 1)
    store.close()

    assert read == 1
    assert [summary.dst for summary in fresh.pairs.top(9)[0]] == ["203.0.113.2"]
    assert fresh.working_set.counters.events == 1


def test_totals_go_on_where_they_were_when_records_are_past_retention(tmp_path: Path) -> None:
    live, again = Memory(), Memory()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=live.committed)
    for seed, age in ((1, 0), (2, -50 * HOUR), (3, -52 * HOUR)):
        table = workload(seed)
        moved = pa.array(np.asarray(table["time"]) + age)
        store.append(make_header(), table.set_column(2, "time", moved)).result()
    now = time.time_ns() + HOUR
    store.maintain(now, 10**18)
    assert store.statistics().segments >= 6
    for back in (50 * HOUR, 48 * HOUR, 24 * HOUR):
        assert store.maintain(now, now - BASE_TIME + back).dropped_segments > 0
    store.append(make_header(), make_records(3, dst="203.0.113.3")).result()
    store.close()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=again.committed)
    assert restore(store, again.working_set, again.pairs, BASE_TIME - 24 * HOUR) == 803
    store.close()

    assert again.pairs.top(1000) == live.pairs.top(1000)


def test_an_empty_store_restores_to_nothing(tmp_path: Path) -> None:
    memory = Memory()
    store = Store.open(tmp_path / "data", memory_limit_mb=256, on_commit=memory.committed)

    assert restore(store, memory.working_set, memory.pairs, 0) == 0
    assert len(memory.pairs) == 0
    store.close()
