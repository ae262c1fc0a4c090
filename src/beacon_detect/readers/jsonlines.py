"""Blocks of JSON lines to Arrow columns: fast as a whole, carefully where a block is broken.

Arrow's JSON parser refuses a whole block for one bad line. Such a block is read
again line by line with Python's parser, the lines that are no JSON object are
counted with their number, and the wanted fields of the others are brought to
the wanted types. Limit: one object a line, as Zeek, Suricata and Joy write it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from beacon_detect.readers import json_scan
from beacon_detect.readers.native import code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems

_PARSE_BYTES = 4 << 20
WARM_BYTES = 8 << 20
"""Bytes of a file before the compiled scanner is loaded, which takes a tenth of a second."""
COLD_BYTES = 32 << 20
"""The same where it must first be compiled, which takes a fifth of a second."""

NO_OBJECT = "no JSON object"
"""Why a line of a JSON log is not used."""


class Block(Protocol):
    """Lines of a file, not always all of them."""

    @property
    def data(self) -> bytes:
        """The lines."""

    def line_numbers(self) -> NDArray[np.int64]:
        """Return the line number of each that is not empty."""

    def numbers_of(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the line numbers of some lines, told by their place in the block."""


@dataclass(frozen=True, slots=True)
class PickedLines:
    """Some lines of a block, with their numbers."""

    data: bytes
    numbers: NDArray[np.int64]

    def line_numbers(self) -> NDArray[np.int64]:
        """Return the line number of each."""
        return self.numbers

    def numbers_of(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the line numbers of some lines, told by their place."""
        return np.take(self.numbers, lines)


def pick_lines(
    block: Block, key: bytes, values: Sequence[bytes]
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


def _lines(block: Block) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the block's lines, newlines included, without copying them."""
    import pyarrow as pa

    data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
    offsets = np.append(0, ends).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    filled = np.diff(offsets) > 2
    return lines.filter(pa.array(filled)), block.numbers_of(np.flatnonzero(filled))


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


class ObjectParser:
    """Parses the blocks of one file, by the compiled scanner once the file proves large."""

    def __init__(self, schema: pa.Schema, label: str, problems: Problems) -> None:
        self._schema = schema
        self._label = label
        self._problems = problems
        self._taken = 0
        self._scans = False
        self._plan = _Plan.of(schema)

    def parse(self, block: Block) -> Objects:
        """Return the fields of the schema of every object in the block."""
        self._taken += len(block.data)
        if self._plan is not None and self._is_large():
            return self._scan(block, self._plan)
        return parse_block(block, self._schema, self._label, self._problems)

    def _is_large(self) -> bool:
        if self._taken <= WARM_BYTES:
            return False
        self._scans = self._scans or self._taken > COLD_BYTES or code.is_warm([json_scan])
        return self._scans

    def split(self, block: Block, key: str, value: str) -> tuple[Objects | None, Block]:
        """Return the objects whose text field ``key`` has a value, and the other lines.

        The scanner does it in one go; before it is worth it, all lines are
        other lines, and :func:`pick_lines` finds them.
        """
        import pyarrow.compute as pc

        self._taken += len(block.data)
        if self._plan is None or not self._is_large():
            return None, block
        table, plain, bounds = self._plan.scan(block.data, self._schema)
        wanted = pc.fill_null(pc.equal(table[key], value), False).to_numpy() & plain
        places = np.flatnonzero(wanted)
        rest = np.flatnonzero(~wanted)
        texts = (block.data[bounds[i] : bounds[i + 1]] for i in rest.tolist())
        others = PickedLines(b"".join(texts), block.numbers_of(rest))
        return Objects(table.take(places), lambda: block.numbers_of(places)), others

    def _scan(self, block: Block, plan: _Plan) -> Objects:
        """Scan the block; lines that are not plain go to the parser, behind the others."""
        import pyarrow as pa

        table, plain, bounds = plan.scan(block.data, self._schema)
        if plain.all():
            return Objects(table, block.line_numbers)
        places = np.flatnonzero(plain)
        others = {
            i: text
            for i in np.flatnonzero(~plain).tolist()
            if (text := block.data[bounds[i] : bounds[i + 1]].strip(b"\r\n"))
        }
        numbers = block.numbers_of(np.array(list(others), np.int64))
        lines = PickedLines(b"\n".join(others.values()), numbers)
        rest = parse_block(lines, self._schema, self._label, self._problems)
        joined = pa.concat_tables([table.take(pa.array(places)), rest.table])
        return Objects(joined, lambda: np.concatenate([block.numbers_of(places), rest.lines()]))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the scanner finds each field: paths, kinds, and the table of their hashes."""

    paths: list[tuple[str, ...]]
    kinds: NDArray[np.int64]
    hashes: NDArray[np.int64]
    fields: NDArray[np.int64]

    @classmethod
    def of(cls, schema: pa.Schema) -> _Plan | None:
        """Return the plan for a schema, or None when it has more than texts and numbers."""
        paths: list[tuple[str, ...]] = []
        kinds: list[int] = []
        for field in schema:
            if not _add_path(paths, kinds, (field.name,), field.type):
                return None
        hashes, fields = np.zeros(json_scan.TABLE, np.int64), np.full(json_scan.TABLE, -1)
        for i, path in enumerate(paths):
            state = json_scan.ROOT
            for name in path:
                raw = name.encode()
                state = json_scan.key_hash(raw, 0, len(raw), state)
            place = state & (json_scan.TABLE - 1)
            while fields[place] >= 0:
                place = (place + 1) & (json_scan.TABLE - 1)
            hashes[place], fields[place] = state, i
        return cls(paths, np.array(kinds, np.int64), hashes, fields)

    def scan(
        self, data: bytes, schema: pa.Schema
    ) -> tuple[pa.Table, NDArray[np.bool_], NDArray[np.int64]]:
        """Return a row a line, which lines were plain, and where the lines begin."""
        import pyarrow as pa

        kernels = _scanner()
        raw = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(raw == 10) + 1
        if not len(ends) or ends[-1] != len(raw):
            ends = np.append(ends, len(raw))
        bounds = np.append(0, ends)
        count, width = len(ends), len(self.kinds)
        starts, sizes = np.empty(count * width, np.int64), np.empty(count * width, np.int64)
        plain = np.zeros(count, np.uint8)
        kernels.scan_lines(
            raw, bounds, count, self.hashes, self.fields, self.kinds, starts, sizes, plain
        )
        by_field = [column.reshape(count, width).T for column in (starts, sizes)]
        columns = {
            path: _scanned(kernels, raw, kind, by_field[0][i].copy(), by_field[1][i].copy())
            for i, (path, kind) in enumerate(zip(self.paths, self.kinds.tolist(), strict=True))
            if kind != json_scan.OBJECT
        }
        arrays = [_nested(columns, (field.name,), field.type) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema), plain.astype(bool), bounds


def _add_path(
    paths: list[tuple[str, ...]], kinds: list[int], path: tuple[str, ...], kind: pa.DataType
) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        paths.append(path)
        kinds.append(json_scan.OBJECT)
        simple = len(path) == 1
        return simple and all(_add_path(paths, kinds, (*path, f.name), f.type) for f in kind)
    code = {
        pa.string(): json_scan.TEXT,
        pa.int64(): json_scan.INTEGER,
        pa.float64(): json_scan.FLOAT,
    }
    if kind not in code:
        return False
    paths.append(path)
    kinds.append(code[kind])
    return True


def _scanned(
    kernels: Any,
    raw: NDArray[np.uint8],
    kind: int,
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> pa.Array:
    """Return the column of one field."""
    import pyarrow as pa

    missing = sizes < 0
    if kind == json_scan.TEXT:
        offsets = np.empty(len(starts) + 1, np.int32)
        text = np.empty(int(np.maximum(sizes, 0).sum()), np.uint8)
        kernels.gather(raw, starts, sizes, offsets, text)
        bits = np.packbits(~missing, bitorder="little")
        buffers = [pa.py_buffer(bits), pa.py_buffer(offsets), pa.py_buffer(text)]
        return pa.Array.from_buffers(pa.string(), len(starts), buffers)
    if kind == json_scan.INTEGER:
        return pa.array(starts, mask=missing)
    with np.errstate(invalid="ignore"):
        values = starts / _POWERS[np.where(missing, 0, sizes)]
    return pa.array(values, mask=missing)


_POWERS = 10.0 ** np.arange(64)


def _nested(
    columns: dict[tuple[str, ...], pa.Array], path: tuple[str, ...], kind: pa.DataType
) -> pa.Array:
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return columns[path]
    return pa.StructArray.from_arrays([columns[*path, f.name] for f in kind], fields=list(kind))


@cache
def _scanner() -> Any:
    return code.compile_kernels([json_scan])


def parse_block(block: Block, schema: pa.Schema, label: str, problems: Problems) -> Objects:
    """Return the fields of ``schema`` of every object in the block."""
    data = block.data
    if not data.isascii():
        # Arrow takes any bytes for text, and fails when the text is used.
        data = data.decode("utf-8", "replace").encode()
    table = None if not data or data.isspace() else _whole(data, schema)
    if table is None:
        return _careful(block, schema, label, problems)
    return Objects(table, block.line_numbers)


def _whole(data: bytes, schema: pa.Schema) -> pa.Table | None:
    """Read a block at once; None where a line is broken or none (``#close`` in some Zeek logs)."""
    import pyarrow as pa
    import pyarrow.json as json_format

    try:
        table = json_format.read_json(
            pa.BufferReader(data),
            read_options=json_format.ReadOptions(use_threads=False, block_size=_block_size(data)),
            parse_options=json_format.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return table.select(schema.names)


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
    # The same lines that line_numbers() counts: those that are neither empty nor a lone return.
    texts = [raw.strip(b"\r") for raw in block.data.split(b"\n") if raw not in {b"", b"\r"}]
    for number, text in zip(block.line_numbers().tolist(), texts, strict=True):
        if not text or text.startswith(b"#") or text.isspace():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            problems.note(NO_OBJECT, f"{label}:{number}")
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
