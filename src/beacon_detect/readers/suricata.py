"""Suricata's ``eve.json``: connections from ``flow``, requests from ``http``, names from ``tls``, ``quic`` and ``dns``.

Where ``flow`` is not logged but ``netflow`` is, its one-way pieces are put
together (:mod:`flow_pieces`). Lines of other events are stepped over before they
are parsed. Limit: a flow is reported when it has ended, so one that is still
open is not in the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import (
    Flows,
    counts,
    drop_invalid,
    integers,
    mapped,
    name_table,
    protocol_numbers,
    record_table,
)
from beacon_detect.readers.flow_pieces import FlowPieces, server_ports_last
from beacon_detect.readers.jsonlines import ObjectParser, pick_lines
from beacon_detect.readers.lines import first_lines, line_blocks
from beacon_detect.readers.timestamps import text_to_ns
from beacon_detect.records import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems, ReadOptions
    from beacon_detect.readers.inputs import Source
    from beacon_detect.readers.jsonlines import Block, Objects, PickedLines

EVENTS = (b"flow", b"http", b"tls", b"quic", b"dns")
_ONE_WAY = b"netflow"
_OUTCOMES = {
    "new": Outcome.UNANSWERED, "established": Outcome.IDLE, "closed": Outcome.CLOSED,
    "bypassed": Outcome.ESTABLISHED,
}  # fmt: skip
_EVENT = re.compile(rb'"event_type"\s*:\s*"')


class SuricataReader:
    """Suricata's event log."""

    name = "suricata"
    title = "Suricata eve.json"

    def matches(self, head: bytes) -> bool:
        """Say whether the first objects are Suricata's events."""
        return any(
            line.startswith(b"{") and b'"timestamp"' in line and _EVENT.search(line)
            for line in first_lines(head, 5)
        )

    def read(self, source: Source, problems: Problems, options: ReadOptions) -> Iterator[Chunk]:
        """Yield connections, requests and names."""
        events = _Events(source, problems, options)
        for block in line_blocks(source, problems):
            found, rest = events.flows_of(block)
            if found is not None:
                yield from events.chunks_of("flow", found)
            picked, others = pick_lines(rest, b"event_type", events.wanted)
            problems.note("no event", f"{source.label}:{block.first_line}", others)
            for event, lines in picked.items():
                if lines.data:
                    yield from events.chunks(event.decode(), lines)


