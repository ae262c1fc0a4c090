"""Comma-separated connections with a header; columns found by their names or by ``--map``.

For exports of other tools and one's own scripts. Needed are a time, a source
and a destination; everything else is optional. Limit: one connection per line,
no quoted newlines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.errors import DataError
from beacon_detect.readers.base import Chunk, Problems, ReadOptions
from beacon_detect.readers.columns import (
    AddressParser,
    Flows,
    counts,
    drop_invalid,
    integers,
    protocol_numbers,
    record_table,
)
from beacon_detect.readers.delimited import Layout, Rows, parse_block
from beacon_detect.readers.lines import LineBlock, first_lines, line_blocks
from beacon_detect.readers.timestamps import durations_to_ns, epoch_to_ns, floats, text_to_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.inputs import Source

SYNONYMS: dict[str, tuple[str, ...]] = {
    "ts": (
        "ts", "time", "timestamp", "starttime", "start", "stime", "firstseen", "first", "datetime",
        "date", "flowstart", "starttimestamp", "flowstartmilliseconds", "eventtime", "timestart",
    ),
    "src": (
        "src", "srcip", "sourceip", "source", "srcaddr", "sourceaddress", "saddr", "sa", "idorigh",
        "origh", "ipsrc", "clientip", "client", "sip", "sourceipv4address", "srcipaddress",
    ),
    "sport": ("sport", "srcport", "sourceport", "sp", "idorigp", "origp", "spt",
              "sourcetransportport"),
    "dst": (
        "dst", "dstip", "destip", "destinationip", "destination", "dest", "dstaddr", "daddr", "da",
        "destinationaddress", "idresph", "resph", "ipdst", "serverip", "server", "dip",
        "destinationipv4address", "destaddress", "dstipaddress",
    ),
    "dport": ("dport", "dstport", "destport", "destinationport", "dp", "idrespp", "respp", "dpt",
              "port", "destinationtransportport"),
    "proto": ("proto", "protocol", "pr", "prot", "ipproto", "transport", "protocolidentifier"),
    "orig_bytes": ("origbytes", "bytesout", "outbytes", "sentbytes", "bytessent", "srcbytes",
                   "sbytes", "bytestoserver", "ibyt", "bytes", "totbytes", "totalbytes"),
    "resp_bytes": ("respbytes", "bytesin", "inbytes", "receivedbytes", "bytesreceived", "rcvdbytes",
                   "dstbytes", "dbytes", "bytestoclient", "obyt", "revbytes"),
    "duration": ("duration", "dur", "td", "flowduration", "elapsed", "durationseconds"),
    "name": ("name", "host", "hostname", "sni", "servername", "domain", "fqdn", "desthost",
             "destinationhostname"),
}  # fmt: skip
"""Our column (the names of ``--map``) -> spellings found in files, letters and digits only."""

REQUIRED = ("ts", "src", "dst")
_DELIMITERS = (",", "\t", ";", "|")
_NULLS = ("", "-", "null", "NULL", "None", "nan", "NaN", "N/A", "n/a")
_NUMBER = re.compile(rb"^\s*\"?[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\"?\s*$")


def split_header(line: bytes) -> tuple[list[str], str]:
    """Return the column names of a header line and its delimiter."""
    text = line.decode("utf-8", "replace").lstrip("#").strip()
    delimiter = max(_DELIMITERS, key=text.count)
    return [column.strip().strip('"').strip() for column in text.split(delimiter)], delimiter


def find_columns(names: list[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return our column -> the file's column, by ``--map`` first, by synonym otherwise."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    found = {
        ours: next(plain[synonym] for synonym in synonyms if synonym in plain)
        for ours, synonyms in SYNONYMS.items()
        if any(synonym in plain for synonym in synonyms)
    }
    return found | dict(chosen)


class CsvReader:
    """CSV with a header line."""

    name = "csv"
    title = "CSV with a header (ts, src, dst, …)"

    def matches(self, head: bytes) -> bool:
        """Say whether the first line names a time, a source and a destination."""
        lines = first_lines(head, 1)
        if not lines or lines[0].startswith(b"{") or b"\0" in lines[0]:
            return False
        names, _ = split_header(lines[0])
        return len(names) >= len(REQUIRED) and set(REQUIRED) <= find_columns(names, {}).keys()

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the connections of the file.

        Raises
        ------
        DataError
            A needed column is not there, or ``--map`` names one that is not.
        """
        layout: Layout | None = None
        columns: dict[str, str] = {}
        addresses = AddressParser()
        for whole in line_blocks(source, problems):
            block = whole
            if layout is None:
                layout, columns, block = _open(block, source, options)
            if block.data:
                rows = parse_block(block, layout, source.label, problems)
                yield _chunk(rows, columns, layout, addresses, source.label, problems)


