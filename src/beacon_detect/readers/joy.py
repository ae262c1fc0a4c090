"""Cisco Joy's flows as JSON lines (also of Mercury's predecessor ``pcap2flow``).

Joy takes the side whose packet it saw first, or whose flow ended first, for the
source; a flow from a well-known port is turned round. Limit: the
DNS and TLS objects, packet lists and byte statistics are not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.columns import (
    AddressParser,
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

_NUMBERS = ("pr", "sp", "dp", "bytes_out", "num_pkts_out", "bytes_in", "num_pkts_in")
_FIELDS = re.compile(rb'"(sa|da|pr|time_start)"\s*:')


class JoyReader:
    """Joy's JSON lines."""

    name = "joy"
    title = "Cisco Joy JSON"

    def matches(self, head: bytes) -> bool:
        """Say whether the first objects have Joy's short field names.

        The first line may be Joy's configuration, and the next longer than the head.
        """
        found = {name for line in first_lines(head, 3) for name in _FIELDS.findall(line)}
        return head.lstrip().startswith(b"{") and {b"sa", b"da", b"pr", b"time_start"} <= found

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections."""
        addresses = AddressParser()
        pieces = FlowPieces.of_run(options.shared)
        objects_of = ObjectParser(_schema(), source.label, problems, options)
        for block in line_blocks(source, problems):
            objects = objects_of.parse(block)
            yield from pieces.chunks(_flows(objects, addresses, source.label, problems))


def _schema() -> pa.Schema:
    import pyarrow as pa

    fields = [("sa", pa.string()), ("da", pa.string())]
    fields += [("time_start", pa.float64()), ("time_end", pa.float64())]
    return pa.schema(fields + [(name, pa.int64()) for name in _NUMBERS])


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
        "no flow": table["sa"].is_valid().to_numpy(),
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
