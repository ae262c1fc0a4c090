"""How much memory an Arrow IPC stream will take, read from its metadata before it is decoded.

Buffers may be compressed one by one, each preceded by its claimed size, which
the decoder would allocate unseen. The metadata are flatbuffers (Arrow format,
``Message.fbs``); only the list of buffers is read here. Limit: the verifier of
PyArrow has checked each message before, so a malformed one does not get here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from beacon_detect.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY_TYPES = frozenset({"record batch", "dictionary"})
# Positions of fields in their flatbuffer tables.
_MESSAGE_HEADER = 2
_DICTIONARY_DATA = 1
_BATCH_BUFFERS = 2
_BATCH_COMPRESSION = 3
_NOT_COMPRESSED = -1


def decoded_bytes(body: bytes) -> int:
    """Return the size of all buffers of an IPC stream once decompressed.

    Raises
    ------
    DataError
        The body is not an Arrow IPC stream.
    """
    import pyarrow as pa

    total = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
            if message.type in _BODY_TYPES:
                metadata = message.metadata.to_pybytes()
                total += _message_bytes(metadata, message.type, memoryview(message.body))
    except (OSError, pa.ArrowException, struct.error, IndexError) as error:
        raise DataError(f"the body is not an Arrow IPC stream: {error}") from None
    return total


def _message_bytes(metadata: bytes, kind: str, content: memoryview) -> int:
    message = _root(metadata)
    batch = _table(metadata, message, _MESSAGE_HEADER)
    if batch and kind == "dictionary":
        batch = _table(metadata, batch, _DICTIONARY_DATA)
    if not batch:
        return 0
    if not _field(metadata, batch, _BATCH_COMPRESSION):
        # Plain buffers are used in place.
        return len(content)
    return sum(_claimed(content[start : start + size]) for start, size in _buffers(metadata, batch))


def _claimed(buffer: memoryview) -> int:
    """Return the size a compressed buffer claims to have."""
    if len(buffer) == 0:
        return 0
    size = int(struct.unpack_from("<q", buffer)[0])
    if size == _NOT_COMPRESSED:
        return len(buffer)
    if size < 0:
        raise DataError("the body is not an Arrow IPC stream: a buffer of negative size")
    return size


def _buffers(metadata: bytes, batch: int) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of the buffers of a record batch."""
    place = _field(metadata, batch, _BATCH_BUFFERS)
    if not place:
        return
    vector = place + _unsigned(metadata, place)
    for index in range(_unsigned(metadata, vector)):
        start, size = struct.unpack_from("<qq", metadata, vector + 4 + 16 * index)
        if start < 0 or size < 0:
            raise DataError("the body is not an Arrow IPC stream: a buffer outside of its message")
        yield start, size


def _root(metadata: bytes) -> int:
    return _unsigned(metadata, 0)


def _table(metadata: bytes, table: int, field: int) -> int:
    """Return the position of a table that is a field of another, 0 when absent."""
    place = _field(metadata, table, field)
    return place + _unsigned(metadata, place) if place else 0


def _field(metadata: bytes, table: int, field: int) -> int:
    """Return the position of a field's value, 0 when absent."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    slot = 4 + 2 * field
    if vtable < 0 or slot >= struct.unpack_from("<H", metadata, vtable)[0]:
        return 0
    offset = int(struct.unpack_from("<H", metadata, vtable + slot)[0])
    return table + offset if offset else 0


def _unsigned(metadata: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", metadata, place)[0])
