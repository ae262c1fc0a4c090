"""The database file: one writer, many readers, and back on its feet after a full disk."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from beacon_detect.control_plane.storage import database as database_module
from beacon_detect.control_plane.storage.database import Database, DatabaseDownError
from beacon_detect.control_plane.storage.store import Store
from patience import PATIENCE
from records_factory import make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "data", 128)
    opened.connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    yield opened
    opened.close()


def values(database: Database) -> list[int]:
    with database.cursor() as cursor:
        return [a for (a,) in cursor.execute("SELECT a FROM t ORDER BY a").fetchall()]


def insert(value: int) -> object:
    return lambda c: c.execute("INSERT INTO t VALUES (?)", [value]).fetchall()


def test_what_work_returns_comes_after_commit(database: Database) -> None:
    assert database.transaction(insert(1)) == [(1,)]
    assert values(database) == [1]


def test_what_work_raises_rolls_back(database: Database) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        database.transaction(work)
    assert values(database) == []


def test_a_transaction_that_is_over_already_does_not_hide_the_error(database: Database) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        connection.rollback()
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        database.transaction(work)
    database.transaction(insert(2))
    assert values(database) == [2]


def test_a_snapshot_does_not_see_later_commits(database: Database) -> None:
    with database.snapshot() as cursor:
        before = cursor.execute("SELECT count(*) FROM t").fetchall()
        database.transaction(insert(1))

        assert cursor.execute("SELECT count(*) FROM t").fetchall() == before
    assert values(database) == [1]


def test_readers_in_many_threads_do_not_disturb_each_other(database: Database) -> None:
    wrong: list[object] = []

    def read() -> None:
        for _ in range(30):
            with database.cursor() as cursor:
                total = cursor.execute("SELECT sum(range) FROM range(1000)").fetchall()
            if total != [(499_500,)]:
                wrong.append(total)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(30):
        database.transaction(insert(number))
    for thread in threads:
        thread.join()

    assert wrong == []
    assert values(database) == list(range(30))


def test_after_closing_there_is_nothing_to_read(database: Database) -> None:
    database.close()
    with pytest.raises(DatabaseDownError), database.cursor():
        pass
    with pytest.raises(DatabaseDownError):
        _ = database.connection
    database.close()


def test_closing_waits_for_readers(database: Database) -> None:
    ended: list[float] = []

    def read() -> None:
        with database.cursor() as cursor:
            reading.set()
            time.sleep(0.2)
            cursor.execute("SELECT 1").fetchall()
            ended.append(time.monotonic())

    reading = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(PATIENCE)
    database.close()
    closed = time.monotonic()
    reader.join()

    assert ended
    assert ended[0] <= closed


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """Mount a file system of this size on ``folder``."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}M", "tmpfs", str(folder)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def noise(seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    many = {name: rng.integers(0, 2**50, 5000) for name in ("bytes_out", "bytes_in", "duration")}
    return make_records(5000, **many)


def fill(store: Store) -> int:
    """Append batches until one fails; return how many were acknowledged."""
    for number in range(100):
        try:
            store.append(make_header("a", f"{number}"), noise(number)).result()
        except DatabaseDownError:
            return number
    raise AssertionError("the disk is not full")


@pytest.mark.root
@pytest.mark.parametrize("checkpoint_mb", [4, 64], ids=["in a checkpoint", "in the log"])
def test_a_full_disk_loses_nothing_and_heals_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_mb: int
) -> None:
    monkeypatch.setattr(database_module, "CHECKPOINT_BYTES", checkpoint_mb << 20)
    disk = tmp_path / "disk"
    with small_disk(disk, 12):
        store = Store.open(disk / "data", memory_limit_mb=128, on_commit=lambda _batches: None)
        stored = fill(store)
        with pytest.raises(DatabaseDownError, match="disk"):
            store.append(make_header("a", f"{stored}"), noise(stored)).result()
        subprocess.run(["mount", "-o", "remount,size=100M", str(disk)], check=True)
        again = store.append(make_header("a", f"{stored}"), noise(stored)).result()

        count = store.query("SELECT count(*) AS n FROM record")["n"][0].as_py()
        store.close()
        assert stored > 0
        assert (store._database.reopened > 0) == (checkpoint_mb == 4)
        assert again.records == 5000
        assert count == 5000 * (stored + 1)
        assert [s.records for s in store.sensors()] == [count]
