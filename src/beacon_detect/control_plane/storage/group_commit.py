"""One transaction for a group of batches: ledger, records, new pairs, long connections, sensors.

Either all of it is in the database or none of it is, so a batch that is in the
ledger has its records, its pairs and its sensor's counters, whatever happened
to the process. Runs in the writer thread only. Limit: what is kept here in
memory (known pairs, sensor counters) follows the database only through this
class; whoever deletes pairs calls :meth:`GroupCommit.forget_pairs`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.control_plane.columns import addresses, numbers
from beacon_detect.control_plane.id_index import IdIndex
from beacon_detect.control_plane.storage import long_connections
from beacon_detect.control_plane.storage.schema import HOUR_NS, RECORD_COLUMNS
from beacon_detect.control_plane.storage.writer import (
    Appended,
    CommittedBatch,
)
from beacon_detect.records import unpack_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.control_plane.storage.database import Database

_SENSOR_COLUMNS = (
    "sensor", "mode", "boot", "first_seen", "last_seen", "records", "batches", "duplicates",
)  # fmt: skip
_WIRE_COLUMNS = [name for name, _ in RECORD_COLUMNS if name not in {"pair_id", "sensor"}]


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """What is known of a sensor from the headers of its batches; times in wall ns."""

    sensor: str
    mode: str = ""
    boot: str = ""
    first_seen: int = 0
    last_seen: int = 0
    records: int = 0
    batches: int = 0
    duplicates: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    """Records lost by reason, summed over the sensor's sessions."""

    @property
    def lost(self) -> int:
        """Records lost in all."""
        return sum(self.losses.values())


@dataclass(frozen=True, slots=True)
class _Change:
    """What a transaction wrote, to be remembered once it is committed."""

    number: int
    fresh: list[bool]
    stored: list[CommittedBatch]
    sensors: dict[str, SensorStatus]
    losses: dict[tuple[str, str, str], int]


