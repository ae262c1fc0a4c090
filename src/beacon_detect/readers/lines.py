"""Cut a stream into blocks of whole lines, so that text formats are parsed a block at a time.

A block knows the number of its first line, so that a broken record can be shown
with file and line. Limit: a line longer than :data:`MAX_LINE` is dropped and
counted, otherwise one line could take all memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems

BLOCK_BYTES = 32 << 20
"""Large, because every block's distinct addresses are looked up once."""
MAX_LINE = 16 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines of a file, each ended by a newline (the last line of a file perhaps not)."""

    data: bytes
    first_line: int

    def line_numbers(self) -> NDArray[np.int64]:
        """Return the file's line number of every line that is not empty."""
        raw = np.frombuffer(self.data, np.uint8)
        ends = np.flatnonzero(raw == 10)
        if len(raw) and raw[-1] != 10:
            ends = np.append(ends, len(raw))
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        lengths = ends - starts
        only_return = (lengths == 1) & (raw[np.minimum(starts, len(raw) - 1)] == 13)
        return np.flatnonzero((lengths > 0) & ~only_return) + self.first_line

    def numbers_of(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the line numbers of some lines, told by their place in the block."""
        return lines + self.first_line


class Bytes(Protocol):
    """What lines can be cut from: a source, or the output of a program."""

    label: str

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; nothing at the end."""

    def unread(self, data: bytes) -> None:
        """Put back bytes that were read too far."""


def line_blocks(
    source: Bytes, problems: Problems, block_bytes: int = BLOCK_BYTES
) -> Iterator[LineBlock]:
    """Yield the source as blocks of whole lines of about ``block_bytes``."""
    rest = b""
    line = 1
    first = True
    while data := source.read(block_bytes):
        if first:
            data, first = data.removeprefix(_BOM), False
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest += data
            if len(rest) > MAX_LINE:
                problems.note("a line is too long", f"{source.label}:{line}")
                rest, line = b"", line + _skip_line(source, block_bytes)
            continue
        block = b"".join((rest, memoryview(data)[:cut]))
        rest = data[cut:]
        yield LineBlock(block, line)
        line += block.count(b"\n")
    if rest:
        yield LineBlock(rest, line)


def _skip_line(source: Bytes, block_bytes: int) -> int:
    """Drop everything up to the next newline; return 1 (lines dropped)."""
    while data := source.read(block_bytes):
        cut = data.find(b"\n") + 1
        if cut:
            source.unread(data[cut:])
            break
    return 1


def first_lines(head: bytes, limit: int = 20) -> list[bytes]:
    """Return the first lines of a file's head that are not empty, for recognition."""
    lines = (line.strip() for line in head.removeprefix(_BOM).split(b"\n", limit)[:limit])
    return [line for line in lines if line]
