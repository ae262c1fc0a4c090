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
from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.base import Chunk, Problems, ReadOptions
from beacon_detect.readers.columns import (
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
        "timegenerated", "timegeneratedutc", "tsstart", "begin", "eventstart", "utctime",
        "receivetime", "generatetime", "timelogged",
    ),
    "src": (
        "src", "srcip", "sourceip", "source", "srcaddr", "sourceaddress", "saddr", "sa", "idorigh",
        "origh", "ipsrc", "clientip", "client", "sip", "sourceipv4address", "srcipaddress",
        "localip", "localaddress",
    ),
    "sport": ("sport", "srcport", "sourceport", "sp", "idorigp", "origp", "spt",
              "sourcetransportport", "localport"),
    "dst": (
        "dst", "dstip", "destip", "destinationip", "destination", "dest", "dstaddr", "daddr", "da",
        "destinationaddress", "idresph", "resph", "ipdst", "serverip", "server", "dip",
        "destinationipv4address", "destaddress", "dstipaddress", "remoteip", "remoteaddress",
    ),
    "dport": ("dport", "dsport", "dstport", "destport", "destinationport", "dp", "idrespp", "respp", "dpt",
              "port", "destinationtransportport", "remoteport"),
    "proto": ("proto", "protocol", "pr", "prot", "ipproto", "transport", "protocolidentifier",
              "ipprotocol"),
    "orig_bytes": ("origbytes", "bytesout", "outbytes", "sentbytes", "bytessent", "srcbytes",
                   "sbytes", "sourcebytes", "bytestoserver", "totlenfwdpkts", "totallengthoffwdpackets",
                   "ibyt", "bytes", "totbytes", "totalbytes"),
    "resp_bytes": ("respbytes", "bytesin", "inbytes", "receivedbytes", "bytesreceived", "rcvdbytes",
                   "dstbytes", "dbytes", "destinationbytes", "bytestoclient", "totlenbwdpkts",
                   "totallengthofbwdpackets", "obyt", "revbytes"),
    "duration": ("duration", "dur", "td", "elapsed", "durationseconds", "elapsedtimesec",
                 "flowduration", "flowdurationmilliseconds", "eventduration", "durationms"),
    "name": ("name", "host", "hostname", "sni", "servername", "domain", "fqdn", "desthost",
             "destinationhostname"),
}  # fmt: skip
"""Our column (the names of ``--map``) -> spellings found in files, letters and digits only."""

REQUIRED = ("ts", "src", "dst")
_UNITS = {"flowduration": 1e-6, "flowdurationmilliseconds": 1e-3, "durationms": 1e-3,
          "eventduration": 1e-9}  # fmt: skip
"""Seconds of one unit of a duration: CICFlowMeter's, IPFIX's, and the Elastic Common Schema's."""
_SHOWN = 400
"""Letters of a header that a message shows."""
_DELIMITERS = (",", "\t", ";", "|")
_HEADER_LINES = 10
"""A header may come behind comments and empty lines, but not later than this."""
_NULLS = ("", "-", "null", "NULL", "None", "nan", "NaN", "N/A", "n/a")
_CLOCK = re.compile(rb"\d{1,2}:\d{2}")
_EXCEL = re.compile(rb"sep=.\s*$", re.IGNORECASE)
"""A line that tells Excel the delimiter."""
_NUMBER = re.compile(rb"^\s*\"?[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\"?\s*$")


def split_header(line: bytes) -> tuple[list[str], str]:
    """Return the column names of a header line and its delimiter."""
    text = line.decode("utf-8", "replace").lstrip("#").strip()
    # As the W3C's format and the Windows firewall begin it.
    text = text.removeprefix("Fields:").lstrip()
    # A space is part of names, too, unless nothing else is there to tell them apart.
    delimiter = max(_DELIMITERS, key=text.count) if any(map(text.count, _DELIMITERS)) else " "
    return [column.strip().strip('"').strip() for column in text.split(delimiter)], delimiter


