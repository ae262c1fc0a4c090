"""Readers of JSON values, a column at a time: numbers, seconds, times, names and addresses.

Each takes a column as PyArrow parsed it and returns NumPy values, noting faults
by row. Text is looked at once for each distinct value, not for each record;
rows where the value is absent hold anything (the caller fills in the default).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.control_plane.intake.faults import MAX_FAULTS, shown
from beacon_detect.records import SECOND, pack_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.control_plane.intake.faults import Faults

_INT64 = np.iinfo(np.int64)
_MAX_SECONDS = _INT64.max // SECOND
_packed = lru_cache(maxsize=65_536)(pack_address)


def whole(name: str, column: pa.Array, faults: Faults) -> NDArray[np.int64]:
    """Read integers that fit 64 bits, sign included."""
    if _is_exact(column):
        low, high = _words(column)
        values = low.view(np.int64)
        bad = high != values >> 63
    else:
        floats = _floats(column)
        bad = ~(np.abs(floats) < 2.0**63) | (floats != np.floor(floats))
        values = np.where(bad, 0.0, floats).astype(np.int64)
    _note(name, column, bad, faults, "a whole number of 64 bits")
    return values


def unsigned(name: str, column: pa.Array, faults: Faults) -> NDArray[np.uint64]:
    """Read integers from 0 to 2**64 - 1."""
    if _is_exact(column):
        values, high = _words(column)
        bad = high != 0
    else:
        floats = _floats(column)
        bad = ~((floats >= 0) & (floats < 2.0**64)) | (floats != np.floor(floats))
        values = np.where(bad, 0.0, floats).astype(np.uint64)
    _note(name, column, bad, faults, "a whole number from 0 to 2**64 - 1")
    return values


def seconds(name: str, column: pa.Array, faults: Faults) -> NDArray[np.int64]:
    """Read seconds with fractions; return nanoseconds."""
    if _is_exact(column):
        low, high = _words(column)
        values = low.view(np.int64)
        bad = high != values >> 63
    else:
        floats = _floats(column)
        bad = ~(np.abs(floats) < _MAX_SECONDS)
        floats = np.where(bad, 0.0, floats)
        full = np.floor(floats)
        values = full.astype(np.int64) * SECOND
        values += np.rint((floats - full) * SECOND).astype(np.int64)
    _note(name, column, bad, faults, "a number of seconds in range")
    return values


def time(name: str, column: pa.Array, faults: Faults) -> NDArray[np.int64]:
    """Read times, as text (RFC 3339) or as seconds since the epoch; return nanoseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return seconds(name, column, faults)
    stamp = pa.timestamp("ns", tz="UTC")
    try:
        stamps = column.cast(stamp)
    except pa.ArrowInvalid:
        # One is not a time; look at them one by one to say which.
        _per_value(name, column, lambda text: pa.scalar(text).cast(stamp).value, faults, "a time")
        return np.zeros(len(column), np.int64)
    return np.asarray(pc.fill_null(stamps.cast(pa.int64()), 0))


def named(
    names: type[IntEnum],
) -> Callable[[str, pa.Array, Faults], NDArray[np.int64]]:
    """Return a reader of numbers that have names, case aside."""
    known = {member.name.lower(): int(member) for member in names}
    meaning = f"a number or one of {', '.join(known)}"

    def code(text: str) -> int:
        key = text.strip().lower()
        if key in known:
            return known[key]
        if not (key.isascii() and key.isdecimal()):
            raise ValueError(key)
        return int(key)

    def read(name: str, column: pa.Array, faults: Faults) -> NDArray[np.int64]:
        import pyarrow as pa

        if not pa.types.is_string(column.type):
            return whole(name, column, faults)
        return _per_value(name, column, code, faults, meaning).astype(np.int64)

    return read


def address(name: str, column: pa.Array, faults: Faults) -> NDArray[np.bytes_]:
    """Read IP addresses; return 16-byte values."""
    values = _per_value(name, column, _packed, faults, "an IP address", absent=bytes(16))
    return values.astype("V16")


def text(name: str, column: pa.Array, faults: Faults) -> pa.Array:  # noqa: ARG001 - one of the readers
    """Read text as a dictionary; absent is empty."""
    import pyarrow.compute as pc

    return pc.fill_null(column, "").dictionary_encode()


def _per_value(
    name: str,
    column: pa.Array,
    parse: Callable[[str], Any],
    faults: Faults,
    meaning: str,
    *,
    absent: Any = 0,
) -> NDArray[Any]:
    """Parse each distinct text once; note the rows of those that raise ValueError."""
    encoded = column.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    parsed = np.full(len(texts) + 1, absent, object)
    bad = np.zeros(len(texts) + 1, np.bool_)
    for position, value in enumerate(texts):
        try:
            parsed[position] = parse(value)
        except (ValueError, OverflowError):
            bad[position] = True
            if bad.sum() > MAX_FAULTS:
                break
    codes = np.asarray(encoded.indices.fill_null(len(texts)))
    rows = np.flatnonzero(bad[codes])
    faults.add(name, rows, lambda row: f"{shown(texts[codes[row]])} is not {meaning}")
    values: NDArray[Any] = parsed[codes]
    return values


def _note(
    name: str, column: pa.Array, bad: NDArray[np.bool_], faults: Faults, meaning: str
) -> None:
    if column.null_count:
        bad = bad & np.asarray(column.is_valid())
    if bad.any():
        faults.add(name, np.flatnonzero(bad), lambda row: f"{column[row].as_py()} is not {meaning}")


def _is_exact(column: pa.Array) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_decimal128(column.type))


def _words(column: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the low and high 64 bits of a column of 128-bit decimals."""
    words = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)
    words = words[column.offset : column.offset + len(column)]
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1]).view(np.int64)


def _floats(column: pa.Array) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0))