class GroupCommit:
    """Writes groups of batches and knows the pairs and sensors seen so far."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hour_touched: dict[int, int] = {}
        self._load()

    def _load(self) -> None:
        """Learn from the database what is kept in memory beside it."""
        connection = self._database.connection
        self._reopened = self._database.reopened
        self._pairs = IdIndex(_column(connection, "SELECT pair_id FROM pair"))
        self._number = _last_commit_number(connection)
        self._sensors = _load_sensors(connection)
        self._losses = _load_losses(connection)

    def sensors(self) -> list[SensorStatus]:
        """Return the state of every sensor, by name."""
        losses: dict[str, dict[str, int]] = {}
        for (sensor, _, reason), lost in self._losses.copy().items():
            reasons = losses.setdefault(sensor, {})
            reasons[reason] = reasons.get(reason, 0) + lost
        return [
            replace(status, losses=losses.get(name, {}))
            for name, status in sorted(self._sensors.copy().items())
        ]

    def touched(self, hour: int) -> int:
        """Return when (wall ns) the last record of an hour came in; 0 when not in this run."""
        return self._hour_touched.get(hour, 0)

    def forget_hours(self, first: int, last: int) -> None:
        """Forget when hours before ``first`` and after ``last`` were touched."""
        for hour in self._hour_touched.copy():
            if not first <= hour <= last:
                self._hour_touched.pop(hour, None)

    def forget_pairs(self) -> None:
        """Read the known pairs again, after some were deleted."""
        self._pairs = IdIndex(_column(self._database.connection, "SELECT pair_id FROM pair"))

    def commit(self, batches: Sequence[CommittedBatch]) -> list[Appended]:
        """Store the batches that are not in the ledger yet; nothing of any when one fails."""
        received = time.time_ns()

        def work(connection: duckdb.DuckDBPyConnection) -> _Change:
            if self._reopened != self._database.reopened:
                # Whether the commit that failed is in the database, only the database knows.
                self._load()
            number = self._number + 1
            fresh = _enter_in_ledger(connection, batches, received)
            stored = [batch for batch, new in zip(batches, fresh, strict=True) if new]
            if stored:
                self._store(connection, stored, number, received)
            sensors = self._count(batches, fresh, received)
            losses = self._newest_losses(batches)
            _save_sensors(connection, sensors)
            _save_losses(connection, losses)
            return _Change(number, fresh, stored, sensors, losses)

        change = self._database.transaction(work)
        self._number = change.number
        self._sensors.update(change.sensors)
        self._losses.update(change.losses)
        for batch in change.stored:
            self._pairs.add(batch.pair_ids)
            self._hour_touched.update(dict.fromkeys(_hours(batch.table), received))
        return [
            Appended(batch.table.num_rows, duplicate=not new)
            for batch, new in zip(batches, change.fresh, strict=True)
        ]

    def _store(
        self,
        connection: duckdb.DuckDBPyConnection,
        batches: list[CommittedBatch],
        number: int,
        received: int,
    ) -> None:
        import pyarrow as pa

        table = pa.concat_tables([_stored_form(batch, number) for batch in batches])
        insert(connection, table, "INSERT INTO record BY NAME SELECT * FROM incoming")
        new_pairs = [pairs for batch in batches if (pairs := self._new_pairs(batch)) is not None]
        if new_pairs:
            # They can be there: what is known in memory may lag behind after a failed clean-up.
            insert(
                connection,
                _distinct(new_pairs),
                "INSERT OR IGNORE INTO pair SELECT * FROM incoming",
            )
        long_connections.upsert(connection, table, received)

    def _new_pairs(self, batch: CommittedBatch) -> pa.Table | None:
        """Return the rows of ``pair`` for pairs never seen before, None when there are none."""
        import pyarrow as pa

        missing = np.flatnonzero(self._pairs.slots(batch.pair_ids) < 0)
        if not missing.size:
            return None
        ids, first = np.unique(batch.pair_ids[missing], return_index=True)
        rows = missing[first]
        return pa.table(
            {
                "pair_id": ids,
                "src": [unpack_address(a.tobytes()) for a in addresses(batch.table, "src")[rows]],
                "dst": [unpack_address(a.tobytes()) for a in addresses(batch.table, "dst")[rows]],
                "dst_port": numbers(batch.table, "dst_port")[rows],
                "protocol": numbers(batch.table, "protocol")[rows],
            }
        )

    def _count(
        self, batches: Sequence[CommittedBatch], fresh: list[bool], received: int
    ) -> dict[str, SensorStatus]:
        """Return the new state of the sensors in the group."""
        changed: dict[str, SensorStatus] = {}
        for batch, new in zip(batches, fresh, strict=True):
            header = batch.header
            old = changed.get(header.sensor) or self._sensors.get(header.sensor)
            old = old or SensorStatus(header.sensor, first_seen=received)
            changed[header.sensor] = replace(
                old,
                mode=header.mode or old.mode,
                boot=header.boot or old.boot,
                last_seen=received,
                records=old.records + (batch.table.num_rows if new else 0),
                batches=old.batches + new,
                duplicates=old.duplicates + (not new),
            )
        return changed

    def _newest_losses(self, batches: Sequence[CommittedBatch]) -> dict[tuple[str, str, str], int]:
        """Return the losses that grew, by (sensor, session, reason)."""
        grown: dict[tuple[str, str, str], int] = {}
        for header in (batch.header for batch in batches):
            for reason, lost in header.losses.items():
                key = (header.sensor, header.session, reason)
                if lost > max(grown.get(key, 0), self._losses.get(key, 0)):
                    grown[key] = lost
        return grown


def _distinct(pairs: list[pa.Table]) -> pa.Table:
    """Join rows of ``pair``; two batches of a group may bring the same one."""
    import pyarrow as pa

    table = pa.concat_tables(pairs)
    return table.take(np.unique(numbers(table, "pair_id"), return_index=True)[1])


def insert(connection: duckdb.DuckDBPyConnection, table: pa.Table, sql: str) -> None:
    """Run ``sql``, which reads ``table`` under the name ``incoming``."""
    connection.register("incoming", table)
    try:
        connection.execute(sql).fetchall()
    finally:
        connection.unregister("incoming")


def _stored_form(batch: CommittedBatch, number: int) -> pa.Table:
    """Return the rows of ``record``: addresses replaced by the pair id."""
    import pyarrow as pa

    count = batch.table.num_rows
    sensor = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [batch.header.sensor])
    return (
        batch.table.select(_WIRE_COLUMNS)
        .replace_schema_metadata()
        .append_column("pair_id", pa.array(batch.pair_ids))
        .append_column("sensor", sensor)
        .append_column("commit_number", pa.array(np.full(count, number, np.uint64)))
    )


def _enter_in_ledger(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[CommittedBatch], received: int
) -> list[bool]:
    """Return which batches are new, having entered them."""
    import pyarrow as pa

    first: dict[tuple[str, str], int] = {}
    for position, batch in enumerate(batches):
        first.setdefault((batch.header.sensor, batch.header.batch), position)
    rows = pa.table(
        {
            "sensor": [sensor for sensor, _ in first],
            "batch": [batch for _, batch in first],
            "received": [received] * len(first),
            "records": [batches[position].table.num_rows for position in first.values()],
        }
    )
    connection.register("incoming", rows)
    try:
        entered = connection.execute(
            "INSERT INTO batch SELECT * FROM incoming ON CONFLICT DO NOTHING"
            " RETURNING sensor, batch"
        ).fetchall()
    finally:
        connection.unregister("incoming")
    new = {first[key] for key in entered}
    return [position in new for position in range(len(batches))]


def _hours(table: pa.Table) -> list[int]:
    """Return the hours since the epoch that have records in ``table``."""
    hours = numbers(table, "time") // HOUR_NS
    if len(hours) and hours.min() == hours.max():
        return [int(hours[0])]
    return [int(hour) for hour in np.unique(hours)]


def _last_commit_number(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the highest number in use, in hot records or in a segment."""
    rows = connection.execute(
        "SELECT max(n) FROM (SELECT max(commit_number) AS n FROM record"
        " UNION ALL SELECT max(commit_number) FROM segment)"
    ).fetchall()
    return int(rows[0][0] or 0)


