"""What every file reader is: recognised by content, yielding records in bounded chunks.

A reader is one module and one line in :mod:`beacon_detect.readers`. It turns a
:class:`Source` (decompressed bytes, counted as they are consumed) into
:class:`Chunk` objects and reports what it could not read to
:class:`Problems`. Limit: a reader sees one file; what needs several files
(names from one log for the connections of another) is joined by the caller,
by ``connection_id``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    import pyarrow as pa

    from beacon_detect.readers.inputs import Source

MAX_EXAMPLES = 5
"""Broken records shown with file and line; the rest is only counted."""


@dataclass(slots=True)
class Problems:
    """Records that could not be used, counted by reason, the first ones with their place."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    useless: dict[str, int] = field(default_factory=dict)
    """Rows that are whole but tell of no connection, counted by what they are; nothing is lost."""

    def leave(self, what: str, count: int = 1) -> None:
        """Count ``count`` rows that are of no use here and no fault of the file."""
        if count > 0:
            self.useless[what] = self.useless.get(what, 0) + count

    def note(self, reason: str, where: str, count: int = 1) -> None:
        """Count ``count`` records lost for ``reason``; keep ``where`` if it is among the first."""
        if count <= 0:
            return
        self.counts[reason] = self.counts.get(reason, 0) + count
        example = f"{where}: {reason}"
        if where and len(self.examples) < MAX_EXAMPLES and example not in self.examples:
            self.examples.append(example)

    @property
    def total(self) -> int:
        """Records lost over all reasons."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of a file, some names seen in it, or both."""

    records: pa.Table | None = None
    """Rows of :func:`beacon_detect.records.record_schema`."""
    names: pa.Table | None = None
    """Rows of :func:`beacon_detect.readers.columns.name_schema`."""
    joins: bool = False
    """Whether names, of this file or another, refer to ``records`` by their ``connection_id``."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user said about the input beyond its path."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column name -> the file's column name (``--map``); CSV only."""
    shared: MutableMapping[str, Any] = field(default_factory=dict)
    """What readers remember from one file of a run to the next."""


class Reader(Protocol):
    """One file format."""

    name: str
    """Value of ``--format``."""
    title: str
    """What people call the format."""

    def matches(self, head: bytes) -> bool:
        """Say whether a file that begins with ``head`` (up to 64 KiB) is of this format."""
        ...

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the file's records; what is broken goes to ``problems``, never up as an error."""
        ...
