"""Segments: one Parquet file for each closed hour, sorted by pair and time.

A roll writes a new file beside the old ones, makes it durable (flush, rename,
flush of the folder), and only then, in one transaction, lists it in ``segment``
and deletes the rows it holds from ``record``. Readers take files from that
table alone, so a crash at any step leaves at most a file nobody knows, which
the next start removes. Records that come late for a rolled hour are merged
into a new file of that hour. The files carry the addresses too, so that other
engines can read them alone. Limit: hours are hours of wall time (UTC).
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from beacon_detect.control_plane.storage.schema import HOUR_NS, RECORD_COLUMNS
from beacon_detect.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import duckdb

FOLDER_NAME = "segments"

ROW_GROUP_ROWS = 122_880
"""Rows of a Parquet row group: what DuckDB reads in one go, so a point query skips the rest."""

_COLUMNS = ", ".join(name for name, _ in RECORD_COLUMNS)
_ADDRESSES = "src, dst, dst_port, protocol"


@dataclass(frozen=True, slots=True)
class Segment:
    """A listed file: the hour (hours since the epoch) whose records it holds."""

    hour: int
    file: str
    records: int
    first_time: int
    last_time: int
    bytes: int
    commit_number: int
    """The newest commit whose rows are in the file."""


class SegmentFiles:
    """The folder of segment files: which are listed, who reads them, which may be removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._readers = 0
        self._unlisted: list[str] = []

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep every file in place while the caller reads; files unlisted meanwhile go later."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                self._remove_unlisted()

    def unlisted(self, names: Iterable[str]) -> None:
        """Remove files that the database no longer lists, once nobody reads."""
        with self._lock:
            self._unlisted.extend(names)
            self._remove_unlisted()

    def remove_orphans(self, listed: Iterable[str]) -> list[str]:
        """Remove what a crash left behind: every file that is not in ``listed``."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        orphans = sorted({path.name for path in self.folder.iterdir()} - set(listed))
        for name in orphans:
            (self.folder / name).unlink()
        return orphans

    def path(self, name: str) -> Path:
        """Return where the file ``name`` lies."""
        return self.folder / name

    def _remove_unlisted(self) -> None:
        if not self._readers:
            for name in self._unlisted:
                self.path(name).unlink(missing_ok=True)
            self._unlisted.clear()


def listed(connection: duckdb.DuckDBPyConnection) -> list[Segment]:
    """Return the segments, oldest first."""
    rows = connection.execute(
        "SELECT hour, file, records, first_time, last_time, bytes, commit_number"
        " FROM segment ORDER BY hour"
    ).fetchall()
    return [Segment(*row) for row in rows]


def write(
    cursor: duckdb.DuckDBPyConnection, files: SegmentFiles, hour: int, old: Segment | None
) -> Segment:
    """Write the file of an hour and make it durable; the database is not changed.

    Parameters
    ----------
    cursor
        In a transaction, so that what is written is one snapshot.
    old
        The hour's present segment; its records go into the new file too.
    """
    first, end = hour * HOUR_NS, (hour + 1) * HOUR_NS
    rows = cursor.execute(
        "SELECT max(commit_number) FROM record WHERE time >= ? AND time < ?", [first, end]
    ).fetchall()
    number = int(rows[0][0])
    stamp = datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%HZ")
    name = f"{stamp}-{number:012d}.parquet"
    temporary = files.path(f"{name}.tmp")
    copy = _copy_statement(files, old, temporary)
    try:
        cursor.execute(copy, {"first": first, "end": end}).fetchall()
        _make_durable(temporary, files.path(name))
    except BaseException:
        # Perhaps the disk is full; a part of a file is of no use to anybody.
        temporary.unlink(missing_ok=True)
        raise
    summary = cursor.execute(
        "SELECT count(*), min(time), max(time) FROM read_parquet(?)", [str(files.path(name))]
    ).fetchall()
    count, first_time, last_time = summary[0]
    size = files.path(name).stat().st_size
    return Segment(hour, name, count, first_time, last_time, size, number)


def register(connection: duckdb.DuckDBPyConnection, segment: Segment) -> int:
    """List ``segment`` and delete the rows it holds, inside the caller's transaction.

    Returns how many rows moved from ``record`` to the file.
    """
    connection.execute("DELETE FROM segment WHERE hour = ?", [segment.hour])
    connection.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(segment))
    deleted = connection.execute(
        "DELETE FROM record WHERE time >= ? AND time < ? AND commit_number <= ?",
        [segment.hour * HOUR_NS, (segment.hour + 1) * HOUR_NS, segment.commit_number],
    ).fetchall()
    return int(deleted[0][0])


def _copy_statement(files: SegmentFiles, old: Segment | None, target: Path) -> str:
    """Return the COPY of an hour's rows, hot and already rolled, in segment order."""
    rows = f"SELECT {_COLUMNS} FROM record WHERE time >= $first AND time < $end"  # noqa: S608
    if old is not None:
        path = _quoted(files.path(old.file))
        rows += f" UNION ALL SELECT {_COLUMNS} FROM read_parquet({path})"  # noqa: S608
    # Of records with the same time the end of a connection comes last, as it happened.
    ordered = (
        f"SELECT {_COLUMNS}, {_ADDRESSES} FROM ({rows}) JOIN pair USING (pair_id)"  # noqa: S608
        f" ORDER BY pair_id, series_time, kind = {Kind.END}"
    )
    form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    return f"COPY ({ordered}) TO {_quoted(target)} ({form})"


def _make_durable(temporary: Path, final: Path) -> None:
    """Flush the file, give it its name, flush the folder."""
    for path in (temporary, final.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path is temporary:
            temporary.rename(final)


def _quoted(path: Path) -> str:
    """Return a path as an SQL string; COPY takes no parameters there."""
    return "'" + str(path).replace("'", "''") + "'"
