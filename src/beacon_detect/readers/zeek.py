"""Zeek logs, TSV and JSON: connections from ``conn``, names from ``ssl``, ``http`` and ``dns``.

``http`` gives a burst for every request besides, so that polling inside one
keep-alive connection has a series of its own. ``open_conn`` gives connections
that were still open when the log was written. Columns are found by name, so
extra and missing ones do not matter. Limit: names are joined to pairs (source,
destination, port), which is where a finding shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers import jsonlines
from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import (
    AddressParser,
    Flows,
    counts,
    drop_invalid,
    integers,
    mapped,
    name_table,
    protocol_numbers,
    record_table,
)
from beacon_detect.readers.delimited import Layout, parse_block
from beacon_detect.readers.lines import LineBlock, first_lines, line_blocks
from beacon_detect.readers.timestamps import durations_to_ns, floats, seconds_to_ns, text_to_ns
from beacon_detect.records import Kind, Origin, Outcome, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

_TYPES = {
    "ts": "float", "id.orig_h": "text", "id.resp_h": "text",
    "id.orig_p": "integer", "id.resp_p": "integer", "proto": "text", "duration": "float",
    "orig_bytes": "integer", "resp_bytes": "integer", "orig_pkts": "integer",
    "resp_pkts": "integer", "conn_state": "text", "server_name": "text", "host": "text",
    "request_body_len": "integer", "response_body_len": "integer",
    "query": "text", "answers": "unique", "_path": "text",
}  # fmt: skip
"""Every column that is used, of any log."""

_COMMON = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
_WANTED = {
    "conn": (*_COMMON, "proto", "duration", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts",
             "conn_state"),
    "http": (*_COMMON, "host", "request_body_len", "response_body_len"),
    "ssl": (*_COMMON, "server_name"),
    "dns": (*_COMMON, "query", "answers"),
}  # fmt: skip
_TELLTALE = {
    "http": ("trans_depth", "status_code", "user_agent"),
    "ssl": ("server_name", "cipher", "next_protocol"),
    "dns": ("qtype_name", "qclass", "rcode"),
    "conn": ("conn_state", "orig_pkts", "missed_bytes", "orig_bytes"),
}
"""Columns that only one log has, for files that do not name themselves."""
_PATHS = {
    "conn": "conn",
    "open_conn": "conn",
    "http": "http",
    "ssl": "ssl",
    "tls": "ssl",
    "dns": "dns",
}

_OUTCOMES = {
    "S0": Outcome.UNANSWERED, "SH": Outcome.UNANSWERED, "RSTOS0": Outcome.UNANSWERED,
    "S1": Outcome.ESTABLISHED, "S2": Outcome.ESTABLISHED, "S3": Outcome.ESTABLISHED,
    "SF": Outcome.CLOSED, "REJ": Outcome.REFUSED, "RSTO": Outcome.RESET, "RSTR": Outcome.RESET,
    "RSTRH": Outcome.RESET,
}  # fmt: skip
_NULLS = ("-", "", "(empty)")
_MIDSTREAM = {"OTH": int(Origin.MIDSTREAM)}


@dataclass(frozen=True, slots=True)
class _Log:
    """Which log a run of rows belongs to."""

    kind: str
    still_open: bool = False


def _log_of(path: str, columns: set[str]) -> _Log | None:
    """Return the log that a path name or, failing that, the columns tell of."""
    kind = _PATHS.get(path.lower())
    if kind is None and path not in {"", "-"}:
        return None
    if kind is None:
        kind = next((k for k, tell in _TELLTALE.items() if not columns.isdisjoint(tell)), None)
    return _Log(kind, path.startswith("open")) if kind else None


class ZeekReader:
    """Zeek's logs with tabs and header lines."""

    name = "zeek"
    title = "Zeek log (TSV)"

    def matches(self, head: bytes) -> bool:
        """Say whether the file begins as Zeek's TSV logs do."""
        lines = first_lines(head, 12)
        if not lines or not lines[0].startswith(b"#"):
            return False
        return any(line.startswith((b"#separator", b"#fields\t")) for line in lines)

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections, requests and names of the log; logs of other kinds give nothing."""
        del options
        parser = _Rows(source.label, problems)
        header = _Header()
        for block in line_blocks(source, problems):
            for part in header.split(block):
                layout = header.layout
                if layout is None or header.log is None:
                    problems.note(f"rows of a log without connections ({header.path or 'no header'})", source.label, part.data.count(b"\n"))  # fmt: skip
                    continue
                rows = parse_block(part, layout, source.label, problems)
                yield parser.chunk(rows.table, rows.lines, header.log)


class _Header:
    """The ``#`` lines of a log; they may come again where rotated logs were joined."""

    def __init__(self) -> None:
        self.path = ""
        self.layout: Layout | None = None
        self.log: _Log | None = None

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
                yield LineBlock(part, line)
            if end < len(data):
                line += part.count(b"\n")
            start = end

    def _line(self, raw: bytes) -> None:
        key, *values = raw.decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if key == "#path" and values:
            self.path = values[0]
        elif key == "#fields":
            names = [f"{v}#{i}" if v in values[:i] else v for i, v in enumerate(values)]
            self.log = _log_of(self.path, set(names))
            wanted = _WANTED[self.log.kind] if self.log else ()
            types = {name: _TYPES[name] for name in wanted if name in names}
            self.layout = Layout(names, types, "\t", quoted=False, nulls=_NULLS) if types else None


