"""Argus flows as CSV (``ra -c,``), the ``binetflow`` files of public data sets among them.

Argus reports a long connection every few seconds or minutes; :mod:`flow_pieces`
joins the pieces. Byte counts are those of Argus, headers included. Limit: the
columns must have Argus's names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.columns import (
    Flows,
    counts,
    distinct,
    drop_invalid,
    protocol_numbers,
)
from beacon_detect.readers.delimited import Layout, Rows, parse_block
from beacon_detect.readers.flow_pieces import FlowPieces, turned
from beacon_detect.readers.lines import LineBlock, first_lines, line_blocks
from beacon_detect.readers.timestamps import durations_to_ns, floats, seconds_to_ns, text_to_ns
from beacon_detect.records import Origin, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Chunk, Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

_TYPES = {
    "StartTime": "text", "Dur": "float", "Proto": "text", "SrcAddr": "text", "Sport": "text",
    "Dir": "text", "DstAddr": "text", "Dport": "text", "State": "text", "TotPkts": "float",
    "TotBytes": "float", "SrcBytes": "float", "SrcPkts": "float", "DstBytes": "float",
    "DstPkts": "float",
}  # fmt: skip
REQUIRED = {"StartTime", "SrcAddr", "DstAddr", "Proto"}
_SPELLINGS = {
    "stime": "StartTime", "dur": "Dur", "proto": "Proto", "saddr": "SrcAddr", "sport": "Sport",
    "dir": "Dir", "daddr": "DstAddr", "dport": "Dport", "state": "State", "pkts": "TotPkts",
    "bytes": "TotBytes", "sbytes": "SrcBytes", "spkts": "SrcPkts", "dbytes": "DstBytes",
    "dpkts": "DstPkts",
}  # fmt: skip
"""The fields as ``ra -s`` names them -> their titles."""
_SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68,
    "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123,
    "epmap": 135, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap2": 143,
    "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389, "https": 443,
    "microsoft-ds": 445, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995,
    "mysql": 3306, "ms-wbt-server": 3389, "postgresql": 5432, "mdns": 5353, "http-alt": 8080,
}  # fmt: skip
"""Ports by the names that ``ra`` prints for them unless told ``-n`` (IANA)."""


class ArgusReader:
    """Argus CSV."""

    name = "argus"
    title = "Argus CSV (binetflow)"

    def matches(self, head: bytes) -> bool:
        """Say whether the first line has Argus's column names."""
        lines = first_lines(head, 1)
        names = lines[0].decode("utf-8", "replace").split(",") if lines else []
        return set(_spelled(names)) >= REQUIRED and not {"StartTime", "saddr"}.isdisjoint(names)

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections."""
        addresses = AddressParser()
        pieces = FlowPieces.of_run(options.shared)
        layout: Layout | None = None
        for whole in line_blocks(source, problems):
            block = whole
            if layout is None:
                header, _, rest = block.data.partition(b"\n")
                names = _spelled(header.decode("utf-8", "replace").strip().split(","))
                types = {name: _TYPES[name] for name in names if name in _TYPES}
                layout = Layout(names, types, quoted=False)
                block = LineBlock(rest, block.first_line + 1)
                missing = sorted(REQUIRED - set(names))
                if missing:
                    problems.note(f"no column {missing[0]}: the file is not used", source.label)
                    return
            if block.data:
                rows = parse_block(block, layout, source.label, problems)
                yield from pieces.chunks(_flows(rows, addresses, source.label, problems))


def _spelled(names: list[str]) -> list[str]:
    """Return the columns under Argus's titles, each once."""
    titles = [_SPELLINGS.get(name.strip(), name.strip()) for name in names]
    return [f"{name}#{i}" if name in titles[:i] else name for i, name in enumerate(titles)]


def _flows(rows: Rows, addresses: AddressParser, label: str, problems: Problems) -> Flows:
    table = rows.table
    time, timed = _times(table["StartTime"])
    src, from_address = addresses.parse(table["SrcAddr"])
    dst, to_address = addresses.parse(table["DstAddr"])
    protocol, known = protocol_numbers(table["Proto"])
    no_ports = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMPV6)
    src_port, dst_port = (np.where(no_ports, 0, _ports(table, name)) for name in ("Sport", "Dport"))
    checks = {
        "no usable time": timed,
        "the source is no address": from_address,
        "the destination is no address": to_address,
        "not an IP protocol": known,
        "a port is out of range": (src_port >= 0) & (dst_port >= 0),
    }
    valid = drop_invalid(checks, rows.lines, label, problems)
    sent, received = _both_ways(table, "Bytes")
    packets, answers = _both_ways(table, "Pkts")
    flows = Flows(
        time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port, protocol=protocol,
        valid=valid, duration=durations_to_ns(table["Dur"]) if "Dur" in table.column_names else None,
        bytes_out=sent, bytes_in=received, packets_out=packets, packets_in=answers,
        origin=_origin(table, protocol),
    )  # fmt: skip
    return _opener_first(flows, table["Dir"]) if "Dir" in table.column_names else flows


def _times(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the times, which are dates and clock times, or epoch seconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = column.cast(pa.string())
    if pc.all(pc.match_substring_regex(texts, r"^\s*\d+(\.\d*)?\s*$")).as_py():
        return seconds_to_ns(floats(pc.utf8_trim_whitespace(texts).cast(pa.float64())))
    return text_to_ns(texts)


def _both_ways(table: pa.Table, what: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the source's and the destination's count, of which Argus may print one and the sum."""
    sent = _counts(table, f"Src{what}")
    if f"Dst{what}" in table.column_names:
        return sent, _counts(table, f"Dst{what}")
    return sent, np.maximum(_counts(table, f"Tot{what}") - sent, 0)


def _counts(table: pa.Table, name: str) -> NDArray[np.int64]:
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.int64)
    return counts(table[name])


def _ports(table: pa.Table, name: str) -> NDArray[np.int64]:
    """Return ports, decimal or ``0x`` hexadecimal; -1 for what is none, 0 for nothing."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.int64)
    codes, texts = distinct(table[name])
    values = np.array([_port(text) for text in texts], np.int64)
    return values[codes] if len(values) else np.zeros(len(codes), np.int64)


def _port(text: str | None) -> int:
    if not text or not text.strip():
        return 0
    try:
        number = int(text, 0)
    except ValueError:
        return _SERVICES.get(text.strip(), -1)
    return number if 0 <= number <= 65_535 else -1


def _origin(table: pa.Table, protocol: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return which TCP flows began before they were seen: their source sent no SYN.

    States are the flags of both sides (``SPA_SPA``), or words (``CON``: still open).
    """
    if "State" not in table.column_names:
        return np.zeros(len(protocol), np.uint8)
    codes, texts = distinct(table["State"])
    sides = [(text or "").partition("_") for text in texts]
    middle = np.array([(mark and "S" not in source) or source == "CON" for source, mark, _ in sides], bool)  # fmt: skip
    return np.where(middle[codes] & (protocol == Protocol.TCP), np.uint8(Origin.MIDSTREAM), np.uint8(0))  # fmt: skip


def _opener_first(flows: Flows, direction: pa.ChunkedArray) -> Flows:
    """Turn the rows round that Argus says the other side opened (``<-``)."""
    codes, texts = distinct(direction)
    answers = np.array([(text or "").strip() in {"<-", "<?"} for text in texts], bool)
    return turned(flows, answers[codes]) if len(texts) else flows
