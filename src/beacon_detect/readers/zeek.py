"""Zeek's logs with tabs and header lines: connections, requests and names.

Columns are found by name, so extra and missing ones do not matter, and the
header may change its separator, as Zeek's settings can. What the rows say is
read by :mod:`zeek_rows`. Limit: without its header only ``conn.log`` is known,
with the columns in Zeek's own order.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from beacon_detect.readers.delimited import Layout, parse_block
from beacon_detect.readers.lines import LineBlock, first_lines, line_blocks
from beacon_detect.readers.zeek_rows import NULLS, TYPES, WANTED, Log, RowParser, log_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beacon_detect.readers.base import Chunk, Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

OTHER_ROWS = "rows of a log without connections ({})"
_HEADLESS = re.compile(
    rb"\d{9,10}(\.\d+)?\tC[0-9A-Za-z]{8,}\t[0-9A-Fa-f:.]+\t\d+\t[0-9A-Fa-f:.]+\t\d+\t(tcp|udp|icmp)\t"
)
_DATE = re.compile(rb"\d{4}-\d\d-\d\d[T ]")
_CONN_COLUMNS = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration",
    "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history",
    "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents",
)  # fmt: skip
"""Zeek's own order, since version 2.5: https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html"""
_OLD_CONN_COLUMNS = tuple(name for name in _CONN_COLUMNS if name != "local_resp")
"""Bro 2.0 to 2.3."""
_OLD_WIDTH = 20


class ZeekReader:
    """Zeek's logs with tabs and header lines."""

    name = "zeek"
    title = "Zeek log (TSV)"

    def matches(self, head: bytes) -> bool:
        """Say whether the file begins as Zeek's TSV logs do."""
        lines = first_lines(head, 12)
        if not lines or not lines[0].startswith(b"#"):
            return bool(lines) and _HEADLESS.match(lines[0]) is not None
        return any(line.startswith((b"#separator", b"#fields\t")) for line in lines)

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections, requests and names of the log; logs of other kinds give nothing."""
        del options
        parser = RowParser(source.label, problems)
        header = _Header()
        for block in line_blocks(source, problems):
            for part in header.split(block):
                layout = header.layout
                if layout is None or header.log is None:
                    _leave(part, header.path, source.label, problems)
                    continue
                parsed = parse_block(part, layout, source.label, problems)
                yield parser.chunk(parsed.table, parsed.lines, header.log)


def _leave(part: LineBlock, path: str, label: str, problems: Problems) -> None:
    """Account for rows of a log that is not used, or not known for lack of a header."""
    count = len(part.line_numbers())
    if path:
        problems.leave(OTHER_ROWS.format(path), count)
    else:
        problems.note("no header of Zeek's before it", f"{label}:{part.first_line}", count)


class _Header:
    """The ``#`` lines of a log; they may come again where rotated logs were joined."""

    def __init__(self) -> None:
        self.path = ""
        self.layout: Layout | None = None
        self.log: Log | None = None
        self._separator = "\t"
        self._nulls = set(NULLS)
        self._names: list[str] = []
        self._fresh = False
        """Whether the layout has no row yet."""

    def split(self, block: LineBlock) -> Iterator[LineBlock]:
        """Take the header lines out of a block; yield what is between them, in order."""
        data, line, start = block.data, block.first_line, 0
        while start < len(data):
            if data[start : start + 1] == b"#":
                end = data.find(b"\n", start) + 1 or len(data)
                self._line(data[start:end])
                line, start = line + 1, end
                continue
            # One byte is searched for at ten times the speed of two, and most blocks have none.
            hashed = data.find(b"#", start) >= 0
            end = (data.find(b"\n#", start) + 1 if hashed else 0) or len(data)
            part = data[start:end]
            if not part.isspace():
                if not self.path and self.layout is None and _HEADLESS.match(part):
                    self._take_for_conn(part.partition(b"\n")[0].count(b"\t") + 1)
                if self._fresh:
                    self._fresh = False
                    self._look_at_time(part.partition(b"\n")[0])
                yield LineBlock(part, line)
            if end < len(data):
                line += part.count(b"\n")
            start = end

    def _line(self, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith("#separator"):
            # Always followed by a space; a tab is written \x09.
            said = re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text[11:])
            usable = said[:1].isascii() and said[:1] not in "\r\n\0"
            self._separator = said[:1] if usable and said else "\t"
            return
        key, *values = text.split(self._separator)
        if key == "#path" and values:
            self.path = values[0]
        elif key in {"#unset_field", "#empty_field"} and values:
            self._nulls.add(values[0])
        elif key == "#fields":
            self._fields(values)

    def _fields(self, values: list[str]) -> None:
        names = [f"{v}#{i}" if v in values[:i] else v for i, v in enumerate(values)]
        self.log = log_of(self.path, set(names))
        self._names, self._fresh = names, True
        wanted = WANTED[self.log.kind] if self.log else ()
        types = {name: TYPES[name] for name in wanted if name in names}
        self.layout = (
            Layout(names, types, self._separator, quoted=False, nulls=tuple(self._nulls))
            if types
            else None
        )

    def _look_at_time(self, row: bytes) -> None:
        """Take the times for text where the first row has a date (``zeek-cut -d`` writes them)."""
        if self.layout is None or "ts" not in self.layout.types:
            return
        values = row.split(self._separator.encode())
        at = self._names.index("ts")
        if at < len(values) and _DATE.match(values[at]):
            self.layout = replace(self.layout, types={**self.layout.types, "ts": "unique"})

    def _take_for_conn(self, width: int) -> None:
        """Take rows without a header for a connection log's."""
        known = _OLD_CONN_COLUMNS if width == _OLD_WIDTH else _CONN_COLUMNS
        self.path = "conn"
        self._fields([*known[:width], *(f"column {i}" for i in range(len(known), width))])
