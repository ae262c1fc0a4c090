"""The store: everything durable of the control plane behind one small interface.

One DuckDB file holds recent records, the ledger of batches, pairs, sensors,
findings and alerts; closed hours of records lie beside it as Parquet segments.
One thread writes (see ``writer``), any thread reads. Limit: one process at a
time has the folder open.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, TypeVar

from beacon_detect.control_plane.storage import schema
from beacon_detect.control_plane.storage.group_commit import GroupCommit, SensorStatus
from beacon_detect.control_plane.storage.writer import (
    Appended,
    CommittedBatch,
    StoreBusyError,
    StoreClosedError,
    Writer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from beacon_detect.wire import BatchHeader

__all__ = [
    "Appended",
    "CommittedBatch",
    "SensorStatus",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
]

T = TypeVar("T")

DATABASE_NAME = "beacon-detect.duckdb"

CHECKPOINT_BYTES = 64 << 20
"""Size of the write-ahead log that triggers a checkpoint. Measured: stalls of 0.2 s instead of
0.8 s at 256 MiB with the same throughput, and a crashed database reopens in 0.3 s."""


class Store:
    """Durable records and tables of one control plane."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        data_dir: Path,
        writer: Writer,
        group: GroupCommit,
    ) -> None:
        self._connection = connection
        self._data_dir = data_dir
        self._writer = writer
        self._group_commit = group

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        memory_limit_mb: int,
        on_commit: Callable[[list[CommittedBatch]], None],
    ) -> Store:
        """Open (or create) the database in ``data_dir``."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = _connect(data_dir, memory_limit_mb)
        schema.prepare(connection, ())
        group = GroupCommit(connection)
        return cls(connection, data_dir, Writer(connection, group, on_commit), group)

    def append(self, header: BatchHeader, table: pa.Table) -> Future[Appended]:
        """Queue a batch; the future resolves after COMMIT."""
        return self._writer.append(CommittedBatch.of(header, table))

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> Future[T]:
        """Run ``work`` in the writer thread, inside one transaction."""
        return self._writer.transact(work)

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Return the result of a read; safe from any thread."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            return cursor.sql(sql, params=parameters).to_arrow_table()

    def sensors(self) -> list[SensorStatus]:
        """Return every sensor that ever sent a batch."""
        return self._group_commit.sensors()

    def close(self) -> None:
        """Finish what is queued and close the database."""
        self._writer.close()
        self._connection.close()


def _connect(data_dir: Path, memory_limit_mb: int) -> duckdb.DuckDBPyConnection:
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": f"{memory_limit_mb}MiB",
        "wal_autocheckpoint": f"{CHECKPOINT_BYTES}B",
        "threads": min(4, os.cpu_count() or 1),
        "temp_directory": str(data_dir / "temporary"),
        "autoinstall_known_extensions": False,
        "python_enable_replacements": False,
    }
    return duckdb.connect(str(data_dir / DATABASE_NAME), config=settings)
