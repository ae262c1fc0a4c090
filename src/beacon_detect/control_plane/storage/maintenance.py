"""The upkeep of the store: rolls closed hours into segments and drops what is past retention.

Long work (sorting an hour, finding unused pairs) runs on a snapshot beside the
writer; only the short transaction that makes it count goes through the writer,
so intake never waits for a roll. Limit: one upkeep at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from beacon_detect.control_plane.storage import retention, segments
from beacon_detect.control_plane.storage.schema import HOUR_NS
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    import duckdb

    from beacon_detect.control_plane.storage.database import Database
    from beacon_detect.control_plane.storage.group_commit import GroupCommit
    from beacon_detect.control_plane.storage.segments import SegmentFiles
    from beacon_detect.control_plane.storage.writer import Writer

log = structlog.get_logger(__name__)

QUIET_NS = 900 * SECOND
"""An hour is closed once it is over and nothing of it came in for this long: sensors deliver
within seconds, and one that catches up should not cause a merge every few minutes."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """What an upkeep did."""

    rolled_hours: int = 0
    rolled_records: int = 0
    dropped_records: int = 0
    dropped_segments: int = 0
    dropped_long_connections: int = 0
    dropped_batches: int = 0
    dropped_pairs: int = 0


class Maintenance:
    """Does the upkeep of one database."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        group_commit: GroupCommit,
        files: SegmentFiles,
    ) -> None:
        self._database = database
        self._writer = writer
        self._group_commit = group_commit
        self._files = files
        self._lock = threading.Lock()

    def run(self, now_ns: int, retention_ns: int) -> Maintained:
        """Drop what is older than ``retention_ns`` at ``now_ns`` (wall ns), then roll closed hours."""
        with self._lock:
            dropped = self._drop_old(now_ns - retention_ns, now_ns + retention_ns)
            pairs = self._drop_unused_pairs() if dropped.dropped_segments else 0
            hours, moved = 0, 0
            for hour in self._closed_hours(now_ns):
                moved += self._roll(hour)
                hours += 1
            self._group_commit.forget_hours(
                (now_ns - retention_ns) // HOUR_NS, (now_ns + retention_ns) // HOUR_NS
            )
        return Maintained(
            rolled_hours=hours,
            rolled_records=moved,
            dropped_records=dropped.dropped_records,
            dropped_segments=dropped.dropped_segments,
            dropped_long_connections=dropped.dropped_long_connections,
            dropped_batches=dropped.dropped_batches,
            dropped_pairs=pairs,
        )

    def _drop_old(self, cutoff: int, ahead: int) -> Maintained:
        with self._database.snapshot() as cursor:
            old = [s for s in segments.listed(cursor) if s.last_time < cutoff]
            past = (
                retention.totals(cursor, [self._files.path(s.file) for s in old]) if old else None
            )

        def work(connection: duckdb.DuckDBPyConnection) -> Maintained:
            if past is not None:
                retention.drop_segments(connection, old, past)
            return Maintained(
                dropped_records=retention.drop_records(connection, cutoff, ahead)
                + sum(segment.records for segment in old),
                dropped_segments=len(old),
                dropped_long_connections=retention.drop_long_connections(connection, cutoff),
                dropped_batches=retention.drop_batches(connection),
            )

        dropped = self._writer.transact(work).result()
        self._files.unlisted(segment.file for segment in old)
        return dropped

    def _drop_unused_pairs(self) -> int:
        with self._database.snapshot() as cursor:
            files = [self._files.path(segment.file) for segment in segments.listed(cursor)]
            unused = retention.unused_pairs(cursor, files)

        def work(connection: duckdb.DuckDBPyConnection) -> int:
            count = retention.drop_pairs(connection, unused)
            # Before COMMIT on purpose: should it fail, pairs are entered again, which is harmless;
            # the other way round a record could be stored whose pair is not.
            self._group_commit.forget_pairs()
            return count

        return self._writer.transact(work).result() if unused.num_rows else 0

    def _closed_hours(self, now_ns: int) -> list[int]:
        with self._database.snapshot() as cursor:
            rows = cursor.execute(
                "SELECT DISTINCT time // ? FROM record WHERE time < ? ORDER BY 1",
                [HOUR_NS, (now_ns - QUIET_NS) // HOUR_NS * HOUR_NS],
            ).fetchall()
        quiet = now_ns - QUIET_NS
        return [int(hour) for (hour,) in rows if self._group_commit.touched(int(hour)) <= quiet]

    def _roll(self, hour: int) -> int:
        """Move an hour's rows into its segment; return how many."""
        with self._database.snapshot() as cursor:
            old = next((s for s in segments.listed(cursor) if s.hour == hour), None)
            segment = segments.write(cursor, self._files, hour, old)
        try:
            moved = self._writer.transact(
                lambda connection: segments.register(connection, segment)
            ).result()
        except BaseException:
            self._files.unlisted([segment.file])
            raise
        if old is not None:
            self._files.unlisted([old.file])
        log.info("hour rolled", file=segment.file, records=segment.records, moved=moved)
        return moved
