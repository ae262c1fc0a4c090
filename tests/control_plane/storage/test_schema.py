"""The database is made once, opened again, and refused when it is newer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from beacon_detect.control_plane.storage import schema
from beacon_detect.errors import BeaconError
from beacon_detect.records import record_schema

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.execute("SHOW TABLES").fetchall()}


def test_preparing_twice_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    schema.prepare(connection)
    made = tables(connection)
    schema.prepare(connection)

    assert tables(connection) == made
    assert {"record", "pair", "batch", "segment", "finding", "alert", "delivery"} <= made
    assert connection.execute("SELECT version FROM schema_version").fetchall() == [
        (schema.SCHEMA_VERSION,)
    ]


def test_a_newer_database_is_refused_and_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
    connection.execute("INSERT INTO schema_version VALUES (?)", [schema.SCHEMA_VERSION + 1])

    with pytest.raises(BeaconError, match="schema version"):
        schema.prepare(connection)
    assert tables(connection) == {"schema_version"}


def test_a_failing_statement_leaves_nothing_behind(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "DDL", (*schema.DDL, "CREATE NONSENSE"))
    with pytest.raises(duckdb.Error):
        schema.prepare(connection)

    assert tables(connection) == set()


def test_every_column_of_a_record_is_stored_or_in_the_pair() -> None:
    stored = {name for name, _ in schema.RECORD_COLUMNS}
    in_pair = {"src", "dst", "dst_port", "protocol"}

    assert stored - {"pair_id", "sensor"} == set(record_schema().names) - in_pair
