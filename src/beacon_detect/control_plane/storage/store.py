"""The store: everything durable of the control plane behind one small interface.

One DuckDB file holds recent records, the ledger of batches, pairs, sensors,
findings and alerts; closed hours of records lie beside it as Parquet segments.
One thread writes (see ``writer``), any thread reads. Limit: one process at a
time has the folder open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from beacon_detect.control_plane.storage import (
    long_connections,
    reading,
    schema,
    segments,
)
from beacon_detect.control_plane.storage.database import (
    DATABASE_NAME,
    Database,
    DatabaseDownError,
)
from beacon_detect.control_plane.storage.group_commit import GroupCommit, SensorStatus
from beacon_detect.control_plane.storage.maintenance import Maintained, Maintenance
from beacon_detect.control_plane.storage.segments import SegmentFiles
from beacon_detect.control_plane.storage.writer import (
    Appended,
    CommittedBatch,
    StoreBusyError,
    StoreClosedError,
    Writer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from beacon_detect.control_plane.findings import SeriesName
    from beacon_detect.wire import BatchHeader

__all__ = [
    "Appended",
    "CommittedBatch",
    "DatabaseDownError",
    "Maintained",
    "SensorStatus",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
    "StoreStatistics",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """How much is stored, and how the writer keeps up."""

    records: int
    """Records within reach of a scan: hot ones and those in segments."""
    hot_records: int
    segments: int
    segment_bytes: int
    database_bytes: int
    """Size of the database file and its write-ahead log."""
    pairs: int
    batches_refused: int
    """Batches turned away since the start because the writer was behind."""
    queued_bytes: int


class Store:
    """Durable records and tables of one control plane; safe to use from several threads."""

    def __init__(
        self, database: Database, on_commit: Callable[[list[CommittedBatch]], None]
    ) -> None:
        self._database = database
        self._files = SegmentFiles(database.folder / segments.FOLDER_NAME)
        self.orphans = self._files.remove_orphans(
            segment.file for segment in segments.listed(database.connection)
        )
        """Files that a crash had left behind, removed at the start."""
        self._group_commit = GroupCommit(database)
        self._writer = Writer(database, self._group_commit, on_commit)
        self._maintenance = Maintenance(database, self._writer, self._group_commit, self._files)

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        memory_limit_mb: int,
        on_commit: Callable[[list[CommittedBatch]], None],
    ) -> Store:
        """Open (or create) the store in ``data_dir``.

        Parameters
        ----------
        data_dir
            Folder of its own; made when missing, readable by its owner only.
        memory_limit_mb
            Most memory of the database engine, MiB.
        on_commit
            Called in the writer thread with the batches of each commit, before
            their senders are answered.

        Raises
        ------
        BeaconError
            The folder cannot be used, another process has it open, the database
            is damaged or was written by a newer version.
        """
        database = Database(data_dir, memory_limit_mb)
        try:
            schema.prepare(database.connection)
            return cls(database, on_commit)
        except BaseException:
            database.close()
            raise

    def append(self, header: BatchHeader, table: pa.Table) -> Future[Appended]:
        """Queue a batch; the future resolves after COMMIT.

        Raises
        ------
        StoreBusyError
            The writer is behind; send the batch again later.
        StoreClosedError
            The store is closing.
        """
        return self._writer.append(CommittedBatch.of(header, table))

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> Future[T]:
        """Run ``work`` in the writer thread, inside one transaction; an exception rolls it back."""
        return self._writer.transact(work)

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Return the result of a SELECT, read on a cursor of its own."""
        with self._database.cursor() as cursor:
            return cursor.sql(sql, params=parameters).to_arrow_table()

    def scan_records(self, since_ns: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the stored records dated ``since_ns`` (wall ns) or later, in pieces."""
        return reading.scan(self._database, self._files, since_ns, columns)

    def series(self, pair_ids: Iterable[int], kind: SeriesName, limit: int) -> pa.Table:
        """Return the newest ``limit`` check-ins of one or more pairs in the order of time."""
        return reading.series(self._database, self._files, pair_ids, kind, limit)

    def long_connections(self, least_ns: int, now_ns: int) -> pa.Table:
        """Return connections of at least ``least_ns``, longest first, as of ``now_ns`` (wall)."""
        return self.query(long_connections.SELECT, {"least": least_ns, "now": now_ns})

    def sensors(self) -> list[SensorStatus]:
        """Return every sensor that ever sent a batch."""
        return self._group_commit.sensors()

    def statistics(self) -> StoreStatistics:
        """Return sizes and counters."""
        rows = self.query(
            "SELECT (SELECT count(*) FROM record) AS hot, (SELECT count(*) FROM pair) AS pairs,"
            " (SELECT count(*) FROM segment) AS segments,"
            " (SELECT coalesce(sum(records), 0)::BIGINT FROM segment) AS rolled,"
            " (SELECT coalesce(sum(bytes), 0)::BIGINT FROM segment) AS bytes"
        ).to_pylist()[0]
        return StoreStatistics(
            records=rows["hot"] + rows["rolled"],
            hot_records=rows["hot"],
            segments=rows["segments"],
            segment_bytes=rows["bytes"],
            database_bytes=sum(
                path.stat().st_size for path in self._database.folder.glob(f"{DATABASE_NAME}*")
            ),
            pairs=rows["pairs"],
            batches_refused=self._writer.refused,
            queued_bytes=self._writer.queued_bytes,
        )

    def maintain(self, now_ns: int, retention_ns: int) -> Maintained:
        """Roll closed hours and drop what is older than ``retention_ns`` at ``now_ns`` (wall)."""
        return self._maintenance.run(now_ns, retention_ns)

    def close(self) -> None:
        """Finish what is queued and close the database; further calls do nothing."""
        self._writer.close()
        self._database.close()
