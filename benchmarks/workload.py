"""The records that the benchmarks of the control plane send: busy pairs, rare pairs, beacons.

Connections as a sensor tells of them, a START and an END each. Which pair a
connection belongs to follows a power law, as traffic does; process, container
and name depend on the pair. Not a benchmark itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from beacon_detect.records import SECOND, V4_PREFIX, Kind, Outcome, Protocol, record_schema

PAIRS = 50_000
PROCESSES = 40
NAMES = 2_000
EXPONENT = 1.1
"""Of the power law; the busiest pair has about a tenth of the connections."""


def connections(count: int, *, seed: int, first: int, span: int) -> pa.Table:
    """Return the records of ``count // 2`` connections between ``first`` and ``first + span`` (ns)."""
    rng = np.random.default_rng(seed)
    half = count // 2
    start = np.sort(first + rng.integers(0, span, half))
    duration = rng.integers(SECOND // 100, 2 * SECOND, half)
    pair = (rng.zipf(EXPONENT, half) % PAIRS).astype(np.int64)
    out, in_ = rng.integers(100, 5000, half), rng.integers(100, 50_000, half)
    columns = {
        "kind": np.repeat([Kind.START, Kind.END], half),
        "connection_id": np.tile(rng.integers(1, 2**63, half), 2),
        "time": np.concatenate([start, start + duration]),
        "series_time": np.concatenate([start, start + duration]),
        "src": _addresses(np.tile(10 * 2**24 + pair % 500, 2)),
        "dst": _addresses(np.tile(203 * 2**24 + pair, 2)),
        "src_port": np.tile(rng.integers(32_768, 60_999, half), 2),
        "dst_port": np.full(2 * half, 443),
        "protocol": np.full(2 * half, Protocol.TCP),
        "duration": np.concatenate([np.zeros(half, np.int64), duration]),
        "bytes_out": np.concatenate([np.zeros(half, np.int64), out]),
        "bytes_in": np.concatenate([np.zeros(half, np.int64), in_]),
        "packets_out": np.concatenate([np.ones(half, np.int64), out // 500 + 3]),
        "packets_in": np.concatenate([np.zeros(half, np.int64), in_ // 1400 + 3]),
        "outcome": np.repeat([Outcome.UNKNOWN, Outcome.CLOSED], half),
        "direction": np.ones(2 * half),
        "pid": np.tile(1000 + pair % PROCESSES, 2),
        "process": _texts(np.tile(pair, 2), "process-{}", PROCESSES),
        "executable": _texts(np.tile(pair, 2), "/usr/bin/process-{}", PROCESSES),
        "container": _texts(np.tile(pair, 2), "{:012x}", 8),
        "name": _texts(np.tile(pair, 2), "host-{}.example.com", NAMES),
    }
    arrays = [_column(columns.get(field.name), field.type, 2 * half) for field in record_schema()]
    table = pa.Table.from_arrays(arrays, schema=record_schema())
    return table.take(np.argsort(columns["time"], kind="stable"))


def _addresses(numbers: np.ndarray) -> pa.Array:
    rows = np.zeros((len(numbers), 16), np.uint8)
    rows[:, :12] = np.frombuffer(V4_PREFIX, np.uint8)
    rows[:, 12:] = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)
    buffer = pa.py_buffer(rows.tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(numbers), [None, buffer])


def _texts(pair: np.ndarray, form: str, distinct: int) -> pa.Array:
    values = [form.format(number) for number in range(distinct)]
    return pa.DictionaryArray.from_arrays((pair % distinct).astype(np.int32), values)


def _column(values: object, kind: pa.DataType, count: int) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if values is None:
        values = np.zeros(count)
    return pa.array(np.asarray(values).astype(kind.to_pandas_dtype()), kind)
