"""Where alerts, their deliveries and what was told of each finding survive a restart.

An alert, one pending delivery for each channel that wants it, and the memory
of having told it are written in one transaction, together with the finding
that caused them; every attempt at a delivery is written when it is over. So a
delivery is lost only with the database, and repeated only when the process
dies between the receiver's acknowledgement and the commit. Limit: alerts are
kept for a bounded time (see :func:`retention_of`), undelivered ones included.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from beacon_detect.control_plane.alerts.decision import Memory
from beacon_detect.control_plane.alerts.message import Alert, AlertKind
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb

    from beacon_detect.control_plane.storage.store import Store

RETENTION = 30 * 86_400
"""Shortest time an alert is kept, seconds: a month of history for whoever investigates."""

_PAGE = 500
"""Alerts read at once while looking for those that are not whitelisted."""

_ALERT = ", ".join(f"alert.{field.name}" for field in fields(Alert))
_LISTED = (
    "id", "time", "kind", "severity", "score", "risk", "finding_id", "title", "message", "src_ip",
    "dst_ip", "dst_port", "protocol", "process", "container", "sensor", "interval_seconds",
    "evidence",
)  # fmt: skip
"""Fields of the document that a list of alerts shows."""


class DeliveryState(StrEnum):
    """What became of the delivery of an alert to a channel."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert's delivery to one channel, so far."""

    channel: str
    state: DeliveryState
    attempts: int
    last_error: str


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert with its deliveries."""

    alert: Alert
    deliveries: tuple[Delivery, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what the API lists."""
        document = json.loads(self.alert.document)
        # What was told before there was a risk was told by its score.
        document.setdefault("risk", document["score"])
        listed = {name: document[name] for name in _LISTED}
        return listed | {
            "deliveries": [
                {
                    "channel": delivery.channel,
                    "state": delivery.state.value,
                    "attempts": delivery.attempts,
                    "last_error": delivery.last_error or None,
                }
                for delivery in self.deliveries
            ]
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """The delivery that is next for a channel."""

    alert: Alert
    attempts: int
    """Attempts that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The end of one attempt at a delivery."""

    alert_id: str
    channel: str
    state: DeliveryState
    error: str
    """Why it failed; empty when it did not."""
    time: int
    """Wall ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTotals:
    """Deliveries of the alerts that are kept, of one channel."""

    delivered: int = 0
    pending: int = 0
    failed: int = 0
    last_error: str = ""
    """The newest failure after the last delivery."""
    last_delivery: int = 0
    """Wall ns; 0 when there was none."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What :func:`expire` deleted."""

    alerts: int
    undelivered: int
    """Deliveries that were still pending."""


def retention_of(data_retention: int) -> int:
    """Return how long alerts are kept (ns), given how long records are (s): a month at least."""
    return max(data_retention, RETENTION) * SECOND


def read_memories(
    connection: duckdb.DuckDBPyConnection, finding_ids: Sequence[str]
) -> dict[str, Memory]:
    """Return what is remembered of those of the findings that were told."""
    names = ", ".join(_memory_columns())
    rows = connection.execute(
        f"SELECT finding_id, {names} FROM alert_memory"  # noqa: S608
        " WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(finding_ids)],
    ).fetchall()
    return {row[0]: Memory(**dict(zip(_memory_columns(), row[1:], strict=True))) for row in rows}


def save_memories(connection: duckdb.DuckDBPyConnection, memories: Mapping[str, Memory]) -> None:
    """Remember, inside the caller's transaction."""
    rows = [(finding_id, *_values(memory)) for finding_id, memory in memories.items()]
    connection.execute(
        "DELETE FROM alert_memory WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(memories)],
    )
    _insert(connection, "alert_memory", rows)


def insert_alerts(
    connection: duckdb.DuckDBPyConnection,
    alerts: Sequence[Alert],
    channels: Callable[[Alert], Iterable[str]],
) -> None:
    """Store alerts and a pending delivery for each channel, inside the caller's transaction.

    Parameters
    ----------
    channels
        Gives the names of the channels that want an alert.
    """
    _insert(connection, "alert", [_values(alert) for alert in alerts])
    deliveries = [
        (alert.id, channel, DeliveryState.PENDING.value, 0, "", alert.time)
        for alert in alerts
        for channel in channels(alert)
    ]
    _insert(connection, "delivery", deliveries)


def record_attempt(connection: duckdb.DuckDBPyConnection, attempt: Attempt) -> None:
    """Store the end of an attempt, inside the caller's transaction."""
    connection.execute(
        "UPDATE delivery SET state = ?, attempts = attempts + 1, last_error = ?, updated = ?"
        " WHERE alert_id = ? AND channel = ? AND state = ?",
        [
            attempt.state.value, attempt.error, attempt.time,
            attempt.alert_id, attempt.channel, DeliveryState.PENDING.value,
        ],
    )  # fmt: skip


def next_pending(store: Store, channel: str, *, in_order: bool, limit: int) -> list[Pending]:
    """Return the deliveries whose turn is next, first to last.

    Parameters
    ----------
    limit
        Most deliveries returned.
    in_order
        Strictly the oldest alert first; else those tried less often pass
        the others, so that one alert a receiver chokes on holds up none.
    """
    # Alert ids sort by time.
    order = "alert_id" if in_order else "attempts, alert_id"
    rows = store.query(
        f"""SELECT {_ALERT}, next.attempts FROM (
            SELECT alert_id, attempts FROM delivery WHERE channel = ? AND state = 'pending'
            ORDER BY {order} LIMIT ?) AS next JOIN alert ON alert.id = next.alert_id
            ORDER BY {order}""",  # noqa: S608
        [channel, limit],
    ).to_pylist()
    return [Pending(_alert(row), row["attempts"]) for row in rows]


def list_alerts(
    store: Store,
    *,
    limit: int,
    severities: Sequence[str] = (),
    since: int = 0,
    hidden: Callable[[list[str], list[str], list[int]], Sequence[bool]] | None = None,
) -> list[StoredAlert]:
    """Return alerts, newest first.

    Parameters
    ----------
    limit
        Most alerts returned.
    severities
        Only those of these severities; empty for all.
    since
        Only those raised at or after this wall time, ns.
    hidden
        Tells which rows of sources, destinations and destination ports to
        leave out (the whitelist).
    """
    found: list[StoredAlert] = []
    offset = 0
    while len(found) < limit:
        page = min(limit, _PAGE)
        rows = store.query(
            f"""SELECT {_ALERT} FROM alert
            WHERE time >= $1 AND (len($2::VARCHAR[]) = 0 OR list_contains($2::VARCHAR[], severity))
            ORDER BY time DESC, id DESC LIMIT $3 OFFSET $4""",  # noqa: S608
            [since, list(severities), page, offset],
        ).to_pylist()
        found += _with_deliveries(store, _visible([_alert(row) for row in rows], hidden))
        offset += page
        if len(rows) < page:
            break
    return found[:limit]


def count_alerts(store: Store) -> int:
    """Return the number of alerts kept."""
    return int(store.query("SELECT count(*) AS alerts FROM alert").to_pylist()[0]["alerts"])


def channel_totals(store: Store) -> dict[str, ChannelTotals]:
    """Return the totals of each channel that has deliveries."""
    rows = store.query(
        """SELECT channel,
            count(*) FILTER (state = 'delivered') AS delivered,
            count(*) FILTER (state = 'pending') AS pending,
            count(*) FILTER (state = 'failed') AS failed,
            coalesce(max(updated) FILTER (state = 'delivered'), 0) AS last_delivery,
            coalesce(max(updated) FILTER (last_error <> ''), 0) AS last_failure,
            coalesce(arg_max(last_error, updated) FILTER (last_error <> ''), '') AS last_error
        FROM delivery GROUP BY channel"""
    ).to_pylist()
    return {
        row["channel"]: ChannelTotals(
            delivered=row["delivered"],
            pending=row["pending"],
            failed=row["failed"],
            last_error=row["last_error"] if row["last_failure"] >= row["last_delivery"] else "",
            last_delivery=row["last_delivery"],
        )
        for row in rows
    }


def expire(connection: duckdb.DuckDBPyConnection, before: int) -> Expired:
    """Delete alerts raised before a wall time (ns), with deliveries, and memories as old."""
    undelivered = connection.execute(
        "SELECT count(*) FROM delivery JOIN alert ON alert.id = delivery.alert_id"
        " WHERE alert.time < ? AND delivery.state = 'pending'",
        [before],
    ).fetchall()[0][0]
    connection.execute(
        "DELETE FROM delivery WHERE alert_id IN (SELECT id FROM alert WHERE time < ?)", [before]
    )
    alerts = connection.execute("DELETE FROM alert WHERE time < ?", [before]).fetchall()[0][0]
    connection.execute("DELETE FROM alert_memory WHERE greatest(told_at, last_seen) < ?", [before])
    return Expired(alerts, undelivered)


def _memory_columns() -> list[str]:
    return [field.name for field in fields(Memory)]


def _values(row: Alert | Memory) -> tuple[Any, ...]:
    return tuple(getattr(row, field.name) for field in fields(row))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows in one statement (one a row takes a millisecond each)."""
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    values = ", ".join("unnest(?)" for _ in columns)
    connection.execute(f"INSERT INTO {table} SELECT {values}", columns)


def _alert(row: Mapping[str, Any]) -> Alert:
    values = {field.name: row[field.name] for field in fields(Alert)}
    return Alert(**values | {"kind": AlertKind(row["kind"])})


def _visible(
    alerts: list[Alert],
    hidden: Callable[[list[str], list[str], list[int]], Sequence[bool]] | None,
) -> list[Alert]:
    """Return the alerts that are not hidden."""
    if hidden is None or not alerts:
        return alerts
    documents = [json.loads(alert.document) for alert in alerts]
    flags = hidden(
        [document["src_ip"] for document in documents],
        [document["dst_ip"] for document in documents],
        [document["dst_port"] for document in documents],
    )
    return [alert for alert, flag in zip(alerts, flags, strict=True) if not flag]


def _with_deliveries(store: Store, alerts: list[Alert]) -> list[StoredAlert]:
    if not alerts:
        return []
    deliveries: defaultdict[str, list[Delivery]] = defaultdict(list)
    rows = store.query(
        "SELECT alert_id, channel, state, attempts, last_error FROM delivery"
        " WHERE alert_id IN (SELECT unnest(?)) ORDER BY channel",
        [[alert.id for alert in alerts]],
    ).to_pylist()
    for row in rows:
        deliveries[row["alert_id"]].append(
            Delivery(
                row["channel"], DeliveryState(row["state"]), row["attempts"], row["last_error"]
            )
        )
    return [StoredAlert(alert, tuple(deliveries[alert.id])) for alert in alerts]
