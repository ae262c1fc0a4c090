"""NetFlow and IPFIX through nfdump: its CSV and JSON output, and its files where it is installed.

Both directions of a connection are flows of their own, and long ones come in
pieces; :mod:`flow_pieces` joins them. Byte counts are those of the exporter,
IP headers included. Limit: nfdump writes times in its own time zone and, as
CSV, in whole seconds; JSON with ``TZ=UTC`` is better.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from beacon_detect.readers import delimited, jsonlines
from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.columns import (
    Flows,
    counts,
    distinct,
    drop_invalid,
    integers,
    protocol_numbers,
)
from beacon_detect.readers.flow_pieces import FlowPieces, server_ports_last
from beacon_detect.readers.lines import LineBlock, first_lines, line_blocks
from beacon_detect.readers.timestamps import durations_to_ns, floats, seconds_to_ns, text_to_ns
from beacon_detect.records import Origin, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from beacon_detect.readers.base import Chunk, Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

_FLAG_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
_CSV = {
    "ts": "text", "td": "float", "sa": "text", "da": "text", "sp": "float", "dp": "float",
    "pr": "text", "flg": "text", "ipkt": "float", "ibyt": "float", "opkt": "float", "obyt": "float",
}  # fmt: skip
_CSV_SPELLINGS = {
    "firstseen": "ts", "duration": "td", "srcaddr": "sa", "dstaddr": "da", "srcport": "sp",
    "dstport": "dp", "proto": "pr", "flags": "flg", "packets": "ipkt", "bytes": "ibyt",
    "inpackets": "ipkt", "inbytes": "ibyt", "outpackets": "opkt", "outbytes": "obyt",
}  # fmt: skip
"""Columns of nfdump 1.7's other CSV -> those of the long one."""
_NOTHING = b"Nomatchingflows"
"""What nfdump prints instead of flows, without its spaces."""
_FORMAT = "fmt:%tsr,%ter,%sa,%da,%sp,%dp,%pr,%flg,%ipkt,%ibyt,%opkt,%obyt"


class _Pieces:
    """Columns named as in nfdump's CSV to chunks."""

    def __init__(self, label: str, problems: Problems, options: ReadOptions) -> None:
        self._addresses = AddressParser()
        self._label = label
        self._problems = problems
        self._pieces = FlowPieces.of_run(options.shared)

    def chunks(
        self, table: pa.Table, lines: Callable[[], npt.NDArray[np.int64]]
    ) -> Iterator[Chunk]:
        """Yield the connections that the flows are pieces of."""
        import pyarrow as pa

        stamp = table["ts"]
        numeric = pa.types.is_floating(stamp.type)
        time, timed = seconds_to_ns(floats(stamp)) if numeric else text_to_ns(stamp)
        src, from_address = self._addresses.parse(table["sa"])
        dst, to_address = self._addresses.parse(table["da"])
        protocol, known = protocol_numbers(table["pr"])
        no_ports = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMPV6)
        src_port, dst_port = (np.where(no_ports, 0, integers(table[n])) for n in ("sp", "dp"))
        flags = flag_bits(table["flg"])
        checks = {
            "no usable time": timed,
            "the source is no address": from_address,
            "the destination is no address": to_address,
            "not an IP protocol": known,
            "a port is out of range": (np.minimum(src_port, dst_port) >= 0)
            & (np.maximum(src_port, dst_port) < 65_536),
        }
        valid = drop_invalid(checks, lines, self._label, self._problems)
        # Without a SYN among its flags a TCP flow began before what is seen of it.
        middle = (protocol == Protocol.TCP) & (flags != 0) & (flags & 2 == 0)
        flows = Flows(
            time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port, protocol=protocol,
            valid=valid, duration=durations_to_ns(table["td"]), tcp_flags_out=flags,
            bytes_out=counts(table["ibyt"]), packets_out=counts(table["ipkt"]),
            bytes_in=_optional(table, "obyt"), packets_in=_optional(table, "opkt"),
            origin=np.where(middle, np.uint8(Origin.MIDSTREAM), np.uint8(Origin.OPENED)),
        )  # fmt: skip
        yield from self._pieces.chunks(server_ports_last(flows))


