"""The table of the findings has a column for each field, and older tables get what they lack."""

from __future__ import annotations

from dataclasses import fields

import duckdb

from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.storage import schema_findings


def columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in connection.execute("DESCRIBE finding").fetchall()]


def test_every_field_of_a_finding_has_a_column() -> None:
    with duckdb.connect() as connection:
        for statement in schema_findings.DDL:
            connection.execute(statement)

        assert columns(connection) == [field.name for field in fields(Finding)]


def test_a_table_of_the_first_version_gets_its_new_columns_and_the_score_as_risk() -> None:
    first = {n: k for n, k in schema_findings.COLUMNS.items() if n not in schema_findings.ADDED}
    made = ", ".join(f"{name} {kind} NOT NULL" for name, kind in first.items())
    values = ", ".join("'a'" if kind == "VARCHAR" else "0.75" for kind in first.values())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE finding ({made})")
        connection.execute(f"INSERT INTO finding VALUES ({values})")
        for statement in (*schema_findings.DDL, *schema_findings.DDL):
            connection.execute(statement)

        assert set(columns(connection)) == set(schema_findings.COLUMNS)
        assert connection.execute("SELECT risk, reasons FROM finding").fetchall() == [(0.75, "[]")]
