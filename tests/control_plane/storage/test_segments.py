"""Segment files: sorted, complete, readable by other engines, and in place while read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import duckdb
import pyarrow.parquet as pq
import pytest

from beacon_detect.control_plane.storage import segments
from beacon_detect.control_plane.storage.segments import SegmentFiles
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.records import SECOND, Kind, record_schema
from records_factory import BASE_TIME, make_header, make_records

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * SECOND
LONG = 10**18


def roll(store: Store) -> None:
    store.maintain(time.time_ns() + HOUR, LONG)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "segments").iterdir())


def test_a_segment_holds_the_hour_sorted_by_pair_and_time(store: Store, tmp_path: Path) -> None:
    hosts = [f"203.0.113.{n % 5}" for n in range(100)]
    table = make_records(100, interval=-1.0, dst=hosts, time=BASE_TIME + 0, kind=Kind.START)
    store.append(make_header(), table).result()
    store.append(make_header(), make_records(50, interval=3.0, dst=hosts[:50])).result()
    roll(store)

    [file] = files(tmp_path)
    rows = pq.read_table(file)
    keys = list(zip(rows["pair_id"].to_pylist(), rows["series_time"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert set(rows.column_names) == set(record_schema().names) | {"pair_id", "sensor"}
    assert sorted(rows["dst"].to_pylist()) == sorted(hosts + hosts[:50])
    assert file.name.startswith("2026-09-21T14Z-")


def test_the_end_of_a_connection_follows_reports_of_the_same_time(
    store: Store, tmp_path: Path
) -> None:
    kinds = [Kind.END, Kind.UPDATE, Kind.START]
    store.append(make_header(), make_records(kind=kinds, time=[BASE_TIME] * 3)).result()
    roll(store)

    assert pq.read_table(files(tmp_path)[0])["kind"].to_pylist()[-1] == Kind.END


def test_late_records_are_merged_into_one_file_of_the_hour(store: Store, tmp_path: Path) -> None:
    for count in (7, 5, 3):
        store.append(make_header(), make_records(count, interval=1.0)).result()
        roll(store)

    [file] = files(tmp_path)
    assert pq.read_metadata(file).num_rows == 15
    [listed] = store.query("SELECT file, records FROM segment").to_pylist()
    assert listed == {"file": file.name, "records": 15}


def test_hours_are_cut_at_the_full_hour(store: Store) -> None:
    full = (BASE_TIME // HOUR + 1) * HOUR
    store.append(make_header(), make_records(time=[full - 1, full, full + HOUR - 1])).result()
    roll(store)

    listed = store.query("SELECT records, first_time, last_time FROM segment ORDER BY hour")
    assert listed.to_pylist() == [
        {"records": 1, "first_time": full - 1, "last_time": full - 1},
        {"records": 2, "first_time": full, "last_time": full + HOUR - 1},
    ]


def test_a_file_in_use_is_removed_when_its_reader_is_done(store: Store, tmp_path: Path) -> None:
    store.append(make_header(), make_records(9, interval=1.0)).result()
    roll(store)
    scan = store.scan_records(0, ["time"])
    first = next(scan)
    [old] = files(tmp_path)
    store.append(make_header(), make_records(1)).result()
    roll(store)

    assert old in files(tmp_path)
    assert first.num_rows + sum(table.num_rows for table in scan) == 9
    assert old not in files(tmp_path)
    assert len(files(tmp_path)) == 1


def test_orphans_are_removed_and_listed_files_kept(tmp_path: Path) -> None:
    held = SegmentFiles(tmp_path / "segments")
    assert held.remove_orphans([]) == []
    for name in ("a.parquet", "b.parquet", "b.parquet.tmp"):
        held.path(name).touch()

    assert held.remove_orphans(["a.parquet"]) == ["b.parquet", "b.parquet.tmp"]
    assert [path.name for path in held.folder.iterdir()] == ["a.parquet"]


def test_writing_needs_no_lock_on_the_writer(store: Store) -> None:
    store.append(make_header(), make_records(9, interval=1.0)).result()
    held = SegmentFiles(store._files.folder)
    with store._database.snapshot() as cursor:
        segment = segments.write(cursor, held, BASE_TIME // HOUR, None)

    assert segment.records == 9
    assert store.statistics().hot_records == 9
    held.unlisted([segment.file])
    assert list(held.folder.iterdir()) == []


def test_a_folder_with_a_quote_in_its_name_works(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "o'brien data", memory_limit_mb=128, on_commit=lambda _: None)
    store.append(make_header(), make_records(3)).result()
    roll(store)
    store.append(make_header(), make_records(1)).result()
    roll(store)

    assert sum(table.num_rows for table in store.scan_records(0, ["time"])) == 4
    store.close()


def test_other_engines_read_a_segment_alone(store: Store, tmp_path: Path) -> None:
    store.append(make_header(), make_records(3)).result()
    roll(store)

    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT src, dst, dst_port, protocol, sensor FROM read_parquet(?)",
            [str(files(tmp_path)[0])],
        ).fetchall()
    assert rows == [("10.0.0.5", "203.0.113.7", 443, 6, "sensor-1")]


def test_a_listed_file_that_is_gone_is_an_error_not_silence(store: Store, tmp_path: Path) -> None:
    store.append(make_header(), make_records(3)).result()
    roll(store)
    files(tmp_path)[0].unlink()

    with pytest.raises(duckdb.Error):
        list(store.scan_records(0, ["time"]))
