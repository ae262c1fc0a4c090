"""Connections that last a minute or longer, one row each, kept up to date while they are open.

A row is made by the first report (UPDATE, END or CONNECTION record) with a
duration of at least :data:`LONG_NS` and updated by later ones; reports may
come in any order. A connection without an end counts as open only while its
sensor keeps reporting it: see :data:`LOST_SIGHT_NS`. Limit: a connection that
ends unseen (sensor gone) is shown as lost sight of, with what was known last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.records import SECOND, Kind

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LONG_NS = 60 * SECOND
"""Shortest duration kept here: sensors report open connections every minute by default."""

LOST_SIGHT_NS = 600 * SECOND
"""Without a report for this long (or three times the gap between the last two reports, where a
sensor reports less often) a connection is no longer shown as open: ten missed reports at the
default interval outlast a restart of a sensor and a short outage."""

_UPSERT = f"""
INSERT INTO long_connection
SELECT connection_id, sensor, pair_id, src_port,
       CASE WHEN kind = {Kind.CONNECTION} THEN time ELSE time - duration END,
       CASE WHEN kind = {Kind.CONNECTION} THEN time + duration ELSE time END AS seen,
       duration, bytes_out, bytes_in, packets_out, packets_in, outcome, direction, pid,
       process, executable, container, name, kind != {Kind.UPDATE} AS ended, $received, 0
FROM incoming
WHERE duration >= {LONG_NS} AND kind IN ({Kind.UPDATE}, {Kind.END}, {Kind.CONNECTION})
QUALIFY row_number() OVER (
    PARTITION BY connection_id, sensor ORDER BY ended DESC, seen DESC, duration DESC) = 1
ON CONFLICT DO UPDATE SET
    started = least(started, excluded.started),
    last_seen = greatest(last_seen, excluded.last_seen),
    duration = greatest(duration, excluded.duration),
    bytes_out = greatest(bytes_out, excluded.bytes_out),
    bytes_in = greatest(bytes_in, excluded.bytes_in),
    packets_out = greatest(packets_out, excluded.packets_out),
    packets_in = greatest(packets_in, excluded.packets_in),
    outcome = CASE WHEN ended AND NOT excluded.ended THEN outcome ELSE excluded.outcome END,
    pid = CASE WHEN excluded.process = '' THEN pid ELSE excluded.pid END,
    executable = CASE WHEN excluded.process = '' THEN executable ELSE excluded.executable END,
    container = CASE WHEN excluded.container = '' THEN container ELSE excluded.container END,
    process = CASE WHEN excluded.process = '' THEN process ELSE excluded.process END,
    name = CASE WHEN excluded.name = '' THEN name ELSE excluded.name END,
    ended = ended OR excluded.ended,
    report_gap = CASE WHEN excluded.reported > reported THEN excluded.reported - reported
                      ELSE report_gap END,
    reported = greatest(reported, excluded.reported)
"""  # noqa: S608 - constants of ours, no input

SELECT = f"""
SELECT c.connection_id, c.sensor, c.pair_id, p.src, c.src_port, p.dst, p.dst_port, p.protocol,
       c.started, c.last_seen, c.duration, c.bytes_out, c.bytes_in, c.packets_out, c.packets_in,
       c.outcome, c.direction, c.pid, c.process, c.executable, c.container, c.name,
       NOT c.ended AND $now - c.reported <= greatest({LOST_SIGHT_NS}, 3 * c.report_gap) AS open,
       NOT c.ended AND NOT open AS lost_sight
FROM long_connection c JOIN pair p USING (pair_id)
WHERE c.duration >= $least
ORDER BY c.duration DESC, c.connection_id
"""  # noqa: S608 - constants of ours, no input
"""Long connections of at least ``$least`` ns, longest first, as of ``$now`` (wall ns)."""


def upsert(connection: duckdb.DuckDBPyConnection, records: pa.Table, received: int) -> None:
    """Bring ``long_connection`` up to date with the records of a group.

    Parameters
    ----------
    records
        Rows as stored: with ``pair_id`` and ``sensor``.
    received
        Wall time (ns) at which the group came in.
    """
    import pyarrow.compute as pc

    # Most groups hold none; a vectorised look is cheaper than an empty upsert.
    longest = pc.max(records.column("duration")).as_py()
    if longest is None or longest < LONG_NS:
        return
    connection.register("incoming", records)
    try:
        connection.execute(_UPSERT, {"received": received}).fetchall()
    finally:
        connection.unregister("incoming")
