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

        for table, kind in (("alert", Alert), ("alert_memory", Memory)):
            found = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
            # A memory is kept under the id of its finding.
            assert found - {"finding_id"} == {field.name for field in fields(kind)} - {"finding_id"}
