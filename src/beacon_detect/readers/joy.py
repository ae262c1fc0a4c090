"""Cisco Joy's flows as JSON lines (also of Mercury's predecessor ``pcap2flow``).

Joy takes the side whose packet it saw first, or whose flow ended first, for the
source; a flow from a well-known port is turned round. Limit: the
DNS and TLS objects, packet lists and byte statistics are not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.columns import (
    Flows,
    counts,
    drop_invalid,
    integers,
)
from beacon_detect.readers.flow_pieces import FlowPieces, server_ports_last
from beacon_detect.readers.jsonlines import ObjectParser, Objects
from beacon_detect.readers.lines import first_lines, line_blocks
from beacon_detect.readers.timestamps import floats, seconds_to_ns
from beacon_detect.records import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from beacon_detect.readers.base import Chunk, Problems, ReadOptions
    from beacon_detect.readers.inputs import Source

_TIMES = ("time_start", "time_end")
_NUMBERS = ("pr", "sp", "dp", "bytes_out", "num_pkts_out", "bytes_in", "num_pkts_in")
_OLDER = {
    "time_start": ("ts_start", "ts"), "time_end": ("ts_end", "te"), "bytes_out": ("ob",),
    "num_pkts_out": ("op",), "bytes_in": ("ib",), "num_pkts_in": ("ip",),
}  # fmt: skip
"""Our spelling, which is that of Joy 2 and later -> older ones."""
_FIELDS = re.compile(rb'"(sa|da|pr|time_start|ts_start|ts)"\s*:')


class JoyReader:
    """Joy's JSON lines."""

    name = "joy"
    title = "Cisco Joy JSON"

    def matches(self, head: bytes) -> bool:
        """Say whether the first objects have Joy's short field names.

        The first line may be Joy's configuration, and the next longer than the head.
        """
        found = {name for line in first_lines(head, 3) for name in _FIELDS.findall(line)}
        return head.lstrip().startswith(b"{") and {b"sa", b"da", b"pr"} < found

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections."""
        addresses = AddressParser()
        pieces = FlowPieces.of_run(options.shared)
        spelled = _spelling(source.head)
        objects_of = ObjectParser(_schema(spelled), source.label, problems)
        for block in line_blocks(source, problems):
            objects = objects_of.parse(block)
            named = objects.table.rename_columns(["sa", "da", *_TIMES, *_NUMBERS])
            objects = _without_settings(Objects(named, objects.lines), problems)
            yield from pieces.chunks(_flows(objects, addresses, source.label, problems))


def _spelling(head: bytes) -> dict[str, str]:
    """Return our name of each field -> the file's."""
    keys = {key.decode() for key in re.findall(rb'"(\w+)"\s*:\s*[-\d.]', head)}
    names = (*_TIMES, *_NUMBERS)
    return {
        name: next((old for old in (name, *_OLDER.get(name, ())) if old in keys), name)
        for name in names
    }


def _schema(spelled: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    fields = [("sa", pa.string()), ("da", pa.string())]
    fields += [(spelled[name], pa.float64()) for name in _TIMES]
    return pa.schema(fields + [(spelled[name], pa.int64()) for name in _NUMBERS])


def _without_settings(objects: Objects, problems: Problems) -> Objects:
    """Leave out the objects that tell of Joy itself: its settings at the beginning."""
    import pyarrow as pa

    is_flow = objects.table["sa"].is_valid().to_numpy()
    if is_flow.all():
        return objects
    rows = np.flatnonzero(is_flow)
    problems.leave("lines of Joy's settings", len(is_flow) - len(rows))
    return Objects(objects.table.take(pa.array(rows)), lambda: objects.lines()[rows])


def _flows(objects: Objects, addresses: AddressParser, label: str, problems: Problems) -> Flows:
    table = objects.table
    start, started = seconds_to_ns(floats(table["time_start"]))
    end, ended = seconds_to_ns(floats(table["time_end"]))
    # Of a flow whose answer was seen first, the two are exchanged.
    time = np.where(ended, np.minimum(start, end), start)
    src, from_address = addresses.parse(table["sa"])
    dst, to_address = addresses.parse(table["da"])
    protocol = integers(table["pr"], 255)
    no_ports = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMPV6)
    src_port, dst_port = (np.where(no_ports, 0, integers(table[name])) for name in ("sp", "dp"))
    checks = {
        "no usable time": started,
        "the source is no address": from_address,
        "the destination is no address": to_address,
        "not an IP protocol": (protocol >= 0) & (protocol < 255),
        "a port is out of range": (np.minimum(src_port, dst_port) >= 0)
        & (np.maximum(src_port, dst_port) < 65_536),
    }
    flows = Flows(
        time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port,
        protocol=np.clip(protocol, 0, 255).astype(np.uint8),
        valid=drop_invalid(checks, objects.lines, label, problems),
        duration=np.where(ended, np.abs(end - start), 0),
        bytes_out=counts(table["bytes_out"]), bytes_in=counts(table["bytes_in"]),
        packets_out=counts(table["num_pkts_out"]), packets_in=counts(table["num_pkts_in"]),
    )  # fmt: skip
    return server_ports_last(flows)