def _open(
    block: LineBlock, source: Source, options: ReadOptions
) -> tuple[Layout, dict[str, str], LineBlock]:
    """Read the header; return the layout, the columns and the block without the header."""
    data, line, label = block.data, block.first_line, source.label
    while data and not data.split(b"\n", 1)[0].strip():
        data, line = data.partition(b"\n")[2], line + 1
    header, _, rest = data.partition(b"\n")
    names, delimiter = split_header(header)
    columns = find_columns(names, options.columns)
    for ours, theirs in columns.items():
        if theirs not in names:
            raise DataError(
                f"{label}: no column {theirs!r} (for {ours})",
                hint=f"the columns are: {', '.join(names)}",
            )
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise DataError(
            f"{label}: no column for {', '.join(missing)} among {', '.join(names)}",
            hint=f"say which it is, for example --map {missing[0]}={names[0]}",
        )
    # From the head: this block may hold nothing but the header.
    example = first_lines(source.head, 40)[1:2]
    example = example[0].split(delimiter.encode()) if example else []
    place = names.index(columns["ts"])
    numeric = place < len(example) and bool(_NUMBER.match(example[place]))
    kinds = {"ts": "float" if numeric else "unique", "src": "text", "dst": "text", "proto": "text",
             "name": "text"}  # fmt: skip
    types = {theirs: kinds.get(ours, "float") for ours, theirs in columns.items()}
    names = [f"{name}#{i}" if name in names[:i] else name for i, name in enumerate(names)]
    layout = Layout(names, types, delimiter, nulls=_NULLS)
    return layout, columns, LineBlock(rest, line + 1)


def _chunk(
    rows: Rows,
    columns: dict[str, str],
    layout: Layout,
    addresses: AddressParser,
    label: str,
    problems: Problems,
) -> Chunk:
    table = rows.table

    def column(ours: str) -> pa.ChunkedArray | None:
        return table[columns[ours]] if ours in columns else None

    if layout.types[columns["ts"]] == "float":
        time, timed = epoch_to_ns(floats(table[columns["ts"]]))
    else:
        time, timed = text_to_ns(table[columns["ts"]])
    src, from_address = addresses.parse(table[columns["src"]])
    dst, to_address = addresses.parse(table[columns["dst"]])
    protocol, known = _protocol(column("proto"), len(time))
    src_port, dst_port = _port(column("sport"), len(time)), _port(column("dport"), len(time))
    in_range = _is_port(src_port) & _is_port(dst_port)
    checks = {
        "no usable time": timed,
        "the source is no address": from_address,
        "the destination is no address": to_address,
        "not an IP protocol": known,
        "a port is out of range": in_range,
    }
    lengths, sent, received = column("duration"), column("orig_bytes"), column("resp_bytes")
    flows = Flows(
        time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port, protocol=protocol,
        valid=drop_invalid(checks, rows.lines, label, problems),
        duration=None if lengths is None else durations_to_ns(lengths),
        bytes_out=None if sent is None else counts(sent),
        bytes_in=None if received is None else counts(received),
        name=_name(column("name")),
    )  # fmt: skip
    return Chunk(records=record_table(flows))


def _protocol(
    column: pa.ChunkedArray | None, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the protocols; TCP where the file does not say."""
    if column is None:
        return np.full(count, 6, np.uint8), np.ones(count, bool)
    return protocol_numbers(column)


def _port(column: pa.ChunkedArray | None, count: int) -> NDArray[np.int64]:
    return np.zeros(count, np.int64) if column is None else integers(column)


def _is_port(ports: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (ports >= 0) & (ports <= 65_535)


def _name(column: pa.ChunkedArray | None) -> pa.Array | None:
    """Return the names, missing ones empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column is None:
        return None
    texts = pc.fill_null(column.cast(pa.string()), "")
    return pc.if_else(pc.is_in(texts, pa.array(_NULLS)), "", texts).combine_chunks()
