"""Where findings survive a restart: one row each, replaced as a whole by the pass that changes it.

The analyzer keeps the findings in memory and asks the database only at the
start; a save is part of the transaction that also holds the alerts it causes.
A table newer than the code is refused when the store is opened, not here.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from beacon_detect.context import Adjustment
from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.storage.schema_findings import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb
    import pyarrow as pa

    from beacon_detect.control_plane.storage.store import Store


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
    names = ", ".join(COLUMNS)
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
            for name, kind in COLUMNS.items()
        }
    )


def _stored(finding: Finding, name: str) -> Any:
    if name == "reasons":
        return json.dumps([asdict(reason) for reason in finding.reasons])
    return getattr(finding, name)
