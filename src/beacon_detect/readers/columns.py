"""From loose columns of a file (texts, numbers) to Arrow tables of records.

Text is converted once per distinct value and gathered by code, so that a
million rows cost a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.records import (
    Kind,
    Outcome,
    address_words,
    hash_words,
    record_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51,
    "icmp6": 58, "icmpv6": 58, "ipv6-icmp": 58, "ipv6_icmp": 58, "ospf": 89, "pim": 103,
    "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Names of IP protocols in logs -> number (IANA); what has no addresses (ARP, LLDP) is not here."""

NO_ADDRESS = bytes(16)
_NOT_A_PROTOCOL = 255


@cache
def name_schema() -> pa.Schema:
    """Return the schema of names seen for a destination.

    ``dst_port`` and ``protocol`` 0 mean any (a DNS answer); ``time`` in ns.
    ``connection_id`` is the record's that the name belongs to, 0 where the
    format does not say; with it, an all-zero ``dst`` means that only it tells.
    """
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    columns = [
        ("time", pa.int64()), ("src", pa.binary(16)), ("dst", pa.binary(16)),
        ("dst_port", pa.uint16()), ("protocol", pa.uint8()), ("connection_id", pa.uint64()),
        ("name", text),
    ]  # fmt: skip
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def coded(column: pa.Array) -> tuple[NDArray[np.int32], pa.Array]:
    """Return each row's code and the distinct values of a text column; null has the last code."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no chunk at all
            column = pa.array([], pa.string())
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    values, indices = column.dictionary, column.indices
    if indices.null_count:
        indices = pc.fill_null(indices, pa.scalar(len(values), indices.type))
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    return indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), values


def distinct(column: pa.Array) -> tuple[NDArray[np.int32], list[str | None]]:
    """Return each row's code and the distinct values of a text column (null is one of them)."""
    codes, values = coded(column)
    texts: list[str | None] = values.to_pylist()
    return codes, texts


