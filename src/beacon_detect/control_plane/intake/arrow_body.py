"""Batches as Arrow IPC streams: the native form, from our own sensors.

The schema must be that of ``records`` by name and type; the header rides in
its metadata. Nothing from the network is trusted: sizes are checked before
decoding, and every buffer, offset and dictionary index after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.control_plane.intake.checks import check_count, check_header, check_table
from beacon_detect.control_plane.intake.faults import BodyTooLargeError
from beacon_detect.control_plane.intake.ipc_sizes import decoded_bytes
from beacon_detect.errors import DataError
from beacon_detect.records import record_schema
from beacon_detect.wire import HEADER_KEY, parse_header

if TYPE_CHECKING:
    import pyarrow as pa

    from beacon_detect.wire import BatchHeader


def decode_arrow(body: bytes, max_bytes: int) -> tuple[BatchHeader, pa.Table]:
    """Return header and records of an Arrow IPC stream.

    Raises
    ------
    DataError
        Not such a stream, or another schema; RecordFaultsError and
        BodyTooLargeError as their names say.
    """
    import pyarrow as pa

    if decoded_bytes(body) > max_bytes:
        raise BodyTooLargeError(
            f"the batch is larger than {max_bytes >> 20} MiB once decompressed",
            hint="send smaller batches, or raise control_plane.max_request_mb",
        )
    try:
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            header = _header(reader.schema)
            _check_schema(reader.schema)
            table = reader.read_all()
        check_count(table.num_rows)
        table = table.select(record_schema().names)
        table.validate(full=True)
    except (OSError, ValueError, pa.ArrowException) as error:  # names may be no UTF-8
        raise DataError(f"the body is not a valid Arrow IPC stream: {error}") from None
    _check_nulls(table)
    check_table(table, max_bytes)
    # The same columns under our own schema: never null, no metadata.
    return header, pa.Table.from_arrays(table.columns, schema=record_schema())


def _header(schema: pa.Schema) -> BatchHeader:
    text = (schema.metadata or {}).get(HEADER_KEY)
    if text is None:
        raise DataError(
            f"the batch has no header: the schema's metadata lack {HEADER_KEY.decode()!r}"
        )
    return check_header(parse_header(text))


def _check_schema(schema: pa.Schema) -> None:
    """Raise DataError naming the first column that is missing, unknown or of another type."""
    wanted = {field.name: field.type for field in record_schema()}
    names = schema.names
    for name in names:
        if name not in wanted or names.count(name) > 1:
            problem = "is not known" if name not in wanted else "is there twice"
            raise DataError(f"column {name[:60]!r} {problem}")
    for name, kind in wanted.items():
        if name not in names:
            raise DataError(f"column {name!r} is missing")
        if schema.field(name).type != kind:
            raise DataError(f"column {name!r} must be {kind}, not {schema.field(name).type}")


def _check_nulls(table: pa.Table) -> None:
    for name in table.column_names:
        column = table.column(name)
        nulls = column.null_count
        for chunk in column.chunks:
            nulls += chunk.dictionary.null_count if hasattr(chunk, "dictionary") else 0
        if nulls:
            raise DataError(f"column {name!r} has nulls; records have none")
