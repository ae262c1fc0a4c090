"""Makes record tables and batch headers for tests: say what matters, the rest is plausible.

Shared by all tests of the control plane; not a test itself.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from beacon_detect.records import (
    SECOND,
    Kind,
    Protocol,
    hash_words,
    pack_address,
    record_schema,
    unpack_address,
)
from beacon_detect.wire import BatchHeader

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE_TIME = 1_790_000_000 * SECOND
"""Wall time of the first record where a test names none (September 2026)."""

_numbers = itertools.count()

DEFAULTS: dict[str, Any] = {
    "kind": Kind.CONNECTION,
    "src": "10.0.0.5",
    "dst": "203.0.113.7",
    "src_port": 40_000,
    "dst_port": 443,
    "protocol": Protocol.TCP,
    "duration": SECOND // 10,
    "bytes_out": 100,
    "bytes_in": 200,
    "packets_out": 3,
    "packets_in": 4,
    "pid": 4711,
    "process": "curl",
    "executable": "/usr/bin/curl",
}


def make_records(count: int = 0, *, interval: float = 60.0, **columns: Any) -> pa.Table:
    """Return a record table of ``record_schema``.

    Parameters
    ----------
    count
        Rows; may be left away when a column is given as a sequence.
    interval
        Seconds between the rows where ``time`` is not given.
    **columns
        Values by column name, one for all rows or one a row. ``time``,
        ``series_time`` and ``duration`` in nanoseconds; ``series_time`` is
        ``time`` unless given; addresses and texts as ``str``.
    """
    count = count or next((len(v) for v in columns.values() if _is_sequence(v)), 1)
    steps = np.rint(np.arange(count) * interval * SECOND).astype(np.int64)
    columns.setdefault("time", BASE_TIME + steps)
    columns.setdefault("series_time", columns["time"])
    columns.setdefault("connection_id", _connection_ids(count))
    arrays = [
        _column(columns.pop(field.name, DEFAULTS.get(field.name)), field.type, count)
        for field in record_schema()
    ]
    assert not columns, f"unknown columns {sorted(columns)}"
    return pa.Table.from_arrays(arrays, schema=record_schema())


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the records as a JSON sender would write them, without loss of digits."""
    rows = table.to_pylist()
    for row in rows:
        for name in ("time", "series_time"):
            full, fraction = divmod(row[name], SECOND)
            moment = datetime.fromtimestamp(full, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            row[name] = f"{moment}.{fraction:09d}Z"
        row["duration"] = f"{row['duration'] // SECOND}.{row['duration'] % SECOND:09d}"
        for name in ("src", "dst"):
            row[name] = unpack_address(row[name])
    return rows


def make_header(sensor: str = "sensor-1", batch: str = "", **fields: Any) -> BatchHeader:
    """Return a batch header; the batch id is new in each call unless given."""
    return BatchHeader(sensor=sensor, batch=batch or f"batch-{next(_numbers):06d}", **fields)


def _connection_ids(count: int) -> np.ndarray[Any, Any]:
    first = next(_numbers) << 32
    return hash_words(np.arange(first, first + count, dtype=np.uint64))


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _column(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    rows: Sequence[Any] = value if _is_sequence(value) else [value] * count
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([pack_address(v) for v in rows], kind)
    if pa.types.is_dictionary(kind):
        return pa.array([v or "" for v in rows], pa.string()).dictionary_encode()
    return pa.array(np.array([v or 0 for v in rows], kind.to_pandas_dtype()), kind)
