"""Zeek's logs as JSON lines, several kinds in one file or not.

The spelling (``id.orig_h``, ``id_orig_h``, ``id: {orig_h}``, a time as number or
text, ``_path`` or not) is told from the head of the file. What the rows say is
read by :mod:`zeek_rows`. Limit: a file that changes its spelling on the way
loses the rows spelled differently, and counts them.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers import jsonlines
from beacon_detect.readers.lines import first_lines, line_blocks
from beacon_detect.readers.zeek import OTHER_ROWS
from beacon_detect.readers.zeek_rows import TELLTALE, TYPES, WANTED, Log, RowParser, log_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Chunk, Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

_ENDS = re.compile(rb'"id([._])orig_h"|"id"\s*:\s*\{|"_path"\s*:')
_NAMES_ONLY = re.compile(rb'"uid"\s*:.*"(server_name|host)"\s*:|"(server_name|host)"\s*:.*"uid"\s*:')  # fmt: skip
_OTHER_LOG = re.compile(
    rb'"(fuid|peer|fingerprint|certificate\.version|suppress_for|ts_delta|uids|node|software_type|port_num'
    rb'|analyzer_kind|host_cert|level)"\s*:|"id"\s*:\s*"F[0-9A-Za-z]{8,}"'
)
"""Fields of Zeek's logs without connections, which are known so that a whole folder can be named."""


class ZeekJsonReader:
    """Zeek's logs as JSON lines; several kinds may be in one file."""

    name = "zeek-json"
    title = "Zeek log (JSON)"

    def matches(self, head: bytes) -> bool:
        """Say whether the first objects carry Zeek's time and its addresses, or mark another log."""
        lines = [line for line in first_lines(head, 8) if line.startswith(b"{")]
        return any(
            re.search(rb'"ts"\s*:', line)
            and any(sign.search(line) for sign in (_ENDS, _NAMES_ONLY, _OTHER_LOG))
            for line in lines
        )

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections, requests and names of the log."""
        del options
        parser = RowParser(source.label, problems)
        shape = _Shape(source.head)
        objects_of = jsonlines.ObjectParser(shape.schema(), source.label, problems)
        for block in line_blocks(source, problems):
            if not shape.kinds:
                objects = sum(line.lstrip().startswith(b"{") for line in block.data.splitlines())
                problems.leave(OTHER_ROWS.format("JSON"), objects)
                others = len(block.line_numbers()) - objects
                problems.note(jsonlines.NO_OBJECT, f"{source.label}:{block.first_line}", others)
                continue
            yield from shape.chunks(objects_of.parse(block), parser, problems)


class _Shape:
    """How a JSON log spells its fields, told from its head."""

    def __init__(self, head: bytes) -> None:
        keys = {key.decode() for key in re.findall(rb'"([\w.@]+)"\s*:', head)}
        self._path_key = next((key for key in ("_path", "@stream") if key in keys), "")
        self._text_time = bool(re.search(rb'"ts"\s*:\s*"', head))
        self._nested = bool(re.search(rb'"id"\s*:\s*\{', head))
        self._separator = "_" if "id_orig_h" in keys else "."
        found = [kind for kind, tell in TELLTALE.items() if not keys.isdisjoint(tell)]
        if not found and not keys.isdisjoint(("server_name", "host")) and "uid" in keys:
            found = ["ssl" if "server_name" in keys else "http"]
        self.kinds = list(WANTED) if self._path_key else found
        """Logs whose rows the file may have."""
        # A field that is unset is left out of its object, so the head does not name all of them.
        self._names = list(dict.fromkeys(name for kind in self.kinds for name in WANTED[kind]))
        self._has_ends = self._nested or not keys.isdisjoint(("id.orig_h", "id_orig_h"))
        if not self._has_ends:
            self._names = [name for name in self._names if not name.startswith("id.")]
        # Rows of several logs without a path are told apart by a field that only one log has.
        self._marks = {} if self._path_key or len(found) < 2 else {
            kind: [key for key in TELLTALE[kind] if key in keys] for kind in found
        }  # fmt: skip

    def _spelled(self, name: str) -> str:
        return name.replace("id.", f"id{self._separator}")

    def schema(self) -> pa.Schema:
        """Return the Arrow schema of the fields that are used."""
        import pyarrow as pa

        kinds = {"float": pa.float64(), "integer": pa.int64(), "text": pa.string()}
        uses = {name: kinds.get(TYPES[name], pa.string()) for name in self._names}
        if "answers" in uses:
            uses["answers"] = pa.list_(pa.string())
        if "ts" in uses and self._text_time:
            uses["ts"] = pa.string()
        inner = [(name[3:], kind) for name, kind in uses.items() if name.startswith("id.")]
        fields = [
            (self._spelled(name), kind)
            for name, kind in uses.items()
            if not (self._nested and name.startswith("id."))
        ]
        if self._nested and inner:
            fields.append(("id", pa.struct(inner)))
        if self._path_key:
            fields.append((self._path_key, pa.string()))
        fields += [
            (mark, kinds[TELLTALE[kind][mark]])
            for kind, marks in self._marks.items()
            for mark in marks
            if mark not in uses
        ]
        return pa.schema(fields)

    def chunks(
        self, objects: jsonlines.Objects, parser: RowParser, problems: Problems
    ) -> Iterator[Chunk]:
        """Yield the chunks of a block, one for each kind of log in it."""
        import pyarrow as pa

        table, lines = self._canonical(objects.table), objects.lines
        for log, rows in self._split(objects.table, problems):
            if rows is None:
                yield parser.chunk(table, lines, log)
            elif len(rows):
                at = partial(_some_lines, lines, rows)
                yield parser.chunk(table.take(pa.array(rows)), at, log)

    def _split(
        self, table: pa.Table, problems: Problems
    ) -> Iterator[tuple[Log, NDArray[np.int64] | None]]:
        """Yield each log of a block and its rows; None for all of them."""
        import pyarrow.compute as pc

        if self._path_key:
            paths = pc.fill_null(table[self._path_key], "")
            for path in pc.unique(paths).to_pylist():
                rows = np.flatnonzero(pc.equal(paths, path).to_numpy(zero_copy_only=False))
                log = log_of(path, set())
                if log is None:
                    problems.leave(OTHER_ROWS.format(path or "no _path"), len(rows))
                else:
                    yield log, rows
            return
        if not self._marks:
            yield Log(self.kinds[0]), None
            return
        rest = np.ones(table.num_rows, bool)
        for kind, marks in self._marks.items():
            given = [table[mark].is_valid().to_numpy() for mark in marks]
            marked = rest & np.logical_or.reduce(given)
            rest &= ~marked
            yield Log(kind), np.flatnonzero(marked)
        problems.leave(OTHER_ROWS.format("JSON"), int(rest.sum()))

    def _canonical(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = {}
        for name in self._names:
            if self._nested and name.startswith("id."):
                columns[name] = pc.struct_field(table["id"], name[3:])
            else:
                columns[name] = table[self._spelled(name)]
        return pa.table(columns)


def _some_lines(
    lines: Callable[[], NDArray[np.int64]], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    numbers = lines()
    return numbers[rows] if len(rows) == 0 or rows[-1] < len(numbers) else numbers