def find_columns(names: list[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return our column -> the file's column, by ``--map`` first, by synonym otherwise."""
    plain = {_plain(name): name for name in reversed(names)}
    found = {
        ours: next(plain[synonym] for synonym in synonyms if synonym in plain)
        for ours, synonyms in SYNONYMS.items()
        if any(synonym in plain for synonym in synonyms)
    }
    return found | dict(chosen)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_header(lines: list[bytes], chosen: Mapping[str, str]) -> int | None:
    """Return which of the first lines is the header: the first that names what is needed."""
    for place, line in enumerate(lines[:_HEADER_LINES]):
        if b"\0" in line or line.startswith(b"{"):
            return None
        if b"  " in line and not any(mark.encode() in line for mark in _DELIMITERS):
            return None  # a table that is padded for people
        names, _ = split_header(line)
        if len(names) >= len(REQUIRED) and set(REQUIRED) <= find_columns(names, chosen).keys():
            return place
        if line.strip() and not line.startswith(b"#") and not _EXCEL.match(line):
            return None
    return None


class CsvReader:
    """CSV with a header line."""

    name = "csv"
    title = "CSV with a header (ts, src, dst, …)"

    def matches(self, head: bytes) -> bool:
        """Say whether the first line, comments aside, names a time, a source and a destination."""
        return find_header(first_lines(head, _HEADER_LINES), {}) is not None

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
    label = source.label
    lines = block.data.split(b"\n", _HEADER_LINES)[:_HEADER_LINES]
    place = find_header(lines, options.columns)
    if place is None:
        place = next((i for i, text in enumerate(lines) if text.strip()), 0)
    *_, rest = block.data.split(b"\n", place + 1)
    if place + 1 > block.data.count(b"\n"):
        rest = b""
    names, delimiter = split_header(lines[place])
    columns = _checked(names, options, label)
    # From the head: this block may hold nothing but the header.
    shown = first_lines(source.head, 40)
    begin = shown.index(lines[place].strip()) + 1 if lines[place].strip() in shown else 1
    values = [value.strip().strip(b'"') for value in b"".join(shown[begin : begin + 1]).split(delimiter.encode())]  # fmt: skip
    at = names.index(columns["ts"])
    example = values[at] if at < len(values) else b""
    kinds = {"ts": "float" if _NUMBER.match(example) else "unique", "date": "unique",
             "src": "text", "dst": "text", "proto": "text", "name": "text"}  # fmt: skip
    date = next((name for name in names if _plain(name) == "date"), "")
    if date and date != columns["ts"] and _CLOCK.match(example):
        columns["date"] = date
    types = {theirs: kinds.get(ours, "float") for ours, theirs in columns.items()}
    names = [f"{name}#{i}" if name in names[:i] else name for i, name in enumerate(names)]
    layout = Layout(names, types, delimiter, nulls=_NULLS)
    return layout, columns, LineBlock(rest, block.first_line + place + 1)


def _checked(names: list[str], options: ReadOptions, label: str) -> dict[str, str]:
    """Return our columns and the file's.

    Raises
    ------
    DataError
        As for :meth:`CsvReader.read`.
    """
    columns = find_columns(names, options.columns)
    for ours, theirs in columns.items():
        if theirs not in names:
            raise DataError(
                f"{label}: no column {theirs!r} (for {ours})",
                hint=f"the columns are: {_shown(names)}",
            )
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise DataError(
            f"{label}: no column for {', '.join(missing)} among {_shown(names)}",
            hint=f"say which it is, for example --map {missing[0]}={_shown(names[:1])}",
        )
    return columns


def _shown(names: list[str]) -> str:
    """Return the names for a message; a forced file may be anything, and no line of text."""
    text = ", ".join(names)
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
    return plain + ("…" if len(text) > _SHOWN else "")


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

    time, timed = _times(table, columns, layout)
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
        duration=None if lengths is None else _lengths(lengths, columns["duration"]),
        bytes_out=None if sent is None else counts(sent),
        bytes_in=None if received is None else counts(received),
        name=_name(column("name")),
    )  # fmt: skip
    return Chunk(records=record_table(flows))


def _times(
    table: pa.Table, columns: dict[str, str], layout: Layout
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    import pyarrow.compute as pc

    stamp = table[columns["ts"]]
    if layout.types[columns["ts"]] == "float":
        return epoch_to_ns(floats(stamp))
    if "date" in columns:
        stamp = pc.binary_join_element_wise(table[columns["date"]], stamp, " ")
    return text_to_ns(stamp)


def _lengths(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    unit = _UNITS.get(_plain(name))
    return durations_to_ns(column if unit is None else pc.multiply(column, unit))


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
