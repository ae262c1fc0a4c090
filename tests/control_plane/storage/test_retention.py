"""What is past retention goes, and what something still refers to stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from beacon_detect.control_plane.storage.retention import LEDGER_NS
from beacon_detect.records import SECOND, Kind
from records_factory import make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from beacon_detect.control_plane.storage.store import Store

HOUR = 3600 * SECOND
DAY = 24 * HOUR


def pairs(store: Store) -> list[str]:
    return store.query("SELECT dst FROM pair ORDER BY dst")["dst"].to_pylist()


def test_hot_records_past_retention_go(store: Store) -> None:
    now = time.time_ns()
    store.append(make_header(), make_records(time=[now - 2 * DAY, now - HOUR, now])).result()

    assert store.maintain(now, DAY).dropped_records == 1
    assert store.statistics().records == 2


def test_what_dropped_records_had_counted_is_kept(store: Store) -> None:
    now = time.time_ns()
    old = [now - 3 * DAY, now - 2 * DAY, now - 2 * DAY, now]
    kinds = [Kind.START, Kind.END, Kind.CONNECTION, Kind.START]
    table = make_records(kind=kinds, time=old, duration=HOUR, bytes_out=[1, 20, 300, 4])
    store.append(make_header(), table).result()
    # Totals stop at 2**62 instead of overflowing.
    huge = make_records(kind=Kind.CONNECTION, time=[now - 2 * DAY], bytes_in=2**53, count=1)
    store.append(make_header(), huge).result()
    store.transact(lambda c: c.execute("UPDATE record SET bytes_in = 9e18 WHERE bytes_in > 2e3"))
    for _ in range(2):
        store.maintain(now, DAY)

    [past] = store.query("SELECT * EXCLUDE (pair_id) FROM pair_past").to_pylist()
    assert past == {
        "connections": 3,
        "first_seen": now - 3 * DAY,
        "bytes_out": 420,
        "bytes_in": 2**62,
    }


def test_records_from_far_in_the_future_go(store: Store) -> None:
    now = time.time_ns()
    table = make_records(time=[now + DAY - HOUR, now + DAY + 1, now + 1000 * DAY])
    store.append(make_header(), table).result()

    assert store.maintain(now, DAY).dropped_records == 2
    assert store.statistics().records == 1


def test_a_segment_goes_when_its_newest_record_is_past_retention(
    store: Store, tmp_path: Path
) -> None:
    now = time.time_ns()
    store.append(make_header(), make_records(3, interval=1.0, time=[now - 5 * HOUR] * 3)).result()
    store.maintain(now + HOUR, DAY)
    folder = tmp_path / "data" / "segments"
    assert len(list(folder.iterdir())) == 1

    assert store.maintain(now + DAY - 5 * HOUR, DAY).dropped_segments == 0
    done = store.maintain(now + DAY - 5 * HOUR + 1, DAY)
    assert (done.dropped_segments, done.dropped_records) == (1, 3)
    assert list(folder.iterdir()) == []


def test_pairs_go_with_their_last_record(open_store: Callable[..., Store]) -> None:
    store = open_store()
    now = time.time_ns()
    for host, age in (("203.0.113.1", 5), ("203.0.113.2", 5), ("203.0.113.3", 0)):
        table = make_records(time=[now - age * HOUR], dst=host)
        store.append(make_header(), table).result()
    store.append(make_header(), make_records(time=[now], dst="203.0.113.2")).result()
    store.maintain(now + HOUR, DAY)

    done = store.maintain(now + DAY - HOUR, DAY)
    assert done.dropped_pairs == 1
    assert pairs(store) == ["203.0.113.2", "203.0.113.3"]
    # A pair that comes back is entered again.
    store.append(make_header(), make_records(time=[now], dst="203.0.113.1")).result()
    assert pairs(store) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]


def test_long_connections_go_but_not_before_their_pair_is_free(store: Store) -> None:
    now = time.time_ns()
    table = make_records(kind=Kind.UPDATE, time=[now - 5 * HOUR], duration=HOUR, dst="203.0.113.1")
    store.append(make_header(), table).result()
    store.maintain(now + HOUR, DAY)

    done = store.maintain(now + DAY - 2 * HOUR, DAY)
    assert (done.dropped_segments, done.dropped_long_connections, done.dropped_pairs) == (1, 0, 0)
    assert len(store.long_connections(0, now)) == 1
    assert store.maintain(now + DAY + HOUR, DAY).dropped_long_connections == 1
    assert len(store.long_connections(0, now)) == 0


def test_the_ledger_keeps_a_day_of_a_sensors_own_time(store: Store) -> None:
    def age(batch: str, by: int) -> None:
        store.transact(
            lambda c: c.execute(
                "UPDATE batch SET received = received - ? WHERE batch = ?", [by, batch]
            )
        ).result()

    old, gone = make_header("busy", "old"), make_header("gone", "last")
    for header in (old, make_header("busy", "new"), gone):
        store.append(header, make_records(1)).result()
    age("old", LEDGER_NS + SECOND)
    store.transact(
        lambda c: c.execute(
            "UPDATE sensor SET last_seen = last_seen - ? WHERE sensor = 'gone'", [DAY]
        )
    ).result()
    age("last", DAY)

    assert store.maintain(time.time_ns() + 30 * DAY, 365 * DAY).dropped_batches == 1
    # The sensor that went away may still send its last batch again.
    assert store.append(gone, make_records(1)).result().duplicate
