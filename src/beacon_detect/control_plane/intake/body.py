"""Decodes request bodies into (header, record table): the border between HTTP and columns.

Pure: no clock, no store, no network. Whatever comes in, either a table comes
out in which every record is valid, or a DataError that says what to mend.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from beacon_detect.control_plane.intake.arrow_body import decode_arrow
from beacon_detect.control_plane.intake.checks import check_table
from beacon_detect.control_plane.intake.compression import decompress
from beacon_detect.control_plane.intake.faults import UnsupportedBodyError
from beacon_detect.control_plane.intake.json_body import decode_batch, decode_ndjson
from beacon_detect.wire import ARROW_CONTENT_TYPE, BatchHeader, check_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

SENSOR_FIELD = "beacon-sensor"
BATCH_FIELD = "beacon-batch"
DEFAULT_SENSOR = "api"
"""Sensor of JSON batches that name none."""

JSON_CONTENT_TYPE = "application/json"
NDJSON_CONTENT_TYPES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)


def decode_body(
    body: bytes,
    *,
    content_type: str,
    content_encoding: str = "",
    fields: Mapping[str, str],
    max_bytes: int,
) -> tuple[BatchHeader, pa.Table]:
    """Return the header and the records of a request body.

    Parameters
    ----------
    body
        As received.
    content_type, content_encoding
        Values of the HTTP fields; parameters of the content type are ignored.
    fields
        HTTP fields by lower-case name; ``beacon-sensor`` and ``beacon-batch``
        name sensor and batch of NDJSON bodies (and of JSON bodies that do not).
        A batch without an id gets one of its content, so the same body sent
        twice is counted once.
    max_bytes
        Largest body, before and after decompression.

    Raises
    ------
    UnsupportedBodyError, BodyTooLargeError, RecordFaultsError
    DataError
        The body is not of its type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {ARROW_CONTENT_TYPE, JSON_CONTENT_TYPE, *NDJSON_CONTENT_TYPES}:
        raise UnsupportedBodyError(
            f"the content type {content_type[:60]!r} is not understood",
            hint=f"send {ARROW_CONTENT_TYPE}, application/x-ndjson or {JSON_CONTENT_TYPE}",
        )
    plain = decompress(body, content_encoding, max_bytes)
    if kind == ARROW_CONTENT_TYPE:
        return decode_arrow(plain, max_bytes)
    sensor, batch = fields.get(SENSOR_FIELD, ""), fields.get(BATCH_FIELD, "")
    if kind == JSON_CONTENT_TYPE:
        own_sensor, own_batch, table = decode_batch(plain)
        sensor, batch = own_sensor or sensor, own_batch or batch
    else:
        table = decode_ndjson(plain)
    check_table(table, max_bytes)
    batch = batch or hashlib.sha256(plain).hexdigest()[:32]
    return check_header(BatchHeader(sensor=sensor or DEFAULT_SENSOR, batch=batch)), table
