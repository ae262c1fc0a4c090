"""Blocks of JSON lines to Arrow columns: fast as a whole, carefully where a block is broken.

Arrow's JSON parser refuses a whole block for one bad line. Such a block is read
again line by line with Python's parser, the lines that are no JSON object are
counted with their number, and the wanted fields of the others are brought to
the wanted types. Limit: one object a line, as Zeek, Suricata and Joy write it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems
    from beacon_detect.readers.lines import LineBlock

_PARSE_BYTES = 4 << 20


class Block(Protocol):
    """Lines of a file, not always all of them."""

    @property
    def data(self) -> bytes:
        """The lines."""

    def line_numbers(self) -> NDArray[np.int64]:
        """Return the line number of each that is not empty."""


@dataclass(frozen=True, slots=True)
class PickedLines:
    """Some lines of a block, with their numbers."""

    data: bytes
    numbers: NDArray[np.int64]

    def line_numbers(self) -> NDArray[np.int64]:
        """Return the line number of each."""
        return self.numbers


def pick_lines(
    block: LineBlock, key: bytes, values: Sequence[bytes]
) -> tuple[dict[bytes, PickedLines], int]:
    """Return the lines whose text field ``key`` has each value, and how many lack the field.

    Finding the field costs a tenth of parsing the line, and most lines of a
    mixed log are of no use. The first place that looks like the field counts.

    Parameters
    ----------
    block
        Whole lines, one object each.
    key
        Name of the field; must contain an underscore, which is what is searched for.
    values
        Values of the field, at most 7 bytes long.
    """
    lines, numbers = _lines(block)
    data = lines.buffers()[2]
    raw = np.frombuffer(data, np.uint8)
    bounds = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :]
    starts = _field_values(raw, key)
    at = np.searchsorted(bounds[: len(lines) + 1], starts, "right") - 1
    first = np.append(True, np.diff(at) != 0)[: len(at)] & (at >= 0) & (at < len(lines))
    at, starts = at[first], starts[first]
    found = _eight_bytes(raw, starts)
    picked = {}
    for value in values:
        wanted = np.uint64(int.from_bytes(value + b'"', "little"))
        mask = np.uint64((1 << 8 * (len(value) + 1)) - 1)
        chosen = np.zeros(len(lines), bool)
        chosen[at[found & mask == wanted]] = True
        picked[value] = _picked(lines, numbers, chosen)
    return picked, len(lines) - len(at)


def _field_values(raw: NDArray[np.uint8], key: bytes) -> NDArray[np.int64]:
    """Return where the text values of a field begin, in order."""
    middle = key.index(b"_")
    at = np.flatnonzero(raw == ord("_"))
    at = at[(at > middle) & (at < len(raw) - len(key) - 4)]
    # From the middle outwards: what stands next to the underscore tells most keys apart.
    quoted = b'"' + key + b'"'
    order = sorted(range(len(quoted)), key=lambda place: abs(place - middle - 1))
    for place in order:
        at = at[raw[at + place - middle - 1] == quoted[place]]
    at = at + len(quoted) - middle - 1
    for byte in b":":
        at = at + (raw[at] == ord(" "))
        at = at[raw[at] == byte] + 1
    at = at + (raw[at] == ord(" "))
    values: NDArray[np.int64] = at[raw[at] == ord('"')] + 1
    return values


def _eight_bytes(raw: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the eight bytes from each place on as one number; zeros behind the end."""
    word = np.zeros(len(at), np.uint64)
    for i in range(8):
        place = np.minimum(at + i, len(raw) - 1)
        word |= raw[place].astype(np.uint64) << np.uint64(8 * i)
    return word


def _lines(block: LineBlock) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the block's lines, newlines included, without copying them."""
    import pyarrow as pa

    data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
    offsets = np.append(0, ends).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    filled = np.diff(offsets) > 2
    numbers = np.arange(len(ends)) + block.first_line
    return lines.filter(pa.array(filled)), numbers[filled]


def _picked(lines: pa.Array, numbers: NDArray[np.int64], chosen: NDArray[np.bool_]) -> PickedLines:
    import pyarrow as pa

    kept = lines if chosen.all() else lines.filter(pa.array(chosen))
    offsets = np.frombuffer(kept.buffers()[1], np.int32)[kept.offset : kept.offset + len(kept) + 1]
    if not len(kept):
        return PickedLines(b"", numbers[:0])
    data = kept.buffers()[2].slice(offsets[0], offsets[-1] - offsets[0]).to_pybytes()
    return PickedLines(data, numbers[chosen])


@dataclass(frozen=True, slots=True)
class Objects:
    """The wanted fields of a block's objects (missing ones null), and a way to their lines."""

    table: pa.Table
    lines: Callable[[], NDArray[np.int64]]


def parse_block(block: Block, schema: pa.Schema, label: str, problems: Problems) -> Objects:
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


def _careful(block: Block, schema: pa.Schema, label: str, problems: Problems) -> Objects:
    """Read a block that holds something broken, line by line.

    A loop over lines, which the fast path never takes: only here can a single
    bad line be told from its neighbours.
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    texts = [text for raw in block.data.split(b"\n") if (text := raw.strip(b"\r"))]
    for number, text in zip(block.line_numbers().tolist(), texts, strict=True):
        if text.startswith(b"#") or text.isspace():
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
