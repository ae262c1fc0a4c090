"""Where findings survive a restart: one row each, replaced as a whole by the pass that changes it.

Columns that later versions added are added to an older table, too. The analyzer keeps the findings in memory and asks the database only at the
start; a save is part of the transaction that also holds the alerts it causes.
A table newer than the code is refused when the store is opened, not here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from beacon_detect.context import Adjustment
from beacon_detect.control_plane.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb
    import pyarrow as pa

    from beacon_detect.control_plane.storage.store import Store

_TYPES = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "SeriesName": "VARCHAR",
    "tuple[Adjustment, ...]": "VARCHAR",
}
_COLUMNS = {field.name: _TYPES[str(field.type)] for field in fields(Finding)} | {
    "pair_id": "UBIGINT"
}

_ADDED = {
    "risk": "DOUBLE",
    "reasons": "VARCHAR DEFAULT '[]'",
    "configured_sleep": "DOUBLE DEFAULT 0",
    "false_alarm": "DOUBLE DEFAULT 1",
    "episodes": "BIGINT DEFAULT 0",
    "size_regularity": "DOUBLE DEFAULT 0",
    "addresses": "BIGINT DEFAULT 1",
}
"""Columns that version 2 added."""

DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS finding ("
    + ", ".join(f"{name} {kind} NOT NULL" for name, kind in _COLUMNS.items())
    + ")",
    *(
        f"ALTER TABLE finding ADD COLUMN IF NOT EXISTS {name} {kind}"
        for name, kind in _ADDED.items()
    ),
    # Until the next pass weighs it again, an old finding's risk is its score.
    "UPDATE finding SET risk = score WHERE risk IS NULL",
)
"""Statements that make the table or bring it up to date; run by the store at every start."""


def save(connection: duckdb.DuckDBPyConnection, findings: Sequence[Finding]) -> None:
    """Insert or replace ``findings`` inside the caller's transaction."""
    if not findings:
        return
    # No primary key: an index would have to be rebuilt row by row, and one writer
    # that deletes before it inserts keeps the ids unique as well.
    _with_rows(
        connection,
        _table(findings),
        "DELETE FROM finding WHERE id IN (SELECT id FROM saved_finding)",
        "INSERT INTO finding BY NAME SELECT * FROM saved_finding",
    )


def delete(connection: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> None:
    """Forget findings inside the caller's transaction."""
    connection.execute("DELETE FROM finding WHERE id IN (SELECT unnest(?))", [list(ids)])


def load(store: Store) -> list[Finding]:
    """Return every stored finding."""
    names = ", ".join(_COLUMNS)
    rows = store.query(f"SELECT {names} FROM finding").to_pylist()  # noqa: S608
    return [Finding(**row | {"reasons": _reasons(row["reasons"])}) for row in rows]


def _reasons(text: str) -> tuple[Adjustment, ...]:
    return tuple(Adjustment(**reason) for reason in json.loads(text))


def _with_rows(connection: duckdb.DuckDBPyConnection, table: pa.Table, *statements: str) -> None:
    """Run statements that read ``table`` as ``saved_finding``."""
    connection.register("saved_finding", table)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.unregister("saved_finding")


def _table(findings: Sequence[Finding]) -> pa.Table:
    import pyarrow as pa

    arrow: dict[str, Any] = {
        "BIGINT": pa.int64(),
        "UBIGINT": pa.uint64(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
    }
    return pa.table(
        {
            name: pa.array([_stored(finding, name) for finding in findings], arrow[kind])
            for name, kind in _COLUMNS.items()
        }
    )


def _stored(finding: Finding, name: str) -> Any:
    if name == "reasons":
        return json.dumps([asdict(reason) for reason in finding.reasons])
    return getattr(finding, name)