class _Events:
    """Lines of one kind of event to chunks."""

    def __init__(self, source: Source, problems: Problems, options: ReadOptions) -> None:
        self._addresses = AddressParser()
        self._pieces = FlowPieces.of_run(options.shared)
        self._label = label = source.label
        self._problems = problems
        seen = set(re.findall(rb'"event_type"\s*:\s*"(flow|netflow)"', source.head))
        self.wanted = EVENTS if seen != {_ONE_WAY} else (*EVENTS[1:], _ONE_WAY)
        """Events that are used; of two that tell of the same connections, one."""
        self._mixed = ObjectParser(schema_of("flow"), label, problems)
        self._parsers = {
            event.decode(): ObjectParser(schema_of(event.decode()), label, problems)
            for event in self.wanted
        }

    def flows_of(self, block: Block) -> tuple[Objects | None, Block]:
        """Return the flow events of a block where that is quickly done, and the other lines."""
        if _ONE_WAY in self.wanted:
            return None, block
        return self._mixed.split(block, "event_type", "flow")

    def chunks(self, event: str, lines: PickedLines) -> Iterator[Chunk]:
        """Yield what the events in some lines say."""
        yield from self.chunks_of(event, self._parsers[event].parse(lines))

    def chunks_of(self, event: str, objects: Objects) -> Iterator[Chunk]:
        """Yield what parsed events say."""
        flows = self._flows(event, objects)
        if event == "flow":
            yield Chunk(records=record_table(self._ended(flows, objects.table)))
        elif event == "netflow":
            yield from self._pieces.chunks(server_ports_last(self._one_way(flows, objects.table)))
        elif event == "http":
            flows.kind = Kind.BURST
            yield Chunk(records=record_table(flows))
            yield Chunk(names=self._named(flows, objects.table, "http", "hostname"))
        elif event in {"tls", "quic"}:
            yield Chunk(names=self._named(flows, objects.table, event, "sni"))
        else:
            yield from self._answers(flows, objects.table)

    def _flows(self, event: str, objects: Objects) -> Flows:
        table = objects.table
        spans = event in {"flow", "netflow"}
        stamp = field(table, event, "start") if spans else table["timestamp"]
        time, timed = text_to_ns(stamp)
        src, from_address = self._addresses.parse(table["src_ip"])
        dst, to_address = self._addresses.parse(table["dest_ip"])
        protocol, known = protocol_numbers(table["proto"])
        src_port, dst_port = integers(table["src_port"]), integers(table["dest_port"])
        in_range = (np.minimum(src_port, dst_port) >= 0) & (np.maximum(src_port, dst_port) < 65_536)
        checks = {
            "no usable time": timed,
            "the source is no address": from_address,
            "the destination is no address": to_address,
            "not an IP protocol": known,
            "a port is out of range": in_range,
        }
        valid = drop_invalid(checks, objects.lines, self._label, self._problems)
        return Flows(
            time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port, protocol=protocol,
            valid=valid,
        )  # fmt: skip

    def _ended(self, flows: Flows, table: pa.Table) -> Flows:
        """Add what the flow event knows of its end."""
        end, ended = text_to_ns(field(table, "flow", "end"))
        flows.duration = np.where(ended, np.maximum(end - flows.time, 0), 0)
        for ours, theirs in _COUNTERS:
            setattr(flows, ours, counts(field(table, "flow", theirs)))
        flows.outcome = mapped(field(table, "flow", "state"), _OUTCOMES, Outcome.UNKNOWN)
        return flows

    def _one_way(self, flows: Flows, table: pa.Table) -> Flows:
        """Add what a netflow event knows of its direction."""
        end, ended = text_to_ns(field(table, "netflow", "end"))
        flows.duration = np.where(ended, np.maximum(end - flows.time, 0), 0)
        flows.bytes_out = counts(field(table, "netflow", "bytes"))
        flows.packets_out = counts(field(table, "netflow", "pkts"))
        return flows

    def _named(self, flows: Flows, table: pa.Table, struct: str, key: str) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.fill_null(field(table, struct, key), "")
        given = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(flows.valid & given)
        return name_table(
            flows.time[rows], flows.src[rows], flows.dst[rows], texts.take(pa.array(rows)),
            dst_port=flows.dst_port[rows], protocol=flows.protocol[rows],
        )  # fmt: skip

    def _answers(self, flows: Flows, table: pa.Table) -> Iterator[Chunk]:
        """Yield the addresses of DNS answers, in the shapes of Suricata 4 to 8.

        In the client's view of an answer source and destination stay those of
        the question, but old versions turn them round with the packet.
        """
        import pyarrow.compute as pc

        dns = table["dns"].combine_chunks()
        name = pc.fill_null(pc.coalesce(pc.struct_field(dns, "rrname"), question_name(dns)), "")
        turned = (flows.src_port == 53) & (flows.dst_port != 53)
        client = np.where(turned[:, None], flows.dst, flows.src)
        everything = np.arange(len(flows.time))
        single = pc.struct_field(dns, "rdata")
        yield self._addressed(flows, client, name, everything, single)
        listed = pc.struct_field(dns, "answers")
        inner = pc.list_flatten(listed)
        parents = pc.list_parent_indices(listed).to_numpy(zero_copy_only=False)
        yield self._addressed(flows, client, name, parents, pc.struct_field(inner, "rdata"))
        for family in ("A", "AAAA"):
            grouped = pc.struct_field(pc.struct_field(dns, "grouped"), family)
            parents = pc.list_parent_indices(grouped).to_numpy(zero_copy_only=False)
            yield self._addressed(flows, client, name, parents, pc.list_flatten(grouped))

    def _addressed(
        self,
        flows: Flows,
        client: NDArray[np.uint8],
        name: pa.Array,
        parents: NDArray[np.int64],
        texts: pa.Array,
    ) -> Chunk:
        import pyarrow as pa
        import pyarrow.compute as pc

        addresses, is_address = self._addresses.parse(texts)
        given = pc.not_equal(name, "").to_numpy(zero_copy_only=False)
        keep = np.flatnonzero(is_address & (flows.valid & given)[parents])
        rows = parents[keep]
        table = name_table(
            flows.time[rows], client[rows], addresses[keep], name.take(pa.array(rows))
        )
        return Chunk(names=table)


_COUNTERS = (
    ("bytes_out", "bytes_toserver"), ("bytes_in", "bytes_toclient"),
    ("packets_out", "pkts_toserver"), ("packets_in", "pkts_toclient"),
)  # fmt: skip


def question_name(dns: pa.Array) -> pa.Array:
    """Return the name of the first question (Suricata 8)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    queries = pc.struct_field(dns, "queries")
    filled = pc.greater(pc.fill_null(pc.list_value_length(queries), 0), 0)
    some = queries.filter(filled)
    first = pc.struct_field(pc.list_element(some, 0), "rrname")
    places = np.full(len(queries), -1)
    places[filled.to_numpy(zero_copy_only=False)] = np.arange(len(some))
    return first.take(pa.array(places, mask=places < 0))


def field(table: pa.Table, struct: str, key: str) -> pa.Array:
    """Return one field of a struct column."""
    import pyarrow.compute as pc

    return pc.struct_field(table[struct].combine_chunks(), key)


def schema_of(event: str) -> pa.Schema:
    """Return the fields of an event that are used."""
    import pyarrow as pa

    text, number, texts = pa.string(), pa.int64(), pa.list_(pa.string())
    answer = pa.struct([("rdata", text)])
    inner = {
        "flow": [
            ("start", text), ("end", text), ("state", text),
            *((theirs, number) for _, theirs in _COUNTERS),
        ],
        "http": [("hostname", text)],
        "netflow": [("start", text), ("end", text), ("pkts", number), ("bytes", number)],
        "tls": [("sni", text)],
        "quic": [("sni", text)],
        "dns": [
            ("rrname", text), ("rdata", text), ("answers", pa.list_(answer)),
            ("grouped", pa.struct([("A", texts), ("AAAA", texts)])),
            ("queries", pa.list_(pa.struct([("rrname", text)]))),
        ],
    }  # fmt: skip
    fields = [
        ("src_ip", text), ("src_port", number), ("dest_ip", text), ("dest_port", number),
        ("proto", text), (event, pa.struct(inner[event])),
    ]  # fmt: skip
    fields.append(("event_type" if event == "flow" else "timestamp", text))
    return pa.schema(fields)