def _save_sensors(connection: duckdb.DuckDBPyConnection, sensors: dict[str, SensorStatus]) -> None:
    import pyarrow as pa

    rows = [
        {name: getattr(status, name) for name in _SENSOR_COLUMNS} for status in sensors.values()
    ]
    insert(
        connection,
        pa.Table.from_pylist(rows),
        "INSERT INTO sensor BY NAME SELECT * FROM incoming ON CONFLICT DO UPDATE SET"
        " mode = excluded.mode, boot = excluded.boot, last_seen = excluded.last_seen,"
        " records = excluded.records, batches = excluded.batches, duplicates = excluded.duplicates",
    )


def _save_losses(
    connection: duckdb.DuckDBPyConnection, losses: dict[tuple[str, str, str], int]
) -> None:
    import pyarrow as pa

    if not losses:
        return
    sensors, sessions, reasons = zip(*losses, strict=True)
    columns = {"sensor": sensors, "session": sessions, "reason": reasons, "lost": losses.values()}
    insert(
        connection,
        pa.table({name: list(values) for name, values in columns.items()}),
        "INSERT INTO sensor_loss SELECT * FROM incoming"
        " ON CONFLICT DO UPDATE SET lost = excluded.lost",
    )


def _load_sensors(connection: duckdb.DuckDBPyConnection) -> dict[str, SensorStatus]:
    rows = connection.execute(f"SELECT {', '.join(_SENSOR_COLUMNS)} FROM sensor").fetchall()  # noqa: S608
    return {row[0]: SensorStatus(*row) for row in rows}


def _load_losses(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], int]:
    rows = connection.execute("SELECT sensor, session, reason, lost FROM sensor_loss").fetchall()
    return {(sensor, session, reason): lost for sensor, session, reason, lost in rows}


def _column(connection: duckdb.DuckDBPyConnection, sql: str) -> NDArray[np.uint64]:
    column: NDArray[np.uint64] = next(iter(connection.execute(sql).fetchnumpy().values()))
    return np.asarray(column, np.uint64)
