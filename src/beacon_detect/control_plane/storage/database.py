"""The DuckDB file: opened, handed to one writer and many readers, reopened after a failure.

The engine gives up for good when it cannot write at a bad moment (a full disk
during a checkpoint): everything after that fails until the file is opened
again. Nothing that was committed is lost by it, so the next transaction opens
the file anew; once there is room on the disk the store goes on by itself.
Limit: reads fail in between.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from beacon_detect.errors import BeaconError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

T = TypeVar("T")

log = structlog.get_logger(__name__)

DATABASE_NAME = "beacon-detect.duckdb"

CHECKPOINT_BYTES = 64 << 20
"""Size of the write-ahead log that triggers a checkpoint. Measured: stalls of 0.2 s instead of
0.8 s at 256 MiB with the same throughput, and a crashed database reopens in 0.3 s."""

READERS_END_SECONDS = 30.0
"""Longest wait for reads under way before the file is opened again."""

_NO_SPACE = "No space left on device"


class DatabaseDownError(BeaconError):
    """The database cannot be written now; what was asked for can be asked for again later."""


class Database:
    """The open file: a connection for the writer's thread, and a cursor for whoever reads.

    Parameters
    ----------
    folder
        Where the file lies; made when missing.
    memory_limit_mb
        Most memory of the engine, MiB.

    Raises
    ------
    BeaconError
        The folder cannot be used, another process has the file open, or it is damaged.
    """

    def __init__(self, folder: Path, memory_limit_mb: int) -> None:
        self.folder = folder
        self._memory_limit_mb = memory_limit_mb
        self._changed = threading.Condition()
        self._reading = 0
        self.reopened = 0
        """Times the file was opened again after a failure."""
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._readers: duckdb.DuckDBPyConnection | None = None
        self._open()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The writer's connection; DatabaseDownError after a failure."""
        if self._connection is None:
            raise _down()
        return self._connection

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection for reading, from any thread."""
        with self._changed:
            if self._readers is None:
                raise _down()
            cursor = self._readers.cursor()
            self._reading += 1
        try:
            with contextlib.closing(cursor):
                yield cursor
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor in a transaction, which sees one state of the database."""
        with self.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
            finally:
                _roll_back(cursor)

    def transaction(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Return ``work(connection)`` after COMMIT; whatever it raises rolls everything back.

        In the writer's thread only. After a failure of the engine the file is
        opened again first; see :attr:`reopened`.
        """
        import duckdb

        if self._connection is None:
            self._open()
            self.reopened += 1
            log.info("database opened again")
        connection = self.connection
        connection.begin()
        try:
            result = work(connection)
            connection.commit()
        except BaseException as error:
            if isinstance(error, duckdb.FatalException):
                log.exception("database failed")
                self._shut()
                raise _failed(error) from error
            _roll_back(connection)
            if isinstance(error, duckdb.Error) and _NO_SPACE in str(error):
                raise _failed(error) from error
            raise
        return result

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._shut()

    def _open(self) -> None:
        connection = _connect(self.folder, self._memory_limit_mb)
        with self._changed:
            self._connection = connection
            # Every reader gets a cursor of this one, which itself never runs anything: the
            # writer's own connection belongs to the writer's thread.
            self._readers = connection.cursor()

    def _shut(self) -> None:
        """Close every connection: the engine lets the file go with the last of them."""
        with self._changed:
            connections = (self._readers, self._connection)
            self._connection = self._readers = None
            if not self._changed.wait_for(lambda: not self._reading, READERS_END_SECONDS):
                log.warning("reads do not end", reads=self._reading)
        for connection in connections:
            if connection is not None:
                connection.close()


def _down() -> DatabaseDownError:
    return DatabaseDownError(
        "the database is closed, or failed and waits to be opened again",
        hint="the server's log says why; free disk space if it is full",
    )


def _failed(error: Exception) -> DatabaseDownError:
    if _NO_SPACE in str(error):
        return DatabaseDownError(
            "the disk of the data folder is full",
            hint="free some space; nothing that was stored is lost",
        )
    return DatabaseDownError(f"the database failed: {str(error).splitlines()[0]}")


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Roll back; a failed COMMIT has already done so, which DuckDB reports as an error."""
    import duckdb

    try:
        connection.rollback()
    except duckdb.Error as error:
        log.debug("nothing to roll back", reason=str(error))


def _connect(folder: Path, memory_limit_mb: int) -> duckdb.DuckDBPyConnection:
    """Open the database file; BeaconError says why it cannot be."""
    import duckdb

    if set("*?[") & set(str(folder)):
        raise BeaconError(
            f"{folder}: * ? and [ are not possible in the name of the data folder",
            hint="the database engine takes them for patterns; choose another data_dir",
        )
    temporary = folder / "temporary"
    settings: dict[str, Any] = {
        "memory_limit": f"{memory_limit_mb}MiB",
        "wal_autocheckpoint": f"{CHECKPOINT_BYTES}B",
        "threads": min(4, os.cpu_count() or 1),
        "temp_directory": str(temporary),
        # Nothing is fetched from the network, and no Python variable can pose as a table.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = duckdb.connect(str(folder / DATABASE_NAME), config=settings)
    except OSError as error:
        raise BeaconError(
            f"{folder}: cannot be used as data folder: {error.strerror}",
            hint="set control_plane.data_dir to a folder that this user may write",
        ) from None
    except duckdb.Error as error:
        raise _refused(folder, error) from None
    # What a crash left there belongs to nobody now that the database is ours.
    shutil.rmtree(temporary, ignore_errors=True)
    return connection


def _refused(folder: Path, error: Exception) -> BeaconError:
    """Return the error for a file that the engine does not open."""
    reason = str(error).splitlines()[0]
    if _NO_SPACE in reason:
        return _failed(error)
    if "Could not set lock" in reason:
        return BeaconError(
            f"{folder}: another process has the database open",
            hint="stop the other control plane, or give this one a data_dir of its own",
        )
    return BeaconError(
        f"{folder / DATABASE_NAME}: cannot be opened: {reason}",
        hint="restore it from a copy, or move it away to start with an empty one",
    )
