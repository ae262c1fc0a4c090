"""The tables of the database and their version.

Everything the control plane knows is in one DuckDB file; closed hours of
records lie beside it as Parquet files that the ``segment`` table lists. A
database written by a newer version is refused, never guessed at; an older one
is brought up to date when it is opened. Limit: there is no way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.control_plane.storage import schema_alerts, schema_findings
from beacon_detect.errors import BeaconError
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 2
"""1: the first. 2: findings have a risk with its reasons."""

HOUR_NS = 3600 * SECOND
"""Records are rolled into segments by the hour of their wall time."""

RECORD_COLUMNS: tuple[tuple[str, str], ...] = (
    ("pair_id", "UBIGINT"),
    ("kind", "UTINYINT"),
    ("connection_id", "UBIGINT"),
    ("time", "BIGINT"),
    ("series_time", "BIGINT"),
    ("src_port", "USMALLINT"),
    ("duration", "BIGINT"),
    ("bytes_out", "BIGINT"),
    ("bytes_in", "BIGINT"),
    ("packets_out", "BIGINT"),
    ("packets_in", "BIGINT"),
    ("tcp_flags_out", "UTINYINT"),
    ("tcp_flags_in", "UTINYINT"),
    ("outcome", "UTINYINT"),
    ("origin", "UTINYINT"),
    ("direction", "UTINYINT"),
    ("pid", "UINTEGER"),
    ("uid", "UINTEGER"),
    ("cgroup", "UBIGINT"),
    ("process", "VARCHAR"),
    ("executable", "VARCHAR"),
    ("container", "VARCHAR"),
    ("name", "VARCHAR"),
    ("sensor", "VARCHAR"),
)
"""Columns of a stored record; source, destination, port and protocol are in ``pair``."""

_RECORD_DDL = ", ".join(f"{name} {kind} NOT NULL" for name, kind in RECORD_COLUMNS)

DDL: tuple[str, ...] = (
    # Records of the hours not yet rolled into a segment. `commit_number` tells a
    # roll which rows its snapshot holds.
    f"CREATE TABLE IF NOT EXISTS record ({_RECORD_DDL}, commit_number UBIGINT NOT NULL)",
    # Insert-only: the addresses behind a pair id, written once instead of in every record.
    """CREATE TABLE IF NOT EXISTS pair (
        pair_id UBIGINT PRIMARY KEY, src VARCHAR NOT NULL, dst VARCHAR NOT NULL,
        dst_port USMALLINT NOT NULL, protocol UTINYINT NOT NULL)""",
    # What records that are past retention had added to their pair, so that totals stay exact.
    """CREATE TABLE IF NOT EXISTS pair_past (
        pair_id UBIGINT PRIMARY KEY, connections BIGINT NOT NULL, first_seen BIGINT NOT NULL,
        bytes_out BIGINT NOT NULL, bytes_in BIGINT NOT NULL)""",
    # The ledger: a batch in it is stored, and one that comes again is not counted again.
    """CREATE TABLE IF NOT EXISTS batch (
        sensor VARCHAR, batch VARCHAR, received BIGINT NOT NULL, records BIGINT NOT NULL,
        PRIMARY KEY (sensor, batch))""",
    """CREATE TABLE IF NOT EXISTS sensor (
        sensor VARCHAR PRIMARY KEY, mode VARCHAR NOT NULL, boot VARCHAR NOT NULL,
        first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, records BIGINT NOT NULL,
        batches BIGINT NOT NULL, duplicates BIGINT NOT NULL)""",
    # Losses are cumulative within a session (one run of a sensor); totals sum over sessions.
    """CREATE TABLE IF NOT EXISTS sensor_loss (
        sensor VARCHAR, session VARCHAR, reason VARCHAR, lost BIGINT NOT NULL,
        PRIMARY KEY (sensor, session, reason))""",
    """CREATE TABLE IF NOT EXISTS long_connection (
        connection_id UBIGINT, sensor VARCHAR, pair_id UBIGINT NOT NULL,
        src_port USMALLINT NOT NULL, started BIGINT NOT NULL, last_seen BIGINT NOT NULL,
        duration BIGINT NOT NULL, bytes_out BIGINT NOT NULL, bytes_in BIGINT NOT NULL,
        packets_out BIGINT NOT NULL, packets_in BIGINT NOT NULL, outcome UTINYINT NOT NULL,
        direction UTINYINT NOT NULL, pid UINTEGER NOT NULL, process VARCHAR NOT NULL,
        executable VARCHAR NOT NULL, container VARCHAR NOT NULL, name VARCHAR NOT NULL,
        ended BOOLEAN NOT NULL, reported BIGINT NOT NULL, report_gap BIGINT NOT NULL,
        PRIMARY KEY (connection_id, sensor))""",
    # Parquet files of closed hours; a file that is not listed here does not exist for anybody.
    """CREATE TABLE IF NOT EXISTS segment (
        hour BIGINT PRIMARY KEY, file VARCHAR NOT NULL, records BIGINT NOT NULL,
        first_time BIGINT NOT NULL, last_time BIGINT NOT NULL, bytes BIGINT NOT NULL,
        commit_number UBIGINT NOT NULL)""",
    *schema_findings.DDL,
    *schema_alerts.DDL,
)
"""Statements that make every table or bring it up to date; run at every start."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing, in one transaction.

    Raises
    ------
    BeaconError
        When the database was written by a newer version of the software.
    """
    connection.begin()
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        rows = connection.execute("SELECT max(version) FROM schema_version").fetchall()
        found = rows[0][0]
        if found is not None and found > SCHEMA_VERSION:
            raise BeaconError(
                f"the database has schema version {found}, this software knows"
                f" {SCHEMA_VERSION} at most",
                hint="install the version that wrote it, or name another data_dir",
            )
        for statement in DDL:
            connection.execute(statement)
        if found is None or found < SCHEMA_VERSION:
            connection.execute("INSERT INTO schema_version VALUES (?)", [SCHEMA_VERSION])
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
