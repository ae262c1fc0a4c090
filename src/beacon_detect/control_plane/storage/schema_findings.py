"""The table of the findings: one column for each field of a finding.

Columns that later versions added are added to an older table, too. It lies
apart from ``finding_store``, which works on an open store, so that the store
can make every table before anybody works on it. Limit: a column is never
renamed or taken away.
"""

from __future__ import annotations

from dataclasses import fields

from beacon_detect.control_plane.findings import Finding

_TYPES = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "SeriesName": "VARCHAR",
    "tuple[Adjustment, ...]": "VARCHAR",
}
COLUMNS: dict[str, str] = {field.name: _TYPES[str(field.type)] for field in fields(Finding)} | {
    "pair_id": "UBIGINT"
}
"""Columns of a stored finding by name: those of the record, in its order."""

ADDED = {
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
    + ", ".join(f"{name} {kind} NOT NULL" for name, kind in COLUMNS.items())
    + ")",
    *(
        f"ALTER TABLE finding ADD COLUMN IF NOT EXISTS {name} {kind}"
        for name, kind in ADDED.items()
    ),
    # Until the next pass weighs it again, an old finding's risk is its score.
    "UPDATE finding SET risk = score WHERE risk IS NULL",
)
"""Statements that make the table or bring it up to date; run by the store at every start."""
