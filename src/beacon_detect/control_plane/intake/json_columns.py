"""From parsed JSON columns to a record table: units, names, addresses, defaults.

Each field is declared once, in :data:`FIELDS`. Numbers are parsed as decimals,
so that nanoseconds and 64-bit ids keep every digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.control_plane.intake import json_values as read
from beacon_detect.control_plane.intake.checks import BOUNDS, check_numbers
from beacon_detect.control_plane.intake.faults import Faults
from beacon_detect.records import (
    Direction,
    Kind,
    Origin,
    Outcome,
    Protocol,
    hash_words,
    pair_ids,
    record_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

_PORTLESS = (Protocol.ICMP, Protocol.ICMPV6)


class Form(Enum):
    """How a field is written in a body, and so how it is parsed."""

    TEXT = "text"
    WHOLE = "a whole number"
    SECONDS = "seconds"
    INEXACT = "a number"
    """Any number, at the precision of a double."""

    def arrow_type(self) -> pa.DataType:
        """Return the type that PyArrow parses it to."""
        import pyarrow as pa

        if self is Form.TEXT:
            return pa.string()
        if self is Form.INEXACT:
            # More digits than any sender has; read with the precision of a double.
            return pa.decimal256(76, 30)
        return pa.decimal128(38, 9 if self is Form.SECONDS else 0)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a JSON record."""

    read: Callable[[str, pa.Array, Faults], Any]
    """Makes values of a parsed column."""
    forms: tuple[Form, ...] = (Form.WHOLE,)
    """How it may be written; the first where the body does not tell."""
    default: int = 0
    """Value of records that lack it."""
    required: bool = False


_AS_TEXT = Field(read.text, (Form.TEXT,))
_AS_ADDRESS = Field(read.address, (Form.TEXT,), required=True)
_AS_NUMBER = Field(read.whole)
_AS_ID = Field(read.unsigned)
_NUMBER_OR_NAME = (Form.WHOLE, Form.TEXT)
_TIME_FORMS = (Form.SECONDS, Form.TEXT)

FIELDS: dict[str, Field] = {
    "kind": Field(read.named(Kind), _NUMBER_OR_NAME, default=Kind.CONNECTION),
    "connection_id": _AS_ID,
    "time": Field(read.time, _TIME_FORMS, required=True),
    "series_time": Field(read.time, _TIME_FORMS),
    "src": _AS_ADDRESS,
    "dst": _AS_ADDRESS,
    "src_port": _AS_NUMBER,
    "dst_port": _AS_NUMBER,
    "protocol": Field(read.named(Protocol), _NUMBER_OR_NAME, required=True),
    "duration": Field(read.seconds, (Form.SECONDS,)),
    "bytes_out": _AS_NUMBER,
    "bytes_in": _AS_NUMBER,
    "packets_out": _AS_NUMBER,
    "packets_in": _AS_NUMBER,
    "tcp_flags_out": _AS_NUMBER,
    "tcp_flags_in": _AS_NUMBER,
    "outcome": Field(read.named(Outcome), _NUMBER_OR_NAME),
    "origin": Field(read.named(Origin), _NUMBER_OR_NAME),
    "direction": Field(read.named(Direction), _NUMBER_OR_NAME),
    "pid": _AS_NUMBER,
    "uid": _AS_NUMBER,
    "cgroup": _AS_ID,
    "process": _AS_TEXT,
    "executable": _AS_TEXT,
    "container": _AS_TEXT,
    "name": _AS_TEXT,
}
"""The fields of a JSON record: the columns of a record table, by name."""


def record_table(parsed: pa.Table) -> pa.Table:
    """Return the record table of parsed JSON columns, named as in :data:`FIELDS`.

    Raises
    ------
    RecordFaultsError
        Names each record and field at fault.
    """
    import pyarrow as pa

    faults = Faults()
    values: dict[str, Any] = {}
    absent: dict[str, NDArray[np.bool_]] = {}
    for name, field in FIELDS.items():
        column = _column(parsed, name, field)
        absent[name] = np.asarray(column.is_null())
        values[name] = _with_default(name, field, column, absent[name], faults)
    missing = absent["dst_port"] & ~np.isin(values["protocol"], _PORTLESS)
    faults.add("dst_port", np.flatnonzero(missing), lambda _row: "is missing")
    faults.raise_any()
    if absent["series_time"].any():
        values["series_time"] = np.where(
            absent["series_time"], values["time"], values["series_time"]
        )
    if absent["connection_id"].any():
        values["connection_id"] = np.where(
            absent["connection_id"], _connection_ids(values), values["connection_id"]
        )
    return pa.Table.from_arrays(
        [_arrow(values[field.name], field.type) for field in record_schema()],
        schema=record_schema(),
    )


def _column(parsed: pa.Table, name: str, field: Field) -> pa.Array:
    import pyarrow as pa

    if name in parsed.column_names:
        return parsed.column(name).combine_chunks()
    return pa.nulls(parsed.num_rows, field.forms[0].arrow_type())


def _with_default(
    name: str, field: Field, column: pa.Array, absent: NDArray[np.bool_], faults: Faults
) -> Any:
    """Return a column's values with the default where they are absent, all within bounds."""
    if field.required:
        faults.add(name, np.flatnonzero(absent), lambda _row: "is missing")
    values = field.read(name, column, faults)
    if field.forms == (Form.TEXT,):
        return values
    if absent.any():
        values = np.where(absent, values.dtype.type(field.default), values)
    if name in BOUNDS:
        check_numbers(faults, name, values, BOUNDS[name])
    return values


def _connection_ids(values: dict[str, Any]) -> NDArray[np.uint64]:
    """Return ids for records without one: of the endpoints, and of the time where it is whole.

    Separate START, UPDATE and END records of a connection get the same id that way.
    """
    src, dst = (values[side].view(np.uint8).reshape(-1, 16) for side in ("src", "dst"))
    pairs = pair_ids(src, dst, values["dst_port"], values["protocol"])
    start = np.where(values["kind"] == Kind.CONNECTION, values["time"], 0)
    return hash_words(pairs, values["src_port"], start)


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_fixed_size_binary(kind):
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
    if pa.types.is_dictionary(kind):
        return values
    return pa.array(values.astype(kind.to_pandas_dtype(), copy=False), kind)
