"""Blocks of JSON lines to Arrow columns: fast as a whole, carefully where a block is broken.

Arrow's JSON parser refuses a whole block for one bad line. Such a block is read
again line by line with Python's parser, the lines that are no JSON object are
counted with their number, and the wanted fields of the others are brought to
the wanted types. Limit: one object a line, as Zeek, Suricata and Joy write it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems
    from beacon_detect.readers.lines import LineBlock

_PARSE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Objects:
    """The wanted fields of a block's objects (missing ones null), and a way to their lines."""

    table: pa.Table
    lines: Callable[[], NDArray[np.int64]]


def parse_block(block: LineBlock, schema: pa.Schema, label: str, problems: Problems) -> Objects:
    """Return the fields of ``schema`` of every object in the block."""
    import pyarrow as pa
    import pyarrow.json as json_format

    data = block.data
    # A comment line (``#close`` in some Zeek JSON logs) is no object; the careful way skips it.
    if data and not data.isspace():
        try:
            table = json_format.read_json(
                pa.BufferReader(data),
                read_options=json_format.ReadOptions(
                    use_threads=False, block_size=_block_size(data)
                ),
                parse_options=json_format.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="ignore"
                ),
            )
            return Objects(table.select(schema.names), block.line_numbers)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            pass
    return _careful(block, schema, label, problems)


def _block_size(data: bytes) -> int:
    if data.find(b"\n", 0, _PARSE_BYTES // 8) < 0:
        return len(data) + 1
    return _PARSE_BYTES


def _careful(block: LineBlock, schema: pa.Schema, label: str, problems: Problems) -> Objects:
    """Read a block that holds something broken, line by line.

    A loop over lines, which the fast path never takes: only here can a single
    bad line be told from its neighbours.
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, raw in enumerate(block.data.split(b"\n"), block.first_line):
        text = raw.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            problems.note("no JSON object", f"{label}:{number}")
            continue
        rows.append({field.name: _coerce(value.get(field.name), field.type) for field in schema})
        lines.append(number)
    numbers = np.array(lines, np.int64)
    return Objects(pa.Table.from_pylist(rows, schema=schema), lambda: numbers)


def _coerce(value: Any, kind: pa.DataType) -> Any:
    """Bring a JSON value to an Arrow type; what does not fit becomes null."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            return None
        return {field.name: _coerce(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_coerce(v, kind.value_type) for v in value] if isinstance(value, list) else None
    if pa.types.is_string(kind):
        text = value if isinstance(value, str) else json.dumps(value)
        return text.encode("utf-8", "replace").decode()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if pa.types.is_integer(kind):
        return int(number) if abs(number) < 2**62 else None
    return number
