"""The tables of alerting hold what their records hold."""

from __future__ import annotations

from dataclasses import fields

import duckdb

from beacon_detect.control_plane.alerts.decision import Memory
from beacon_detect.control_plane.alerts.message import Alert
from beacon_detect.control_plane.storage import schema_alerts


def test_alerts_and_memories_have_a_column_for_each_field() -> None:
    with duckdb.connect() as connection:
        for statement in (*schema_alerts.DDL, *schema_alerts.DDL):
            connection.execute(statement)

        # A memory is kept under the id of its finding.
        tables = (("alert", Alert, set()), ("alert_memory", Memory, {"finding_id"}))
        for table, kind, key in tables:
            found = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
            assert found == {field.name for field in fields(kind)} | key
