"""Batches as JSON: NDJSON (one record a line) and the plain batch (one object with ``records``).

Both are parsed into columns by PyArrow; no Python object is made for a record.
Field names, units and defaults are in ``docs/reference/telemetry.md``. Limit: a
field must have the same JSON type in all records of a batch, text or number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from beacon_detect.control_plane.intake.checks import check_count
from beacon_detect.control_plane.intake.explain import explain
from beacon_detect.control_plane.intake.json_columns import FIELDS, Form, record_table
from beacon_detect.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

PEEK_BYTES = 65_536
"""How much of a body is looked at to see which fields are texts in it (times, protocols, …)."""

_NULL_RECORD = re.compile(rb"[\[,]\s*null")
_FRACTION = "requires scale"
_JSON_SPACE = b" \t\r\n"


def decode_ndjson(body: bytes) -> pa.Table:
    """Return the records of an NDJSON body.

    Raises
    ------
    DataError
        Not NDJSON, or unknown fields; RecordFaultsError for records at fault.
    """
    _check_records(body)
    return record_table(_parse(body, nested=False))


def decode_batch(body: bytes) -> tuple[str, str, pa.Table]:
    """Return (sensor, batch, records) of a plain JSON batch; absent identifiers are empty.

    Raises
    ------
    DataError
        Not such a batch, or unknown fields; RecordFaultsError for records at fault.
    """
    _check_records(body)
    check_count(sum(1 for _ in _NULL_RECORD.finditer(body)))
    parsed = _parse(body, nested=True)
    if parsed.num_rows != 1:
        raise DataError("the body must be one JSON object, not several")
    records = parsed.column("records").combine_chunks()
    if not len(records.flatten()):
        raise DataError("the body has no records")
    sensor, batch = (parsed.column(name)[0].as_py() or "" for name in ("sensor", "batch"))
    return sensor, batch, record_table(_flattened(records.flatten()))


def _check_records(body: bytes) -> None:
    """Refuse bodies that are no text, have no records, or would make too many rows."""
    if not body or body.isspace():
        raise DataError("the body has no records")
    if not body.isascii():
        # The parser takes any bytes for text and fails only when they are looked at.
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"the body is not UTF-8 text (byte {error.start})") from None
    # Besides being no record, a null at the very start makes the parser of PyArrow 26 crash.
    if not body.lstrip(_JSON_SPACE).startswith(b"{"):
        raise DataError("the body must be JSON objects: it does not begin with {")
    # Every row costs memory for all its columns, even an empty one: count before parsing.
    check_count(body.count(b"{"))


def _parse(body: bytes, *, nested: bool) -> pa.Table:
    import pyarrow as pa

    start, names = body[:PEEK_BYTES], _seen_fields(body[:PEEK_BYTES])
    exact = True
    while True:
        try:
            return _read(body, {name: _form(name, start, exact) for name in names}, nested=nested)
        except pa.ArrowInvalid as error:
            reason = str(error).removeprefix("JSON parse error: ")
        if len(names) < len(FIELDS):
            # Perhaps a field comes up further down only.
            start, names = body, list(FIELDS)
        elif exact and _FRACTION in reason:
            # More digits than nanoseconds have, or whole numbers written as 443.0.
            exact = False
        else:
            break
    raise explain(body, nested=nested) or DataError(f"the body is not valid JSON: {reason}")


def _seen_fields(start: bytes) -> list[str]:
    """Return the fields to parse: a column costs time for every record even if none has it."""
    return [
        name for name, field in FIELDS.items() if field.required or b'"%s"' % name.encode() in start
    ]


def _form(name: str, start: bytes, exact: bool) -> Form:
    """Return the form in which a field is written, going by the start of the body."""
    allowed = FIELDS[name].forms
    if Form.TEXT in allowed and re.search(rb'"%s"\s*:\s*"' % name.encode(), start):
        return Form.TEXT
    return allowed[0] if exact or allowed[0] is Form.TEXT else Form.INEXACT


def _read(body: bytes, forms: dict[str, Form], *, nested: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.json as pj

    record = pa.schema([(name, form.arrow_type()) for name, form in forms.items()])
    if nested:
        texts: list[tuple[str, Any]] = [("sensor", pa.string()), ("batch", pa.string())]
        schema = pa.schema([*texts, ("records", pa.list_(pa.struct(list(record))))])
    else:
        schema = record
    return pj.read_json(
        pa.BufferReader(body),
        # One block, so that row numbers in messages count from the start of the body.
        read_options=pj.ReadOptions(use_threads=False, block_size=len(body) + 1),
        # Unknown fields are errors; besides, only known shapes are parsed, so that nesting
        # without end meets no recursion.
        parse_options=pj.ParseOptions(
            explicit_schema=schema, newlines_in_values=nested, unexpected_field_behavior="error"
        ),
    )


def _flattened(records: pa.StructArray) -> pa.Table:
    """Return the fields of the records as columns; an absent record has all of them absent."""
    import pyarrow as pa

    names = [field.name for field in records.type]
    return pa.Table.from_arrays(records.flatten(), names=names)
