"""The one thread that writes to the database, and the bounded queue in front of it.

DuckDB has one writer; a thread of its own lets many requests share one commit
(group commit), so a disk flush costs a group, not a batch. Answers go out only
after COMMIT. The queue is bounded by bytes: beyond it callers get
:class:`StoreBusyError` at once and come back later, instead of filling memory.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from beacon_detect.control_plane.columns import table_pair_ids
from beacon_detect.errors import BeaconError

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.control_plane.storage.database import Database
    from beacon_detect.control_plane.storage.group_commit import GroupCommit
    from beacon_detect.wire import BatchHeader

T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_QUEUED_BYTES = 64 << 20
"""Arrow bytes of batches that wait for the writer (about 500,000 records): a second or two of
writing, which callers can wait for; more would only be memory."""

MAX_GROUP_RECORDS = 200_000
"""Records in one transaction: past this the flush is already shared by enough of them."""


class StoreBusyError(BeaconError):
    """The writer is behind and its queue is full; the same batch is welcome again shortly."""


class StoreClosedError(BeaconError):
    """The store is shutting down and takes nothing more."""


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch with the pair id of each of its records, as it was (or will be) stored."""

    header: BatchHeader
    table: pa.Table
    pair_ids: NDArray[np.uint64]

    @classmethod
    def of(cls, header: BatchHeader, table: pa.Table) -> CommittedBatch:
        """Compute the pair ids of a decoded batch."""
        return cls(header, table, table_pair_ids(table))


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: how many records are stored now, and whether they were before."""

    records: int
    duplicate: bool


@dataclass(slots=True)
class _Append:
    batch: CommittedBatch
    future: Future[Appended] = field(default_factory=Future)


@dataclass(slots=True)
class _Work:
    work: Callable[[duckdb.DuckDBPyConnection], Any]
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """Runs appends (in groups) and other transactions one after the other, in order of arrival."""

    def __init__(
        self,
        database: Database,
        group_commit: GroupCommit,
        on_commit: Callable[[list[CommittedBatch]], None],
    ) -> None:
        self._database = database
        self._group_commit = group_commit
        self._on_commit = on_commit
        self._queue: deque[_Append | _Work] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self.refused = 0
        """Batches turned away because the queue was full."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Arrow bytes of the batches that wait."""
        return self._queued_bytes

    def append(self, batch: CommittedBatch) -> Future[Appended]:
        """Queue a batch; StoreBusyError when the queue is full, StoreClosedError when closing."""
        item = _Append(batch)
        size = batch.table.nbytes
        with self._changed:
            self._refuse_when_closing()
            # An empty queue takes a batch of any size, or a large one could never pass.
            if self._queued_bytes and self._queued_bytes + size > MAX_QUEUED_BYTES:
                self.refused += 1
                raise StoreBusyError(
                    f"the store is behind: {self._queued_bytes >> 20} MiB of batches wait"
                    " to be written",
                    hint="send the batch again in a few seconds",
                )
            self._queued_bytes += size
            self._queue.append(item)
            self._changed.notify()
        return item.future

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> Future[T]:
        """Queue ``work`` to run in a transaction of its own; its exception rolls it back."""
        item = _Work(work)
        with self._changed:
            self._refuse_when_closing()
            self._queue.append(item)
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """Finish what is queued, then stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise StoreClosedError("the store is shutting down")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                group, work = self._take()
            if work is not None:
                self._do(work)
            else:
                self._commit(group)

    def _take(self) -> tuple[list[_Append], _Work | None]:
        """Take one piece of work, or all appends before the next one, up to a group's size."""
        group: list[_Append] = []
        if isinstance(first := self._queue[0], _Work):
            self._queue.popleft()
            return group, first
        records = 0
        while self._queue and isinstance(item := self._queue[0], _Append):
            records += item.batch.table.num_rows
            if group and records > MAX_GROUP_RECORDS:
                break
            self._queue.popleft()
            self._queued_bytes -= item.batch.table.nbytes
            group.append(item)
        return group, None

    def _do(self, item: _Work) -> None:
        if not item.future.set_running_or_notify_cancel():
            return
        try:
            result = self._database.transaction(item.work)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            item.future.set_exception(error)
        else:
            item.future.set_result(result)

    def _commit(self, group: list[_Append]) -> None:
        group = [item for item in group if item.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            appended = self._group_commit.commit([item.batch for item in group])
        except Exception as error:  # noqa: BLE001 - handed to whoever sent the batch
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            # One bad batch must not take its neighbours with it: each gets its own transaction.
            for item in group:
                self._commit_alone(item)
            return
        self._announce(
            [item.batch for item, done in zip(group, appended, strict=True) if not done.duplicate]
        )
        for item, done in zip(group, appended, strict=True):
            item.future.set_result(done)

    def _commit_alone(self, item: _Append) -> None:
        try:
            [done] = self._group_commit.commit([item.batch])
        except Exception as error:  # noqa: BLE001 - handed to whoever sent the batch
            item.future.set_exception(error)
            return
        if not done.duplicate:
            self._announce([item.batch])
        item.future.set_result(done)

    def _announce(self, batches: list[CommittedBatch]) -> None:
        """Tell the in-memory summaries before the sender is told, so that it can read its writes."""
        if not batches:
            return
        try:
            self._on_commit(batches)
        except Exception:
            # The records are durable; summaries are rebuilt from them at the next start.
            log.exception("summaries not updated", batches=len(batches))