def protocol_numbers(column: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return protocol numbers of names or numbers in text, and which rows have one."""
    codes, texts = distinct(column)
    table = np.array([_protocol(text) for text in texts], np.uint8)
    numbers = table[codes] if len(table) else np.zeros(len(codes), np.uint8)
    return numbers, numbers != _NOT_A_PROTOCOL


def _protocol(text: str | None) -> int:
    name = (text or "").strip().lower()
    if name.isdecimal() and int(name) < _NOT_A_PROTOCOL:
        return int(name)
    return PROTOCOLS.get(name, _NOT_A_PROTOCOL)


def mapped(column: pa.Array, table: Mapping[str, int], default: int) -> NDArray[np.uint8]:
    """Return the code of each row's text by ``table``."""
    codes, texts = distinct(column)
    values = np.array([table.get(text or "", default) for text in texts], np.uint8)
    return values[codes] if len(values) else np.zeros(len(codes), np.uint8)


def integers(column: pa.Array, default: int = 0) -> NDArray[np.int64]:
    """Return a numeric column as integers, ``default`` where it is missing or no finite number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        column = pc.fill_null(column, default)
    numbers = column.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f":
        numbers = np.where(np.abs(numbers) < 9.2e18, numbers, default)
    whole: NDArray[np.int64] = numbers.astype(np.int64, copy=False)
    return whole


def counts(column: pa.Array) -> NDArray[np.int64]:
    """Return byte or packet counts: missing and negative ones are 0."""
    return np.maximum(integers(column), 0)


@dataclass(slots=True)
class Flows:
    """One row per connection or burst, as a format gives it; what it lacks stays None."""

    time: NDArray[np.int64]
    src: NDArray[np.uint8]
    dst: NDArray[np.uint8]
    dst_port: NDArray[Any]
    protocol: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    src_port: NDArray[Any] | None = None
    duration: NDArray[np.int64] | None = None
    bytes_out: NDArray[np.int64] | None = None
    bytes_in: NDArray[np.int64] | None = None
    packets_out: NDArray[np.int64] | None = None
    packets_in: NDArray[np.int64] | None = None
    tcp_flags_out: NDArray[np.uint8] | None = None
    tcp_flags_in: NDArray[np.uint8] | None = None
    outcome: NDArray[np.uint8] | None = None
    origin: NDArray[np.uint8] | None = None
    connection_id: NDArray[np.uint64] | None = None
    name: pa.Array | None = None
    kind: NDArray[np.uint8] | int = Kind.CONNECTION


_DEFAULTS: dict[str, int] = {"outcome": Outcome.UNKNOWN}


def record_table(flows: Flows) -> pa.Table:
    """Return the valid rows as a record table."""
    import pyarrow as pa

    schema = record_schema()
    rows = None if flows.valid.all() else np.flatnonzero(flows.valid)
    count = len(flows.time) if rows is None else len(rows)
    arrays = []
    for column in schema:
        value = getattr(flows, "time" if column.name == "series_time" else column.name, None)
        if column.name == "connection_id" and value is None:
            value = connection_ids(flows, flows.time)
        if value is None or isinstance(value, int):
            arrays.append(_constant(column.type, value or _DEFAULTS.get(column.name, 0), count))
        elif isinstance(value, np.ndarray):
            arrays.append(
                _array(value if rows is None else np.take(value, rows, axis=0), column.type)
            )
        else:
            arrays.append(_text(value if rows is None else value.take(pa.array(rows))))
    return pa.Table.from_arrays(arrays, schema=schema)


def name_table(
    time: NDArray[np.int64],
    src: NDArray[np.uint8],
    dst: NDArray[np.uint8],
    name: pa.Array,
    *,
    dst_port: NDArray[Any] | None = None,
    protocol: NDArray[Any] | None = None,
    connection_id: NDArray[np.uint64] | None = None,
) -> pa.Table:
    """Return names seen as a table of :func:`name_schema`; what is not given is 0."""
    import pyarrow as pa

    schema = name_schema()
    count = len(time)
    ports = np.zeros(count, np.uint16) if dst_port is None else dst_port
    protocols = np.zeros(count, np.uint8) if protocol is None else protocol
    ids = np.zeros(count, np.uint64) if connection_id is None else connection_id
    columns = (time, src, dst, ports, protocols, ids)
    arrays = [_array(v, schema.field(i).type) for i, v in enumerate(columns)]
    return pa.Table.from_arrays([*arrays, _text(name)], schema=schema)


def _array(value: NDArray[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_fixed_size_binary(kind):
        flat = np.ascontiguousarray(value)
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])
    return pa.array(value.astype(kind.to_pandas_dtype(), copy=False))


def _text(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(pc.fill_null(column, ""))
    return column.cast(pa.dictionary(pa.int32(), pa.string()))


def _constant(kind: pa.DataType, value: int, count: int) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        codes = pa.array(np.zeros(count, np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array([""], pa.string()))
    return pa.array(np.full(count, value, kind.to_pandas_dtype()))


def connection_ids(flows: Flows, start: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return an id per row from what tells connections apart: addresses, ports, start (ns)."""
    src_port = np.zeros(len(start), np.int64) if flows.src_port is None else flows.src_port
    ports = src_port.astype(np.uint64) << np.uint64(16) | flows.dst_port.astype(np.uint64)
    ends = address_words(flows.src)[1] << np.uint64(32) ^ address_words(flows.dst)[1]
    # Two words instead of seven: this column alone would take a fifth of the time of a row.
    return hash_words(start, ends ^ ports << np.uint64(8))


def text_hashes(column: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each text, 0 where there is none.

    The first 64 bytes count, which is more than any log's connection ids have.
    Word by word over all rows, because Python's own hash of a million strings
    would cost as much as reading them.
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.string())
    if not len(column):
        return np.zeros(0, np.uint64)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: len(column) + 1]
    bounds = offsets.astype(np.int64)
    text = np.zeros(int(bounds[-1]) + 8, np.uint8)
    text[:-8] = np.frombuffer(column.buffers()[2] or b"", np.uint8)[: bounds[-1]]
    # Every eight bytes of the text, wherever they begin.
    words = np.ndarray((len(text) - 7,), np.dtype("<u8"), text, strides=(1,))
    lengths = np.diff(bounds)
    state = lengths.astype(np.uint64)
    for start in range(0, min(int(lengths.max()), _HASHED_BYTES), 8):
        kept = np.clip(lengths - start, 0, 8)
        word = words[np.minimum(bounds[:-1] + start, len(words) - 1)] & _LOW_BYTES[kept]
        state = (state ^ word) * np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
    given = lengths > 0
    if column.null_count:
        given &= column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(given, state | np.uint64(1), np.uint64(0))


_HASHED_BYTES = 64
_LOW_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


def drop_invalid(
    checks: dict[str, NDArray[np.bool_]],
    lines: Callable[[], NDArray[np.int64]],
    label: str,
    problems: Problems,
) -> NDArray[np.bool_]:
    """Return the rows that pass every check; count the others by the first check they fail."""
    valid: NDArray[np.bool_] | None = None
    for reason, passed in checks.items():
        if valid is None:
            valid = np.ones(len(passed), bool)
        failed = np.flatnonzero(valid & ~passed)
        if len(failed):
            place, numbers = int(failed[0]), lines()
            where = f"{label}:{numbers[place]}" if place < len(numbers) else label
            problems.note(reason, where, len(failed))
        valid &= passed
    return valid if valid is not None else np.ones(0, bool)