def _optional(table: pa.Table, name: str) -> npt.NDArray[np.int64] | None:
    return counts(table[name]) if name in table.column_names else None


def flag_bits(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Return TCP flags of texts like ``.AP.SF``; 0 where there are none."""
    codes, texts = distinct(column)
    table = np.array([_flags(text or "") for text in texts], np.uint8)
    return table[codes] if len(table) else np.zeros(len(codes), np.uint8)


def _flags(text: str) -> int:
    return sum({_FLAG_LETTERS.get(letter, 0) for letter in text})


class NfdumpCsvReader:
    """What ``nfdump -o csv`` prints."""

    name = "nfdump-csv"
    title = "nfdump's CSV"

    def matches(self, head: bytes) -> bool:
        """Say whether the first line is one of nfdump's headers."""
        lines = first_lines(head, 1)
        names = lines[0].decode("utf-8", "replace").split(",") if lines else []
        return {"ts", "sa", "da", "pr", "ipkt"} <= set(names) or (
            {"firstSeen", "srcAddr", "dstAddr"} <= set(names)
            and not {"packets", "inPackets"}.isdisjoint(names)
        )

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections; the summary at the end is left out."""
        pieces = _Pieces(source.label, problems, options)
        layout: delimited.Layout | None = None
        for whole in line_blocks(source, problems):
            block = whole
            if layout is None:
                header, _, rest = block.data.partition(b"\n")
                names = [_spelled(name) for name in header.decode("utf-8", "replace").split(",")]
                types = {name: _CSV[name] for name in names if name in _CSV}
                layout = delimited.Layout(names, types, quoted=False)
                block = LineBlock(rest, block.first_line + 1)
            ended = re.search(rb"(?m)^Summary\r?$", block.data)
            if ended:
                block = LineBlock(block.data[: ended.start()], block.first_line)
            if block.data:
                rows = delimited.parse_block(block, layout, source.label, problems)
                yield from pieces.chunks(_complete(rows.table), rows.lines)
            if ended:
                break


def _spelled(name: str) -> str:
    plain = name.strip()
    return _CSV_SPELLINGS.get(plain.lower(), plain)


def _complete(table: pa.Table) -> pa.Table:
    """Add the columns that the file lacks."""
    import pyarrow as pa

    for name, kind in _CSV.items():
        if name not in table.column_names:
            empty = pa.nulls(table.num_rows, pa.float64() if kind == "float" else pa.string())
            table = table.append_column(name, empty)
    return table


_JSON = (
    ("first", "last", "src4_addr", "src6_addr", "dst4_addr", "dst6_addr", "tcp_flags"),
    ("proto", "src_port", "dst_port", "in_packets", "in_bytes", "out_packets", "out_bytes"),
)
"""Fields of nfdump's JSON: texts, numbers."""


class NfdumpJsonReader:
    """What ``nfdump -o json`` prints: one array, each value on a line of its own."""

    name = "nfdump-json"
    title = "nfdump's JSON"

    def matches(self, head: bytes) -> bool:
        """Say whether the file begins with nfdump's first object."""
        start = head[:2048]
        return b"_addr" in start and b'"in_packets"' in start and b'"first"' in start

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections."""
        import pyarrow as pa

        pieces = _Pieces(source.label, problems, options)
        texts, numbers = _JSON
        schema = pa.schema(
            [(name, pa.string()) for name in texts] + [(name, pa.int64()) for name in numbers]
        )
        for block in _one_object_a_line(source, problems):
            objects = jsonlines.parse_block(block, schema, source.label, problems)
            yield from pieces.chunks(_like_csv(objects.table), objects.lines)


def _one_object_a_line(source: Source, problems: Problems) -> Iterator[LineBlock]:
    """Rewrite blocks of the array as JSON lines; line numbers become those of objects."""
    rest = b""
    objects = 1
    for block in line_blocks(source, problems):
        text = rest + block.data
        cut = text.rfind(b"}") + 1
        rest = text[cut:]
        flat = re.sub(rb"\}\s*,?\s*\{", b"}\n{", text[:cut].translate(None, b"\n\r\t"))
        flat = flat.lstrip(b"[, \n") + b"\n"
        if flat.strip():
            yield LineBlock(flat, objects)
        objects += flat.count(b"\n")


def _like_csv(table: pa.Table) -> pa.Table:
    """Return the columns under the names of the CSV."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, timed = text_to_ns(table["first"])
    last, ended = text_to_ns(table["last"])
    duration = np.where(timed & ended, (last - first) / 1e9, 0.0)
    columns = {
        "ts": table["first"],
        "td": pa.chunked_array([pa.array(duration)]),
        "sa": pc.coalesce(table["src4_addr"], table["src6_addr"]),
        "da": pc.coalesce(table["dst4_addr"], table["dst6_addr"]),
        "sp": table["src_port"],
        "dp": table["dst_port"],
        "pr": table["proto"].cast(pa.string()),
        "flg": table["tcp_flags"],
        "ipkt": table["in_packets"],
        "ibyt": table["in_bytes"],
        "opkt": table["out_packets"],
        "obyt": table["out_bytes"],
    }
    return pa.table(columns)


class NfdumpReader:
    """nfdump's own binary files, read by the program."""

    name = "nfdump"
    title = "nfdump file (needs the program nfdump)"

    def matches(self, head: bytes) -> bool:
        """Say whether the file has nfdump's magic number and a version that exists."""
        return head[:2] in {b"\x0c\xa5", b"\xa5\x0c"} and head[2:4] in {b"\1\0", b"\2\0", b"\0\1", b"\0\2"}  # fmt: skip

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections from what nfdump prints."""
        if not self.matches(source.head):
            problems.note("no file of nfdump's: its first bytes say otherwise", source.label)
            return
        program = shutil.which("nfdump")
        if program is None:
            problems.note("reading it needs the program nfdump, which is not installed", source.label)  # fmt: skip
            return
        pieces = _Pieces(source.label, problems, options)
        types = {"ts": "float", "te": "float"} | {
            k: v for k, v in _CSV.items() if k not in {"ts", "td"}
        }
        layout = delimited.Layout(tuple(types), types, quoted=False)
        with tempfile.NamedTemporaryFile() as copy, tempfile.TemporaryFile() as complaints:
            path = _plain_file(source, copy)
            command = [program, "-q", "-6", "-r", path, "-o", _FORMAT]
            environment = {**os.environ, "TZ": "UTC"}
            read = False
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=complaints, env=environment
            ) as running:
                printed = _Printed(running.stdout)
                for block in line_blocks(printed, problems):
                    # nfdump pads its columns with spaces.
                    text = block.data.replace(b" ", b"")
                    if text.startswith(_NOTHING):
                        continue
                    read = True
                    data = LineBlock(text, block.first_line)
                    rows = delimited.parse_block(data, layout, source.label, problems)
                    yield from pieces.chunks(_with_duration(rows.table), rows.lines)
            complaints.seek(0)
            said = " ".join(complaints.read(200).decode("utf-8", "replace").split())
            # Of a file that is cut it reads nothing, says why, and ends as if all were well.
            if running.returncode or (said and not read):
                problems.note(f"nfdump failed: {said}", source.label)


def _with_duration(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    return table.append_column("td", pc.subtract(table["te"], table["ts"]))


def _plain_file(source: Source, copy: IO[bytes]) -> str:
    """Return the path of the file as nfdump can read it."""
    if source.path is not None and not source.compressed:
        return str(source.path)
    while data := source.read(1 << 20):
        copy.write(data)
    copy.flush()
    return copy.name


class _Printed:
    """The output of a program, read like a source."""

    label = "nfdump"

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream
        self._pending = b""

    def read(self, size: int) -> bytes:
        if self._pending:
            pending, self._pending = self._pending, b""
            return pending
        return self._stream.read(size) if self._stream is not None else b""

    def unread(self, data: bytes) -> None:
        self._pending = data
