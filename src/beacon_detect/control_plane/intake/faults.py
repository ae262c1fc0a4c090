"""What can be wrong with a request body, and the list of faults that its sender gets.

A batch is refused as a whole, so the sender needs to know every record at
fault, by index and field: at most :data:`MAX_FAULTS` are spelled out, the
number of all is always given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from beacon_detect.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

MAX_FAULTS = 20
MAX_SHOWN_CHARACTERS = 60
"""Longest piece of a sender's value that a message repeats."""


class UnsupportedBodyError(DataError):
    """The content type or encoding is none that is understood (HTTP 415)."""


class BodyTooLargeError(DataError):
    """The body is larger than allowed, as sent or once decompressed (HTTP 413)."""


class RecordFaultsError(DataError):
    """Records of the batch are not valid (HTTP 422)."""

    def __init__(self, faults: Sequence[str], total: int) -> None:
        more = f" (and {total - len(faults)} more)" if total > len(faults) else ""
        super().__init__(
            f"{total} faults in the records: {faults[0]}{more}" if total > 1 else faults[0]
        )
        self.faults = list(faults)
        """The first faults, each ``records[INDEX].FIELD: what is wrong``."""
        self.total = total
        """Number of all faults."""


class Faults:
    """Collects faults field by field and reports them record by record."""

    def __init__(self) -> None:
        self._found: list[tuple[int, str]] = []
        self._total = 0

    def add(self, field: str, rows: NDArray[np.int64], describe: Callable[[int], str]) -> None:
        """Note a fault in each of ``rows``; ``describe`` puts it in words for one row."""
        self._total += len(rows)
        for row in rows[:MAX_FAULTS].tolist():
            self._found.append((row, f"records[{row}].{field}: {describe(row)}"))

    def raise_any(self) -> None:
        """Raise RecordFaultsError when there is a fault."""
        if self._total:
            self._raise()

    def _raise(self) -> NoReturn:
        self._found.sort(key=lambda fault: fault[0])
        raise RecordFaultsError([text for _, text in self._found[:MAX_FAULTS]], self._total)


def shown(value: object) -> str:
    """Return a value of the sender's for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
