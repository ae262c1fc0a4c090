"""What is kept and for how long: records, segments, long connections, pairs and ledger rows.

Records and long connections go when they are older than ``data_retention``; a
segment goes as a whole once its newest record has, so records can outlive the
retention by up to an hour. Pairs go when no record and no long connection
refers to them any more. Limit: space inside the database file is reused, not
given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from beacon_detect.control_plane.storage.segments import Segment

LEDGER_NS = 86_400 * SECOND
"""How long a batch stays in the ledger, counted in its sensor's own time: from its arrival to the
sensor's newest batch. A sensor that was cut off for a week first sends what it could not get
acknowledged, and that is still known then, because nothing newer came from it meanwhile."""


def drop_records(connection: duckdb.DuckDBPyConnection, cutoff: int, ahead: int) -> int:
    """Delete hot records dated before ``cutoff`` or after ``ahead`` (wall ns); return how many.

    Those from far in the future come from a clock that is wrong, and would never age.
    """
    return _deleted(connection, "DELETE FROM record WHERE time < ? OR time > ?", cutoff, ahead)


def drop_segments(connection: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> None:
    """Take segments off the list; their files go after COMMIT."""
    connection.executemany("DELETE FROM segment WHERE hour = ?", [[s.hour] for s in segments])


def drop_long_connections(connection: duckdb.DuckDBPyConnection, cutoff: int) -> int:
    """Delete long connections last reported and last active before ``cutoff``."""
    return _deleted(
        connection,
        "DELETE FROM long_connection WHERE greatest(last_seen, reported) < ?",
        cutoff,
    )


def drop_batches(connection: duckdb.DuckDBPyConnection) -> int:
    """Delete ledger rows that no re-sent batch can need."""
    return _deleted(
        connection,
        "DELETE FROM batch USING sensor WHERE batch.sensor = sensor.sensor"
        " AND batch.received < sensor.last_seen - ?",
        LEDGER_NS,
    )


def unused_pairs(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> pa.Table:
    """Return the ids of pairs that nothing in the cursor's snapshot refers to."""
    used = "SELECT DISTINCT pair_id FROM record UNION ALL SELECT pair_id FROM long_connection"
    parameters: list[list[str]] = []
    if files:
        used += " UNION ALL SELECT DISTINCT pair_id FROM read_parquet(?)"
        parameters.append([str(path) for path in files])
    return cursor.sql(
        f"SELECT pair_id FROM pair WHERE pair_id NOT IN ({used})",  # noqa: S608 - constants
        params=parameters,
    ).to_arrow_table()


def drop_pairs(connection: duckdb.DuckDBPyConnection, unused: pa.Table) -> int:
    """Delete the ``unused`` pairs unless a record came since they were found unused."""
    connection.register("unused", unused)
    try:
        return _deleted(
            connection,
            "DELETE FROM pair WHERE pair_id IN (SELECT pair_id FROM unused)"
            " AND pair_id NOT IN (SELECT pair_id FROM record)",
        )
    finally:
        connection.unregister("unused")


def _deleted(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: int) -> int:
    rows = connection.execute(sql, list(parameters)).fetchall()
    return int(rows[0][0])
