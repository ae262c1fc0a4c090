"""The store as a whole: durable through kill -9, readable while written, one owner at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from beacon_detect.control_plane.storage.database import DATABASE_NAME
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.errors import BeaconError
from beacon_detect.records import SECOND
from crashing_store import RECORDS, batch
from patience import PATIENCE
from records_factory import make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
CRASHING = ROOT / "tests" / "crashing_store.py"


def crashing(folder: Path, task: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, str(CRASHING), str(folder), task],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )


def by_batch(store: Store) -> dict[int, int]:
    """Return how many records of each batch are stored."""
    counts: dict[int, int] = {}
    for table in store.scan_records(0, ["pid"]):
        for pid in table["pid"].to_pylist():
            counts[pid] = counts.get(pid, 0) + 1
    return counts


@pytest.mark.parametrize("acknowledged", [3, 41])
def test_what_was_acknowledged_survives_kill_9(
    open_store: Callable[..., Store], tmp_path: Path, acknowledged: int
) -> None:
    child = crashing(tmp_path / "data", "write")
    assert child.stdout is not None
    got = [int(child.stdout.readline()) for _ in range(acknowledged)]
    child.kill()
    got += [int(line) for line in child.stdout]
    child.wait()
    child.stdout.close()

    store = open_store()
    stored = by_batch(store)
    assert set(got) <= set(stored)
    assert set(stored.values()) == {RECORDS}
    ledger = store.query("SELECT batch, records FROM batch").to_pylist()
    assert {int(row["batch"]) for row in ledger} == set(stored)
    # A sensor sends again what it had no answer for; each batch still counts once.
    sent = range(1, max(stored) + 20)
    again = {number: store.append(*batch(number)).result().duplicate for number in sent}
    assert {number for number, duplicate in again.items() if duplicate} == set(stored)
    assert by_batch(store) == dict.fromkeys(sent, RECORDS)


@pytest.mark.parametrize(
    "step",
    [
        "file written, not named",
        "file named, not listed",
        "listed, not committed",
        "committed, old file not removed",
    ],
)
def test_a_roll_cut_off_at_any_step_loses_and_doubles_nothing(
    open_store: Callable[..., Store], tmp_path: Path, step: str
) -> None:
    child = crashing(tmp_path / "data", step)
    output, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == -9, output

    store = open_store()
    expected = dict.fromkeys(range(6), RECORDS)
    assert by_batch(store) == expected
    files = sorted(path.name for path in (tmp_path / "data" / "segments").iterdir())
    assert files == store.query("SELECT file FROM segment ORDER BY file")["file"].to_pylist()
    assert store.orphans

    store.maintain(time.time_ns() + 3600 * SECOND, 10**18)
    assert by_batch(store) == expected
    assert store.statistics().hot_records == 0


def test_readers_see_whole_batches_while_batches_come_and_hours_roll(store: Store) -> None:
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not done.is_set():
            counts = by_batch(store)
            if set(counts.values()) - {RECORDS}:
                wrong.append(counts)

    def roll() -> None:
        while not done.is_set():
            store.maintain(time.time_ns() + 3600 * SECOND, 10**18)

    threads = [threading.Thread(target=target) for target in (read, read, roll)]
    for thread in threads:
        thread.start()
    for number in range(24):
        store.append(*batch(number)).result()
    done.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert by_batch(store) == dict.fromkeys(range(24), RECORDS)


def test_statistics_count_hot_and_rolled_records(store: Store) -> None:
    store.append(make_header(), make_records(10)).result()
    before = store.statistics()
    store.maintain(time.time_ns() + 3600 * SECOND, 10**18)
    store.append(make_header(), make_records(3)).result()
    after = store.statistics()

    assert (before.records, before.hot_records, before.segments) == (10, 10, 0)
    assert (after.records, after.hot_records, after.segments, after.pairs) == (13, 3, 1, 1)
    assert after.segment_bytes > 0
    assert after.database_bytes > 0


def test_query_takes_parameters_by_place_and_by_name(store: Store) -> None:
    assert store.query("SELECT ? AS a", [7]).to_pylist() == [{"a": 7}]
    assert store.query("SELECT $a AS a", {"a": "x'y"}).to_pylist() == [{"a": "x'y"}]


@pytest.mark.usefixtures("store")
def test_the_data_folder_is_private(tmp_path: Path) -> None:
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_spilled_data_of_a_crash_is_removed(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    spilled = tmp_path / "data" / "temporary" / "duckdb_temp_storage_DEFAULT-0.tmp"
    spilled.parent.mkdir(parents=True)
    spilled.write_bytes(bytes(1000))
    open_store()

    assert not spilled.exists()


OPEN = """
import sys; from pathlib import Path
from beacon_detect.control_plane.storage.store import Store
try: Store.open(Path(sys.argv[1]), memory_limit_mb=128, on_commit=print)
except Exception as error: print(type(error).__name__, error)
"""


@pytest.mark.usefixtures("store")
def test_a_second_process_is_turned_away(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert child.stdout.startswith("BeaconError")
    assert "another process has the database open" in child.stdout


def test_a_damaged_database_is_reported_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / DATABASE_NAME).write_bytes(b"not a database" * 500)

    with pytest.raises(BeaconError, match="cannot be opened"):
        Store.open(folder, memory_limit_mb=128, on_commit=print)
    assert (folder / DATABASE_NAME).read_bytes().startswith(b"not a database")


@pytest.mark.parametrize("name", ["file/below", "wild*card"])
def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BeaconError, match="data"):
        Store.open(tmp_path / name, memory_limit_mb=128, on_commit=print)


def test_a_newer_database_is_refused_and_can_be_opened_by_its_owner(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data", memory_limit_mb=128, on_commit=print)
    store.transact(lambda c: c.execute("UPDATE schema_version SET version = 99")).result()
    store.close()

    with pytest.raises(BeaconError, match="99"):
        Store.open(tmp_path / "data", memory_limit_mb=128, on_commit=print)
    with duckdb.connect(str(tmp_path / "data" / DATABASE_NAME)) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(99,)]