class ZeekJsonReader:
    """Zeek's logs as JSON lines; several kinds may be in one file."""

    name = "zeek-json"
    title = "Zeek log (JSON)"

    def matches(self, head: bytes) -> bool:
        """Say whether the first objects carry Zeek's time and its addresses, or mark another log."""
        lines = [line for line in first_lines(head, 8) if line.startswith(b"{")]
        return any(
            re.search(rb'"ts"\s*:', line) and (_SPELLING.search(line) or _OTHER_LOG.search(line))
            for line in lines
        )

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections, requests and names of the log."""
        parser = _Rows(source.label, problems)
        shape = _Shape(source.head)
        objects_of = jsonlines.ObjectParser(shape.schema(), source.label, problems, options)
        for block in line_blocks(source, problems):
            if shape.useless:
                problems.note("rows of a log without connections", source.label, block.data.count(b"\n"))  # fmt: skip
                continue
            objects = objects_of.parse(block)
            yield from shape.chunks(objects, parser)


_OTHER_LOG = re.compile(rb'"(fuid|peer|fingerprint|certificate\.version|suppress_for|ts_delta|uids)"\s*:')  # fmt: skip
"""Fields of Zeek's logs without connections, which are known so that a whole folder can be named."""
_SPELLING = re.compile(rb'"id([._])orig_h"|"id"\s*:\s*\{')


