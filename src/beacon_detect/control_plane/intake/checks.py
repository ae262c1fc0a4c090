"""What every record must satisfy, whatever form it came in; checked a column at a time.

The bounds keep sums inside 64 bits and files inside the folder of their hour;
they are far beyond anything real. The content of texts is not judged: a
process may call itself anything, and refusing its batch would blind the sensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.control_plane.columns import numbers
from beacon_detect.control_plane.intake.faults import BodyTooLargeError, Faults
from beacon_detect.errors import DataError
from beacon_detect.records import SECOND, Direction, Kind, Origin, Outcome
from beacon_detect.wire import MAX_IDENTIFIER_LENGTH

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.wire import BatchHeader

MAX_RECORDS = 500_000
"""Records of a batch: a second's worth at the highest rate meant to be kept up."""

MAX_TEXT_BYTES = 4096
"""Length of a text: the longest path Linux takes (PATH_MAX)."""

MAX_TIME = 7_258_118_400 * SECOND
"""The year 2200."""

MAX_DURATION = 10**18
"""Nanoseconds: 31 years."""

MAX_COUNT = 2**53
"""Bytes or packets of a connection: what JSON numbers carry exactly."""

MAX_LOSS_REASONS = 64

TEXT_FIELDS = ("process", "executable", "container", "name")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest value of a field, and what a value outside is not."""

    least: int
    most: int
    meaning: str

    def violations(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows whose value is out of bounds."""
        if len(values) and values.min() >= self.least and values.max() <= self.most:
            return np.zeros(0, np.int64)
        return np.flatnonzero((values < self.least) | (values > self.most))


_TIME = Bounds(0, MAX_TIME, "a time between 1970 and 2200")
_COUNT = Bounds(0, MAX_COUNT, "a count")
_PORT = Bounds(0, 65_535, "a port")
BOUNDS: dict[str, Bounds] = {
    "kind": Bounds(min(Kind), max(Kind), "a record kind"),
    "time": _TIME,
    "series_time": _TIME,
    "src_port": _PORT,
    "dst_port": _PORT,
    "protocol": Bounds(0, 255, "an IP protocol number"),
    "duration": Bounds(0, MAX_DURATION, "a duration"),
    "bytes_out": _COUNT,
    "bytes_in": _COUNT,
    "packets_out": _COUNT,
    "packets_in": _COUNT,
    "tcp_flags_out": Bounds(0, 255, "a set of TCP flags"),
    "tcp_flags_in": Bounds(0, 255, "a set of TCP flags"),
    "outcome": Bounds(min(Outcome), max(Outcome), "an outcome"),
    "origin": Bounds(min(Origin), max(Origin), "an origin"),
    "direction": Bounds(min(Direction), max(Direction), "a direction"),
    "pid": Bounds(0, 2**32 - 1, "a process id"),
    "uid": Bounds(0, 2**32 - 1, "a user id"),
}


def check_table(table: pa.Table, max_bytes: int) -> None:
    """Raise RecordFaultsError or BodyTooLargeError unless every record is within bounds."""
    check_count(table.num_rows)
    faults = Faults()
    for name, bounds in BOUNDS.items():
        check_numbers(faults, name, numbers(table, name), bounds)
    for name in TEXT_FIELDS:
        _check_texts(faults, name, table, max_bytes)
    faults.raise_any()


def check_numbers(faults: Faults, name: str, values: NDArray[np.int64], bounds: Bounds) -> None:
    """Note the rows of a column that are out of bounds."""
    rows = bounds.violations(values)
    faults.add(name, rows, lambda row: f"{values[row]} is not {bounds.meaning}")


def check_count(records: int) -> None:
    """Raise BodyTooLargeError for a batch of too many records."""
    if records > MAX_RECORDS:
        raise BodyTooLargeError(
            f"the batch has more than {MAX_RECORDS:,} records", hint="send smaller batches"
        )


def check_header(header: BatchHeader) -> BatchHeader:
    """Return ``header`` unless what it says beside its identifiers is out of bounds."""
    for name in ("boot", "mode", "session"):
        if len(getattr(header, name)) > MAX_IDENTIFIER_LENGTH:
            raise DataError(f"the batch header's {name!r} is longer than {MAX_IDENTIFIER_LENGTH}")
    if len(header.losses) > MAX_LOSS_REASONS:
        raise DataError(f"the batch header has more than {MAX_LOSS_REASONS} reasons of losses")
    for reason, lost in header.losses.items():
        if len(reason) > MAX_IDENTIFIER_LENGTH or not 0 <= lost <= MAX_COUNT:
            raise DataError(f"the batch header's loss {reason[:40]!r} is not a count")
    return header


def _check_texts(faults: Faults, name: str, table: pa.Table, max_bytes: int) -> None:
    import pyarrow.compute as pc

    column = table.column(name).unify_dictionaries().combine_chunks()
    if not len(column):
        return
    lengths = np.asarray(pc.binary_length(column.dictionary)).astype(np.int64)
    # One long text may stand behind many rows: what counts is what will be stored.
    stored = lengths[np.asarray(column.indices)]
    if int(stored.sum()) > max_bytes:
        raise BodyTooLargeError(f"the texts of {name!r} are larger than {max_bytes >> 20} MiB")
    rows = np.flatnonzero(stored > MAX_TEXT_BYTES)
    faults.add(name, rows, lambda row: f"{stored[row]} bytes are too long (most: {MAX_TEXT_BYTES})")
