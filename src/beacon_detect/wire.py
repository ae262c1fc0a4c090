"""The telemetry batch on the wire: an Arrow IPC stream whose schema carries the batch header.

The header names the sensor and the batch (so that a re-sent one is counted
once) and carries the sensor's cumulative losses by reason.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from beacon_detect.errors import DataError
from beacon_detect.records import record_schema

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_CONTENT_TYPE = "application/vnd.apache.arrow.stream"
HEADER_KEY = b"beacon_detect.batch"
MAX_IDENTIFIER_LENGTH = 128


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """Who sent a batch, which one it is, and what the sensor has lost so far."""

    sensor: str
    """Name of the sensor, unique among those of one control plane."""
    batch: str
    """Id of the batch, unique per sensor (a ULID, so that it sorts by time)."""
    boot: str = ""
    """Boot id of the sensor's machine; series clocks are comparable within one."""
    mode: str = ""
    """``host`` or ``gateway``."""
    losses: dict[str, int] = field(default_factory=dict)
    """Records lost since the sensor started, by reason (cumulative)."""
    session: str = ""
    """Id of the sensor's run; losses count from its start."""


def encode_batch(table: pa.Table, header: BatchHeader) -> bytes:
    """Return the zstd-compressed Arrow IPC stream of ``table`` (schema: ``record_schema``)."""
    import pyarrow as pa

    schema = record_schema().with_metadata(_header_metadata(header))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", unify_dictionaries=True)
    with pa.ipc.new_stream(sink, schema, options=options) as out:
        out.write_table(table)
    return bytes(sink.getvalue())


class BatchEncoder:
    """Encodes a batch piece by piece, so that a large one is never held uncompressed.

    What :meth:`finish` returns reads like the result of :func:`encode_batch`,
    with one Arrow record batch a piece.
    """

    def __init__(self) -> None:
        import pyarrow as pa

        self.records = 0
        self._sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._sink, record_schema(), options=options)

    def write(self, piece: pa.RecordBatch) -> None:
        """Append records (schema: ``record_schema``)."""
        self._writer.write_batch(piece)
        self.records += piece.num_rows

    def finish(self, header: BatchHeader) -> bytes:
        """Return the batch under ``header``; the encoder is used up."""
        self._writer.close()
        stream = memoryview(self._sink.getvalue())
        # The header belongs to the schema at the front but tells losses up to the end: an
        # encapsulated schema message (Arrow columnar format, IPC) is exchanged for another.
        plain = memoryview(record_schema().serialize())
        if stream[: len(plain)] != plain:
            raise RuntimeError("this version of PyArrow does not begin a stream with its schema")
        front = record_schema().with_metadata(_header_metadata(header)).serialize()
        return b"".join((front, stream[len(plain) :]))


def _header_metadata(header: BatchHeader) -> dict[bytes, bytes]:
    return {HEADER_KEY: json.dumps(asdict(header), separators=(",", ":")).encode()}


def parse_header(text: bytes) -> BatchHeader:
    """Return the header in ``text`` (JSON); DataError when it is not one."""
    try:
        raw = json.loads(text)
        header = BatchHeader(
            sensor=str(raw["sensor"]),
            batch=str(raw["batch"]),
            boot=str(raw.get("boot", "")),
            mode=str(raw.get("mode", "")),
            losses={str(k): int(v) for k, v in dict(raw.get("losses", {})).items()},
            session=str(raw.get("session", "")),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"the batch header is not valid: {error}") from error
    return check_header(header)


def check_header(header: BatchHeader) -> BatchHeader:
    """Return ``header`` when its identifiers are usable, else raise DataError."""
    for name in ("sensor", "batch"):
        value = getattr(header, name)
        if not value or len(value) > MAX_IDENTIFIER_LENGTH or not value.isprintable():
            raise DataError(
                f"the batch header's {name!r} must be 1 to {MAX_IDENTIFIER_LENGTH}"
                f" printable characters, not {value[:40]!r}"
            )
    return header