class _Shape:
    """How a JSON log spells its fields, told from its head."""

    def __init__(self, head: bytes) -> None:
        keys = {key.decode() for key in re.findall(rb'"([\w.@]+)"\s*:', head)}
        self.path_key = next((key for key in ("_path", "@stream") if key in keys), "")
        self.text_time = bool(re.search(rb'"ts"\s*:\s*"', head))
        self.nested = "id.orig_h" not in keys and "id_orig_h" not in keys
        self._separator = "." if "id.orig_h" in keys else "_"
        self._keys = keys
        whole = _log_of("", keys)
        logs = _WANTED if self.path_key else ({whole.kind: 1} if whole else {})
        wanted = dict.fromkeys(name for log in logs for name in _WANTED[log])
        self.names = [name for name in wanted if name in _COMMON or name in keys]
        self.whole = whole

    @property
    def useless(self) -> bool:
        """Whether every row is of one log that tells of no connection."""
        return self.whole is None and not self.path_key

    def spelled(self, name: str) -> str:
        """Return the file's spelling of one of our columns."""
        return name.replace("id.", f"id{self._separator}")

    def schema(self) -> pa.Schema:
        """Return the Arrow schema of the fields that are used."""
        import pyarrow as pa

        kinds = {"float": pa.float64(), "integer": pa.int64(), "text": pa.string()}
        fields: list[tuple[str, pa.DataType]] = []
        for name in self.names:
            kind = kinds.get(_TYPES[name], pa.list_(pa.string()))
            if name == "ts" and self.text_time:
                kind = pa.string()
            if not (self.nested and name.startswith("id.")):
                fields.append((self.spelled(name), kind))
        if self.nested:
            inner = [(n[3:], kinds[_TYPES[n]]) for n in self.names if n.startswith("id.")]
            fields.append(("id", pa.struct(inner)))
        if self.path_key:
            fields.append((self.path_key, pa.string()))
        return pa.schema(fields)

    def chunks(self, objects: jsonlines.Objects, parser: _Rows) -> Iterator[Chunk]:
        """Yield the chunks of a block, one for each kind of log in it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table, lines = self._canonical(objects.table), objects.lines
        if self.whole is not None and not self.path_key:
            yield parser.chunk(table, lines, self.whole)
            return
        paths = pc.fill_null(objects.table[self.path_key], "")
        for path in pc.unique(paths).to_pylist():
            log = _log_of(path, self._keys)
            rows = np.flatnonzero(pc.equal(paths, path).to_numpy(zero_copy_only=False))
            if log is not None:
                at = partial(_some_lines, lines, rows)
                yield parser.chunk(table.take(pa.array(rows)), at, log)

    def _canonical(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = {}
        for name in self.names:
            if self.nested and name.startswith("id."):
                columns[name] = pc.struct_field(table["id"], name[3:])
            else:
                columns[name] = table[self.spelled(name)]
        return pa.table(columns)


def _some_lines(
    lines: Callable[[], NDArray[np.int64]], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    numbers = lines()
    return numbers[rows] if len(rows) == 0 or rows[-1] < len(numbers) else numbers


class _Rows:
    """Parsed rows of any Zeek log to chunks."""

    def __init__(self, label: str, problems: Problems) -> None:
        self._addresses = AddressParser()
        self._label = label
        self._problems = problems

    def chunk(self, table: pa.Table, lines: Callable[[], NDArray[np.int64]], log: _Log) -> Chunk:
        """Return records and names of one run of rows."""
        missing = [name for name in _COMMON if name not in table.column_names]
        if missing:
            self._problems.note(f"no column {missing[0]}", self._label, table.num_rows)
            return Chunk()
        flows = self._flows(table, lines, log)
        if log.kind == "conn":
            self._connection(flows, table, still_open=log.still_open)
            return Chunk(records=record_table(flows))
        if log.kind == "http":
            return self._requests(flows, table)
        if log.kind == "ssl":
            flows.protocol[:] = Protocol.TCP
            return Chunk(names=self._named(flows, table, "server_name"))
        return Chunk(names=self._answers(flows, table))

    def _flows(self, table: pa.Table, lines: Callable[[], NDArray[np.int64]], log: _Log) -> Flows:
        import pyarrow as pa

        stamp = table["ts"]
        timed = (
            text_to_ns(stamp) if pa.types.is_string(stamp.type) else seconds_to_ns(floats(stamp))
        )
        src, from_address = self._addresses.parse(table["id.orig_h"])
        dst, to_address = self._addresses.parse(table["id.resp_h"])
        src_port, dst_port = integers(table["id.orig_p"]), integers(table["id.resp_p"])
        # Names logs carry no protocol; callers that know it set it.
        protocol, known = np.zeros(len(src_port), np.uint8), np.ones(len(src_port), bool)
        if log.kind == "conn" and "proto" in table.column_names:
            protocol, known = protocol_numbers(table["proto"])
        ports = np.maximum(src_port, dst_port) < 65_536
        checks = {
            "no usable time": timed[1],
            "the source is no address": from_address,
            "the destination is no address": to_address,
            "not an IP protocol": known,
            "a port is out of range": ports & (np.minimum(src_port, dst_port) >= 0),
        }
        valid = drop_invalid(checks, lines, self._label, self._problems)
        return Flows(
            time=timed[0], src=src, dst=dst, src_port=src_port, dst_port=dst_port,
            protocol=protocol, valid=valid,
        )  # fmt: skip

    def _connection(self, flows: Flows, table: pa.Table, *, still_open: bool) -> None:
        """Add what only the connection log knows."""
        columns = table.column_names
        if "duration" in columns:
            flows.duration = durations_to_ns(table["duration"])
        for ours, theirs in _COUNTERS:
            if theirs in columns:
                setattr(flows, ours, counts(table[theirs]))
        if "conn_state" in columns:
            flows.outcome = mapped(table["conn_state"], _OUTCOMES, Outcome.UNKNOWN)
            # OTH is "no SYN seen" for TCP; Zeek uses it for any ICMP.
            midstream = mapped(table["conn_state"], _MIDSTREAM, Origin.OPENED)
            flows.origin = np.where(flows.protocol == Protocol.TCP, midstream, 0).astype(np.uint8)
        flows.kind = Kind.UPDATE if still_open else Kind.CONNECTION

    def _requests(self, flows: Flows, table: pa.Table) -> Chunk:
        """Return a burst for each HTTP request, and the hosts they name."""
        flows.protocol[:] = Protocol.TCP
        flows.kind = Kind.BURST
        if "request_body_len" in table.column_names:
            flows.bytes_out = counts(table["request_body_len"])
        if "response_body_len" in table.column_names:
            flows.bytes_in = counts(table["response_body_len"])
        return Chunk(records=record_table(flows), names=self._named(flows, table, "host"))

    def _named(self, flows: Flows, table: pa.Table, column: str) -> pa.Table | None:
        import pyarrow as pa

        if column not in table.column_names:
            return None
        names = _texts(table[column])
        rows = np.flatnonzero(flows.valid & _given(names))
        return name_table(
            flows.time[rows], flows.src[rows], flows.dst[rows], names.take(pa.array(rows)),
            dst_port=flows.dst_port[rows], protocol=flows.protocol[rows],
        )  # fmt: skip

    def _answers(self, flows: Flows, table: pa.Table) -> pa.Table | None:
        """Return which name each client was given for which address."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not {"query", "answers"} <= set(table.column_names):
            return None
        answers = table["answers"].combine_chunks()
        if not pa.types.is_list(answers.type):
            answers = pc.split_pattern(answers.cast(pa.string()), ",")
        parents = pc.list_parent_indices(answers).to_numpy(zero_copy_only=False)
        addresses, is_address = self._addresses.parse(pc.list_flatten(answers))
        queries = _texts(table["query"])
        keep = is_address & flows.valid[parents] & _given(queries)[parents]
        rows = parents[keep]
        return name_table(
            flows.time[rows], flows.src[rows], addresses[keep], queries.take(pa.array(rows))
        )


_COUNTERS = (
    ("bytes_out", "orig_bytes"), ("bytes_in", "resp_bytes"),
    ("packets_out", "orig_pkts"), ("packets_in", "resp_pkts"),
)  # fmt: skip


def _texts(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(column.cast(pa.string()), "").combine_chunks()
    return pc.if_else(pc.is_in(texts, pa.array(_NULLS)), "", texts)


def _given(texts: pa.Array) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    given: NDArray[np.bool_] = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return given
