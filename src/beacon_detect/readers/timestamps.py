"""Times of files to int64 nanoseconds: epoch numbers of any unit, and dates in text.

Text without a time zone is taken as UTC, as Zeek, Argus and nfdump (with
``TZ=UTC``) write it. Limit: epoch seconds as floating point hold microseconds
only, so they are rounded to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.dates import dates_to_ns

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_EARLIEST = -9.2e9
_LATEST = 9.2e9
"""Epoch seconds that fit in int64 nanoseconds (years 1678 to 2262)."""


def seconds_to_ns(seconds: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return nanoseconds of floating-point seconds, and which rows hold a usable value."""
    with np.errstate(invalid="ignore"):
        valid = (seconds > _EARLIEST) & (seconds < _LATEST)
    clean = np.where(valid, seconds, 0.0)
    return np.rint(clean * 1e6).astype(np.int64) * 1000, valid


def floats(column: pa.Array) -> NDArray[np.float64]:
    """Return a numeric column as floats, NaN where it is missing."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    numbers: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return numbers.astype(np.float64, copy=False)


def durations_to_ns(column: pa.Array) -> NDArray[np.int64]:
    """Return nanoseconds of a column of seconds; missing and negative ones are 0."""
    return np.maximum(seconds_to_ns(floats(column))[0], 0)


def epoch_to_ns(numbers: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return nanoseconds of epoch times in seconds, ms, µs or ns, told apart by their size."""
    finite = numbers[np.isfinite(numbers)]
    largest = float(np.median(np.abs(finite))) if len(finite) else 0.0
    for limit, unit in ((1e11, 1.0), (1e14, 1e-3), (1e17, 1e-6)):
        if largest < limit:
            return seconds_to_ns(numbers * unit)
    return seconds_to_ns(numbers * 1e-9)


def text_to_ns(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return nanoseconds of times in text: ISO 8601 at once, other shapes by :mod:`dates`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    if len(column) and (column[0].as_py() or "")[4:5] == "/":  # Argus
        column = pc.replace_substring(column, "/", "-", max_replacements=2)
    for zone in ("UTC", None):
        try:
            moments = column.cast(pa.timestamp("ns", zone))
        except pa.ArrowInvalid:
            continue
        valid = pc.is_valid(moments).to_numpy(zero_copy_only=False)
        numbers = pc.fill_null(moments.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        return numbers, valid
    return dates_to_ns(column)
