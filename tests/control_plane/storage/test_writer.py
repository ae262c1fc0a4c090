"""The writer groups commits, keeps order, bounds its queue and isolates failures."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import duckdb
import pytest

from beacon_detect.control_plane.storage import writer as writer_module
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.control_plane.storage.writer import (
    Appended,
    CommittedBatch,
    StoreBusyError,
    StoreClosedError,
)
from patience import PATIENCE
from records_factory import make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Callable


class Hold:
    """Keeps the writer busy until released."""

    def __init__(self, store: Store) -> None:
        self._release = threading.Event()
        running = threading.Event()

        def work(_connection: duckdb.DuckDBPyConnection) -> None:
            running.set()
            assert self._release.wait(PATIENCE)

        self.future: Future[None] = store.transact(work)
        assert running.wait(PATIENCE)

    def release(self) -> None:
        self._release.set()
        self.future.result()


def count(store: Store, table: str = "record") -> int:
    return int(store.query(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py())


def test_batches_that_wait_share_a_commit(open_store: Callable[..., Store]) -> None:
    groups: list[list[CommittedBatch]] = []
    store = open_store(groups.append)
    hold = Hold(store)
    futures = [store.append(make_header(), make_records(3)) for _ in range(7)]
    hold.release()

    assert [future.result() for future in futures] == [Appended(3, duplicate=False)] * 7
    assert [len(group) for group in groups] == [7]
    assert store.query("SELECT DISTINCT commit_number AS n FROM record")["n"].to_pylist() == [1]


def test_work_runs_between_the_batches_before_and_after_it(store: Store) -> None:
    hold = Hold(store)
    store.append(make_header(), make_records(3))
    seen = store.transact(lambda c: c.execute("SELECT count(*) FROM record").fetchall())
    store.append(make_header(), make_records(4))
    hold.release()

    assert seen.result() == [(3,)]
    assert store.transact(
        lambda c: c.execute("SELECT count(*) FROM record").fetchall()
    ).result() == [(7,)]


def test_a_full_queue_refuses_at_once_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_QUEUED_BYTES", 4000)
    hold = Hold(store)
    table = make_records(20)
    fitting = 4000 // table.nbytes
    taken = [store.append(make_header(), table) for _ in range(fitting)]
    with pytest.raises(StoreBusyError, match="behind"):
        store.append(make_header(), table)

    assert store.statistics().batches_refused == 1
    assert store.statistics().queued_bytes == fitting * table.nbytes > 0
    hold.release()
    assert [future.result().records for future in taken] == [20] * fitting
    assert store.append(make_header(), table).result().records == 20


def test_a_batch_larger_than_the_queue_still_passes_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_QUEUED_BYTES", 10)

    assert store.append(make_header(), make_records(50)).result().records == 50


def test_a_large_queue_is_cut_into_groups(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_GROUP_RECORDS", 10)
    groups: list[list[CommittedBatch]] = []
    store = open_store(groups.append)
    hold = Hold(store)
    futures = [store.append(make_header(), make_records(4)) for _ in range(5)]
    hold.release()
    for future in futures:
        future.result()

    assert [len(group) for group in groups] == [2, 2, 1]


def test_a_failing_batch_fails_alone(open_store: Callable[..., Store]) -> None:
    groups: list[list[CommittedBatch]] = []
    store = open_store(groups.append)
    hold = Hold(store)
    good = [store.append(make_header(), make_records(3)) for _ in range(2)]
    # A batch that passed no check: the wire columns are not all there.
    bad = store._writer.append(
        CommittedBatch(make_header(), make_records(3).drop_columns(["kind"]), good_ids(3))
    )
    good.append(store.append(make_header(), make_records(3)))
    hold.release()

    with pytest.raises(KeyError):
        bad.result()
    assert [future.result().records for future in good] == [3, 3, 3]
    assert count(store) == 9
    assert count(store, "batch") == 3
    assert [len(group) for group in groups] == [1, 1, 1]


def good_ids(count: int) -> object:
    return CommittedBatch.of(make_header(), make_records(count)).pair_ids


def test_work_that_raises_changes_nothing_and_harms_nobody(store: Store) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("DELETE FROM pair")
        raise LookupError("on purpose")

    store.append(make_header(), make_records(1)).result()
    with pytest.raises(LookupError):
        store.transact(work).result()

    assert count(store, "pair") == 1
    assert store.append(make_header(), make_records(1)).result().records == 1


def test_a_failing_listener_does_not_fail_the_batch(open_store: Callable[..., Store]) -> None:
    def fail(_batches: list[CommittedBatch]) -> None:
        raise LookupError("on purpose")

    store = open_store(fail)

    assert store.append(make_header(), make_records(2)).result() == Appended(2, duplicate=False)
    assert store.append(make_header(), make_records(2)).result() == Appended(2, duplicate=False)


def test_the_listener_is_told_before_the_sender(open_store: Callable[..., Store]) -> None:
    told: list[int] = []
    futures: list[Future[Appended]] = []

    def listen(batches: list[CommittedBatch]) -> None:
        told.append(sum(future.done() for future in futures))
        assert batches

    store = open_store(listen)
    hold = Hold(store)
    futures.append(store.append(make_header(), make_records(1)))
    hold.release()
    futures[0].result()

    assert told == [0]


def test_cancelled_batches_are_not_written(store: Store) -> None:
    hold = Hold(store)
    futures = [store.append(make_header(), make_records(1)) for _ in range(3)]
    assert futures[1].cancel()
    hold.release()
    futures[2].result()

    assert count(store) == 2


def test_closing_finishes_what_is_queued_and_takes_no_more(
    open_store: Callable[..., Store],
) -> None:
    store = open_store()
    futures = [store.append(make_header(), make_records(1)) for _ in range(5)]
    store.close()

    assert all(future.done() for future in futures)
    with pytest.raises(StoreClosedError):
        store.append(make_header(), make_records(1))
    with pytest.raises(StoreClosedError):
        store.transact(lambda _connection: None)
    store.close()
