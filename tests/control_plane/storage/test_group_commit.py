"""Ledger, records, pairs and sensors change together, and a batch counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from beacon_detect.control_plane.storage import group_commit
from beacon_detect.control_plane.storage.store import Appended, SensorStatus, Store
from beacon_detect.records import record_schema
from records_factory import BASE_TIME, make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


def rows(store: Store, sql: str) -> list[dict[str, object]]:
    return store.query(sql).to_pylist()


def test_records_come_back_as_they_were(store: Store) -> None:
    table = make_records(
        kind=[1, 2, 3],
        dst=["203.0.113.7", "2001:db8::1", "203.0.113.7"],
        connection_id=[2**64 - 1, 0, 5],
        bytes_out=[2**53, 0, 1],
        process=["a\x00b", "", "naïve ☂"],
        cgroup=[2**64 - 1, 0, 7],
    )
    store.append(make_header("s-1"), table).result()
    stored = store.query("SELECT * FROM record JOIN pair USING (pair_id) ORDER BY time")

    assert stored["sensor"].to_pylist() == ["s-1"] * 3
    assert stored["src"].to_pylist() == ["10.0.0.5"] * 3
    assert stored["dst"].to_pylist() == ["203.0.113.7", "2001:db8::1", "203.0.113.7"]
    for name in set(record_schema().names) - {"src", "dst"}:
        assert stored[name].to_pylist() == table[name].to_pylist(), name


def test_a_batch_counts_once_however_often_it_is_sent(open_store: Callable[..., Store]) -> None:
    store = open_store()
    header, table = make_header(), make_records(5)
    first = store.append(header, table).result()
    again = store.append(header, table).result()
    store.close()
    store = open_store()
    later = store.append(header, table).result()

    assert (first, again, later) == (Appended(5, False), Appended(5, True), Appended(5, True))
    assert rows(store, "SELECT count(*) AS n FROM record") == [{"n": 5}]
    assert store.sensors()[0].duplicates == 2


def test_a_batch_sent_twice_into_one_group_counts_once(store: Store) -> None:
    header = make_header()
    store.transact(lambda c: c.execute("SELECT sum(range) FROM range(3000000)").fetchall())
    futures = [store.append(header, make_records(5)) for _ in range(3)]

    assert sorted(future.result().duplicate for future in futures) == [False, True, True]
    assert rows(store, "SELECT count(*) AS n FROM record") == [{"n": 5}]


def test_the_same_batch_id_of_another_sensor_is_another_batch(store: Store) -> None:
    for sensor in ("a", "b"):
        assert not store.append(make_header(sensor, "01"), make_records(2)).result().duplicate

    assert [s.sensor for s in store.sensors()] == ["a", "b"]


def test_a_pair_is_written_once(open_store: Callable[..., Store]) -> None:
    store = open_store()
    for _ in range(2):
        hosts = ["203.0.113.1", "203.0.113.2"]
        store.append(make_header(), make_records(4, dst=hosts * 2)).result()
        store.close()
        store = open_store()

    assert rows(store, "SELECT dst FROM pair ORDER BY dst") == [
        {"dst": "203.0.113.1"},
        {"dst": "203.0.113.2"},
    ]


def test_a_new_pair_in_several_batches_of_a_group_is_written_once(store: Store) -> None:
    store.transact(lambda c: c.execute("SELECT sum(range) FROM range(3000000)").fetchall())
    futures = [
        store.append(make_header(), make_records(dst=["203.0.113.1", f"203.0.113.{n}"]))
        for n in range(2, 6)
    ]

    assert [future.result().records for future in futures] == [2] * 4
    assert rows(store, "SELECT count(*) AS n FROM pair") == [{"n": 5}]


def test_sensors_add_up_and_survive_a_restart(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.append(make_header("a", mode="host", boot="b1"), make_records(3)).result()
    store.append(make_header("a"), make_records(4)).result()
    before = store.sensors()
    store.close()
    store = open_store()

    assert store.sensors() == before
    [status] = before
    assert isinstance(status, SensorStatus)
    assert (status.mode, status.boot, status.records, status.batches) == ("host", "b1", 7, 2)
    assert status.first_seen <= status.last_seen


def test_losses_are_cumulative_in_a_session_and_summed_over_sessions(store: Store) -> None:
    def send(session: str, **losses: int) -> None:
        store.append(make_header("a", session=session, losses=losses), make_records(1)).result()

    send("one", ring_full=3)
    send("one", ring_full=5, spool_full=1)
    send("one", ring_full=4)
    send("two", ring_full=2)

    [status] = store.sensors()
    assert status.losses == {"ring_full": 7, "spool_full": 1}
    assert status.lost == 8


def test_an_empty_batch_still_carries_its_header(store: Store) -> None:
    empty = make_records(1).slice(0, 0)
    done = store.append(make_header("a", losses={"ring_full": 2}), empty).result()

    assert done == Appended(0, duplicate=False)
    assert store.sensors()[0].lost == 2


def test_nothing_is_kept_of_a_commit_that_fails_at_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(make_header("a"), make_records(1)).result()
    before = store.sensors()

    def fail(*_: object) -> None:
        raise OSError("disk full, on purpose")

    header = make_header("a", losses={"ring_full": 1})
    table = make_records(5, dst="203.0.113.99")
    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "_save_losses", fail)
        with pytest.raises(OSError, match="on purpose"):
            store.append(header, table).result()

    assert store.sensors() == before
    assert rows(store, "SELECT count(*) AS n FROM record") == [{"n": 1}]
    assert rows(store, "SELECT count(*) AS n FROM pair") == [{"n": 1}]
    assert store.append(header, table).result() == Appended(5, duplicate=False)
    assert rows(store, "SELECT count(*) AS n FROM pair") == [{"n": 2}]


def test_records_of_many_hours_and_odd_texts_fit_one_batch(store: Store) -> None:
    def table() -> pa.Table:
        return make_records(
            48, interval=1800.0, process=[f"p'{n}\"; --" for n in range(48)], name="x" * 4096
        )

    store.append(make_header("o'brien"), table()).result()

    assert rows(store, "SELECT count(DISTINCT process) AS n, min(time) AS t FROM record") == [
        {"n": 48, "t": BASE_TIME}
    ]
