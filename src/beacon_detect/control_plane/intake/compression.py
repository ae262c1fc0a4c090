"""Takes compressed request bodies apart, never past the size that is allowed.

A few kilobytes can decompress to gigabytes; the output is made piece by piece
and given up as soon as it grows too large.
"""

from __future__ import annotations

from beacon_detect.control_plane.intake.faults import BodyTooLargeError, UnsupportedBodyError
from beacon_detect.errors import DataError

_CODECS = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_PIECE_BYTES = 1 << 20


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return the body in plain form.

    Parameters
    ----------
    encoding
        Value of Content-Encoding: empty, ``identity``, ``gzip`` or ``zstd``.
    max_bytes
        Largest size allowed, before and after.

    Raises
    ------
    BodyTooLargeError, UnsupportedBodyError
    DataError
        The body is not what the encoding says.
    """
    name = encoding.strip().lower()
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if name in {"", "identity"}:
        return body
    if name not in _CODECS:
        raise UnsupportedBodyError(
            f"the content encoding {encoding[:40]!r} is not understood",
            hint="send gzip, zstd or no compression",
        )
    return _inflate(body, _CODECS[name], max_bytes)


def _inflate(body: bytes, codec: str, max_bytes: int) -> bytes:
    import pyarrow as pa

    pieces: list[bytes] = []
    total = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while piece := stream.read(_PIECE_BYTES):
                total += len(piece)
                if total > max_bytes:
                    raise _too_large(max_bytes)
                pieces.append(piece)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"the body is not valid {codec}: {error}") from None
    return b"".join(pieces)


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the body is larger than {max_bytes >> 20} MiB, as sent or once decompressed",
        hint="send smaller batches, or raise control_plane.max_request_mb",
    )
