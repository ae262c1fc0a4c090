"""What is kept and for how long: records, segments, long connections, pairs and ledger rows.

Records and long connections go when they are older than ``data_retention``; a
segment goes as a whole once its newest record has, so records can outlive the
retention by up to an hour. What they had added to the totals of their pair is
kept in ``pair_past``. Pairs go when no record and no long connection refers to
them any more. Limit: space inside the database file is reused, not
given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.records import SECOND, Kind

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


_LARGEST = 2**62
"""Totals stop here instead of leaving 64 bits."""

_TOTALS = f"""
    SELECT pair_id, count(*) FILTER (kind IN ({Kind.START}, {Kind.CONNECTION})) AS connections,
        min(CASE WHEN kind IN ({Kind.END}, {Kind.UPDATE}) THEN time - duration ELSE time END)
            AS first_seen,
        least(coalesce(sum(bytes_out) FILTER ({{whole}}), 0), {_LARGEST})::BIGINT AS bytes_out,
        least(coalesce(sum(bytes_in) FILTER ({{whole}}), 0), {_LARGEST})::BIGINT AS bytes_in
    FROM {{source}} GROUP BY pair_id
""".format(whole=f"kind IN ({Kind.END}, {Kind.CONNECTION})", source="{source}")  # noqa: S608


def totals(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> pa.Table:
    """Return what the records in ``files`` add to their pairs.

    Bytes are those of connections that ended: their last record has them all.
    """
    return cursor.sql(
        _TOTALS.format(source="read_parquet(?)"), params=[[str(path) for path in files]]
    ).to_arrow_table()


def remember(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Add the rows of ``source`` (made like :func:`totals`) to ``pair_past``."""
    added = ", ".join(
        f"{name} = least({name}::HUGEINT + excluded.{name}, {_LARGEST})::BIGINT"
        for name in ("connections", "bytes_out", "bytes_in")
    )
    connection.execute(
        f"INSERT INTO pair_past {source} ON CONFLICT DO UPDATE SET"
        f" first_seen = least(first_seen, excluded.first_seen), {added}"
    ).fetchall()


def drop_records(connection: duckdb.DuckDBPyConnection, cutoff: int, ahead: int) -> int:
    """Delete hot records dated before ``cutoff`` or after ``ahead`` (wall ns); return how many.

    Those from far in the future come from a clock that is wrong, and would never age.
    """
    past = f"time < {cutoff:d} OR time > {ahead:d}"
    remember(connection, _TOTALS.format(source=f"record WHERE {past}"))
    return _deleted(connection, f"DELETE FROM record WHERE {past}")  # noqa: S608 - numbers


def drop_segments(
    connection: duckdb.DuckDBPyConnection, segments: Sequence[Segment], past: pa.Table
) -> None:
    """Take segments off the list and remember their totals; the files go after COMMIT."""
    connection.register("past", past)
    try:
        remember(connection, "SELECT * FROM past")
    finally:
        connection.unregister("past")
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
        count = _deleted(
            connection,
            "DELETE FROM pair WHERE pair_id IN (SELECT pair_id FROM unused)"
            " AND pair_id NOT IN (SELECT pair_id FROM record)",
        )
    finally:
        connection.unregister("unused")
    connection.execute(
        "DELETE FROM pair_past WHERE pair_id NOT IN (SELECT pair_id FROM pair)"
    ).fetchall()
    return count


def _deleted(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: int) -> int:
    rows = connection.execute(sql, list(parameters)).fetchall()
    return int(rows[0][0])
