"""Reads that span hot records and segments, each on one snapshot of the database.

The list of segments and the hot rows are read in the same transaction, and the
files stay in place until the reader is done, so a record is seen exactly once
even while a roll moves it. Limit: a reader that stops half-way must be closed
(generators are, when they are collected).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from beacon_detect.control_plane.storage import segments
from beacon_detect.control_plane.storage.schema import RECORD_COLUMNS
from beacon_detect.records import Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb
    import pyarrow as pa

    from beacon_detect.control_plane.findings import SeriesName
    from beacon_detect.control_plane.storage.database import Database
    from beacon_detect.control_plane.storage.segments import SegmentFiles

SCAN_ROWS = 100_000
"""Rows of a table that a scan yields: a few MB, and few enough calls."""

_STORED = {name for name, _ in RECORD_COLUMNS}

_CHECK_INS: dict[str, str] = {
    "connections": f"kind IN ({Kind.START}, {Kind.CONNECTION}) AND origin = {Origin.OPENED}",
    "bursts": f"kind = {Kind.BURST}",
}
_CHECK_INS |= dict.fromkeys(("name", "process"), " OR ".join(_CHECK_INS.values()))


@contextlib.contextmanager
def _snapshot(
    database: Database, files: SegmentFiles
) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[segments.Segment]]]:
    """Give a cursor on one state of the database, and the segments of that state."""
    with files.reading(), database.snapshot() as cursor:
        yield cursor, segments.listed(cursor)


def scan(
    database: Database,
    files: SegmentFiles,
    since_ns: int,
    columns: Sequence[str],
) -> Iterator[pa.Table]:
    """Yield the records dated ``since_ns`` or later, segments first, oldest first.

    Parameters
    ----------
    columns
        Names out of ``schema.RECORD_COLUMNS``.
    """
    import pyarrow as pa

    if unknown := set(columns) - _STORED:
        raise ValueError(f"not columns of a stored record: {sorted(unknown)}")
    select = f"SELECT {', '.join(columns)} FROM"
    with _snapshot(database, files) as (cursor, listed):
        sources = [
            (f"{select} read_parquet(?) WHERE time >= ?", [str(files.path(segment.file)), since_ns])
            for segment in listed
            if segment.last_time >= since_ns
        ]
        for sql, parameters in [*sources, (f"{select} record WHERE time >= ?", [since_ns])]:
            for batch in cursor.sql(sql, params=parameters).to_arrow_reader(SCAN_ROWS):
                yield pa.Table.from_batches([batch])


def series(
    database: Database,
    files: SegmentFiles,
    pair_ids: Iterable[int],
    kind: SeriesName,
    limit: int,
) -> pa.Table:
    """Return the newest check-ins of a pair, or of the pairs of a group, in the order of time."""
    # Written out, the ids reach the statistics of the files, which are sorted by pair.
    ids = ", ".join(str(int(pair_id)) for pair_id in pair_ids) or "NULL"
    check_ins = f"pair_id IN ({ids}) AND ({_CHECK_INS[kind]})"
    columns = ", ".join(name for name, _ in RECORD_COLUMNS)
    with _snapshot(database, files) as (cursor, listed):
        parameters: dict[str, Any] = {"limit": limit}
        one = f"SELECT {columns} FROM {{}} WHERE {check_ins}"  # noqa: S608 - constants of ours
        records = one.format("record")
        if listed:
            records += " UNION ALL " + one.format("read_parquet($files)")
            parameters["files"] = [str(files.path(segment.file)) for segment in listed]
        newest = f"SELECT * FROM ({records}) ORDER BY series_time DESC LIMIT $limit"  # noqa: S608
        return cursor.sql(
            f"SELECT * FROM ({newest}) ORDER BY series_time",  # noqa: S608
            params=parameters,
        ).to_arrow_table()
