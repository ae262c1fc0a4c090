"""Helpers of the reader tests: files written to a folder, read back as plain rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from beacon_detect.readers import reader_named, recognise
from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand
from beacon_detect.records import record_schema, unpack_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa


@dataclass(slots=True)
class Reading:
    """What a reader made of a file."""

    reader: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)


def plain(table: pa.Table) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    for row in rows:
        row["src"], row["dst"] = unpack_address(row["src"]), unpack_address(row["dst"])
    return rows


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Reading]:
    def read_content(
        content: bytes | str, form: str = "", columns: Mapping[str, str] | None = None
    ) -> Reading:
        path = tmp_path / "input"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        reading = Reading()
        with Source(expand([str(path)])[0], reading.problems) as source:
            reader = reader_named(form) if form else recognise(source.head)
            if reader is None:
                return reading
            reading.reader = reader.name
            for chunk in reader.read(source, reading.problems, ReadOptions(columns or {})):
                if chunk.records is not None:
                    assert chunk.records.schema.equals(record_schema())
                    reading.rows += plain(chunk.records)
                if chunk.names is not None:
                    reading.names += plain(chunk.names)
        return reading

    return read_content
