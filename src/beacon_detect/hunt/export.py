"""The ranked list as JSON, JSON lines and CSV, with a named and stable shape.

Limit: times are text in UTC with microseconds, which is what most logs hold.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from beacon_detect.hunt.ranking import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beacon_detect.hunt.run import Hunt

SCHEMA = "beacon-detect.hunt/1"
_HIDDEN = {"pair", "members"}
_TIMES = {"first_seen", "last_seen"}
_DIGITS = 6
COLUMNS = ("rank", *(field.name for field in fields(Row) if field.name not in _HIDDEN))
"""Keys of a row, in order."""


def iso_time(ns: int) -> str:
    """Return RFC 3339 text in UTC of a wall time in nanoseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def row_object(rank: int, row: Row) -> dict[str, Any]:
    """Return one row as plain values."""
    values: dict[str, Any] = {"rank": rank}
    for name in COLUMNS[1:]:
        value = getattr(row, name)
        if name in _TIMES:
            value = iso_time(value)
        elif name == "reasons":
            value = [asdict(reason) for reason in value]
        elif isinstance(value, float):
            value = round(value, _DIGITS)
        values[name] = value
    return values


def hunt_object(hunt: Hunt, rows: Iterable[Row]) -> dict[str, Any]:
    """Return the whole answer as plain values."""
    collector = hunt.collector
    return {
        "schema": SCHEMA,
        "interrupted": hunt.interrupted,
        "summary": {
            "records": collector.records,
            "outside_time": collector.outside,
            "midstream": collector.midstream,
            "dropped_check_ins": collector.dropped_check_ins,
            "forgotten_pairs": collector.forgotten,
            "dropped_names": collector.names.dropped,
            "pairs": len(collector.pairs),
            "scored": hunt.scored,
            "watching": hunt.watching,
            "allowed": hunt.allowed,
            "listed": len(hunt.rows),
            "why_empty": hunt.why_empty if not hunt.rows else "",
        },
        "files": [
            {
                "file": account.label,
                "format": account.format,
                "records": account.records,
                "problems": account.problems.counts,
                "examples": account.problems.examples,
            }
            for account in hunt.files
        ],
        "unknown_files": list(hunt.unknown),
        "pairs": [row_object(rank, row) for rank, row in enumerate(rows, 1)],
    }


def write_json(hunt: Hunt, rows: Iterable[Row], stream: IO[str]) -> None:
    """Write one JSON object."""
    json.dump(hunt_object(hunt, rows), stream, indent=1)
    stream.write("\n")


def write_jsonl(rows: Iterable[Row], stream: IO[str]) -> None:
    """Write one JSON object a row."""
    for rank, row in enumerate(rows, 1):
        stream.write(json.dumps(row_object(rank, row)) + "\n")


def write_csv(rows: Iterable[Row], stream: IO[str]) -> None:
    """Write a header and one line a row."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rank, row in enumerate(rows, 1):
        values = row_object(rank, row) | {"reasons": "; ".join(map(str, row.reasons))}
        writer.writerow({name: _safe(value) for name, value in values.items()})


def _safe(value: Any) -> Any:
    """Defuse text that a spreadsheet would take for a formula: names come from the network."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value
