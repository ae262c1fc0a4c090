"""The tables of alerting: alerts, their deliveries, and what was told of each finding.

They lie apart from ``alert_store``, which works on an open store, so that the
store can make every table before anybody works on it. Limit: no keys; the one
writer keeps ids unique.
"""

from __future__ import annotations

DDL: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS alert (
        id VARCHAR NOT NULL, time BIGINT NOT NULL, kind VARCHAR NOT NULL,
        severity VARCHAR NOT NULL, score DOUBLE NOT NULL, finding_id VARCHAR NOT NULL,
        document VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS delivery (
        alert_id VARCHAR NOT NULL, channel VARCHAR NOT NULL, state VARCHAR NOT NULL,
        attempts INTEGER NOT NULL, last_error VARCHAR NOT NULL, updated BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS alert_memory (
        finding_id VARCHAR NOT NULL, severity VARCHAR NOT NULL, told_at BIGINT NOT NULL,
        last_seen BIGINT NOT NULL, detected_at BIGINT NOT NULL, returned_at BIGINT NOT NULL,
        silence BIGINT NOT NULL)""",
)
"""Statements that make the tables; run by the store at every start."""
