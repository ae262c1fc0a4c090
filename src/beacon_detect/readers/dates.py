"""Dates and clock times in the shapes that exports write them in, to nanoseconds.

ISO 8601 in all its lengths, day and month as numbers in either order, month
names as of Wireshark, Kibana, web servers and mail. A shape is tried on the rows
that none before it matched. Limit: ``3/4/2024`` alone does not say which is the
day; when no row of a block does, the first is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_SECOND = 1_000_000_000
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?:[.,](?P<fraction>\d{1,9}))?\d*"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?\s*$"
)
_SHORT_CLOCK = r"(?:[T ](?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2}))?(?P<zone>Z)?\s*$"
_NAME = "(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SHAPES = (
    r"^\s*(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})[T ]\s*" + _CLOCK,
    r"^\s*(?P<first>\d{1,2})[-/.](?P<other>\d{1,2})[-/.](?P<year>\d{4}),?[T ]\s*" + _CLOCK,
    rf"^\s*(?:[A-Z][a-z]{{2}}, )?{_NAME} +(?P<day>\d{{1,2}}), (?P<year>\d{{4}}) (?:@ )?" + _CLOCK,
    rf"^\s*(?:[A-Z][a-z]{{2}}, )?(?P<day>\d{{1,2}})[-/ ]{_NAME}[-/ ](?P<year>\d{{4}})[: ]" + _CLOCK,
    r"^\s*(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})" + _SHORT_CLOCK,
)
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip


def dates_to_ns(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return nanoseconds of texts in any of the shapes, and which rows hold a real date."""
    import pyarrow as pa
    import pyarrow.compute as pc

    times, valid = np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    left = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    for shape in _SHAPES:
        if not len(left):
            break
        parts = pc.extract_regex(column.take(pa.array(left)), shape)
        matched = np.flatnonzero(parts.is_valid().to_numpy(zero_copy_only=False))
        if not len(matched):
            continue
        rows = left[matched]
        times[rows], valid[rows] = _moments(parts.take(pa.array(matched)))
        left = np.delete(left, matched)
    return times, valid


def _moments(parts: pa.StructArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the moments of matched parts; which the calendar has."""
    import pyarrow.compute as pc

    given = {field.name for field in parts.type}

    def number(name: str) -> NDArray[np.int64]:
        if name not in given:
            return np.zeros(len(parts), np.int64)
        text = pc.struct_field(parts, name)
        text = pc.if_else(pc.equal(text, ""), "0", text)
        numbers: NDArray[np.int64] = text.cast("int64").to_numpy(zero_copy_only=False)
        return numbers

    year, month, day = number("year"), number("month"), number("day")
    if "name" in given:
        month = _by_text(parts, "name", _MONTHS)
    if "first" in given:
        first, other = number("first"), number("other")
        month_first = bool((first <= 12).all() and (other > 12).any())
        day, month = (other, first) if month_first else (first, other)
    hour, minute, second = number("hour"), number("minute"), number("second")
    if "half" in given:
        half = _by_text(parts, "half", {"am": 1, "AM": 1, "pm": 2, "PM": 2})
        hour = np.where(half > 0, hour % 12 + 12 * (half == 2), hour)
    days, real = _days(year, month, day)
    real &= (hour < 24) & (minute < 60) & (second <= 60)
    fraction = _fraction(parts) if "fraction" in given else 0
    offset = _by_text(parts, "zone", None)
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
    real &= np.abs(seconds) < 9_200_000_000
    seconds = np.where(real, seconds, 0)
    return np.where(real, seconds * _SECOND + fraction, 0), real


def _days(
    year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return days since 1970 and which dates exist."""
    real = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(real, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    begin = months.astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[D]").astype(np.int64) - begin
    return begin + day - 1, real & (day <= length)


def _fraction(parts: pa.StructArray) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    digits = pc.utf8_rpad(pc.struct_field(parts, "fraction"), 9, "0")
    nanoseconds: NDArray[np.int64] = digits.cast("int64").to_numpy(zero_copy_only=False)
    return nanoseconds


def _by_text(parts: pa.StructArray, name: str, table: dict[str, int] | None) -> NDArray[np.int64]:
    """Return a number for each distinct text of a part; without a table, the zone's seconds."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(pc.struct_field(parts, name))
    texts = encoded.dictionary.to_pylist()
    numbers = [zone_seconds(t) if table is None else table.get(t, 0) for t in texts]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = np.array(numbers, np.int64)[codes]
    return found


def zone_seconds(zone: str) -> int:
    """Return the seconds that a zone like ``+02:00`` is ahead of UTC; names of UTC are 0."""
    digits = zone[1:].replace(":", "")
    if not digits.isdecimal() or len(digits) != 4:
        return 0
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
