"""Rows of Zeek's logs, in either spelling, to records and names.

``conn`` gives connections, ``ssl``, ``quic``, ``http`` and ``dns`` give names,
``http`` a burst for every request besides. A name carries the hash of its
``uid``, so that it finds its connection whatever else its row says. Limit: of a
log without the ``id`` columns only ``ssl``, ``quic`` and ``http`` are used, and
they for names only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.readers.addresses import AddressParser
from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import (
    NO_ADDRESS,
    Flows,
    counts,
    drop_invalid,
    integers,
    mapped,
    name_table,
    protocol_numbers,
    record_table,
    text_hashes,
)
from beacon_detect.readers.timestamps import durations_to_ns, epoch_to_ns, floats, text_to_ns
from beacon_detect.records import Kind, Origin, Outcome, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.readers.base import Problems

TYPES = {
    "ts": "float", "uid": "unique", "id.orig_h": "text", "id.resp_h": "text",
    "id.orig_p": "integer", "id.resp_p": "integer", "proto": "text", "duration": "float",
    "orig_bytes": "integer", "resp_bytes": "integer", "orig_pkts": "integer",
    "resp_pkts": "integer", "conn_state": "text", "server_name": "text", "host": "text",
    "request_body_len": "integer", "response_body_len": "integer",
    "query": "text", "answers": "unique",
}  # fmt: skip
"""Every column that is used, of any log."""

ENDS = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
COMMON = ("ts", "uid", *ENDS)
WANTED = {
    "conn": (*COMMON, "proto", "duration", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts",
             "conn_state"),
    "http": (*COMMON, "host", "request_body_len", "response_body_len"),
    "ssl": (*COMMON, "server_name"),
    "quic": (*COMMON, "server_name"),
    "dns": (*COMMON, "query", "answers"),
}  # fmt: skip
TELLTALE = {
    "http": {"trans_depth": "integer", "status_code": "integer", "user_agent": "text"},
    "ssl": {"cipher": "text", "ssl_history": "text", "next_protocol": "text",
            "validation_status": "text"},
    "quic": {"client_initial_dcid": "text", "client_scid": "text", "server_scid": "text"},
    "dns": {"qtype_name": "text", "qclass": "integer", "rcode": "integer"},
    "conn": {"conn_state": "text", "orig_pkts": "integer", "missed_bytes": "integer"},
}  # fmt: skip
"""Columns that only one log has, for files that do not name themselves."""
_PATHS = {
    "conn": "conn", "open_conn": "conn", "conn_long": "conn", "http": "http", "ssl": "ssl",
    "tls": "ssl", "quic": "quic", "dns": "dns",
}  # fmt: skip
_STILL_OPEN = {"open_conn", "conn_long"}
_NAMING = {"ssl": "server_name", "quic": "server_name", "http": "host"}

_OUTCOMES = {
    "S0": Outcome.UNANSWERED, "SH": Outcome.UNANSWERED, "RSTOS0": Outcome.UNANSWERED,
    "S1": Outcome.ESTABLISHED, "S2": Outcome.ESTABLISHED, "S3": Outcome.ESTABLISHED,
    "SF": Outcome.CLOSED, "REJ": Outcome.REFUSED, "RSTO": Outcome.RESET, "RSTR": Outcome.RESET,
    "RSTRH": Outcome.RESET,
}  # fmt: skip
_MIDSTREAM = {"OTH": int(Origin.MIDSTREAM)}
NULLS = ("-", "", "(empty)")
_COUNTERS = (
    ("bytes_out", "orig_bytes"), ("bytes_in", "resp_bytes"),
    ("packets_out", "orig_pkts"), ("packets_in", "resp_pkts"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Log:
    """Which log a run of rows belongs to."""

    kind: str
    still_open: bool = False


def log_of(path: str, columns: set[str]) -> Log | None:
    """Return the log that a path name or, failing that, the columns tell of."""
    name = path.lower().removesuffix("_red")  # Corelight's reduced logs
    kind = _PATHS.get(name)
    if kind is None and path not in {"", "-"}:
        return None
    if kind is None:
        kind = next((k for k, tell in TELLTALE.items() if not columns.isdisjoint(tell)), None)
    return Log(kind, name in _STILL_OPEN) if kind else None


class RowParser:
    """Parsed rows of any Zeek log to chunks."""

    def __init__(self, label: str, problems: Problems) -> None:
        self._addresses = AddressParser()
        self._label = label
        self._problems = problems

    def chunk(self, table: pa.Table, lines: Callable[[], NDArray[np.int64]], log: Log) -> Chunk:
        """Return records and names of one run of rows.

        Parameters
        ----------
        table
            Columns of :data:`WANTED` under Zeek's own names.
        lines
            Way to the line number of each row.
        log
            The log they are of.
        """
        missing = [name for name in ("ts", *ENDS) if name not in table.column_names]
        naming = _NAMING.get(log.kind, "")
        if missing and missing[0] != "ts" and {"uid", naming} <= set(table.column_names):
            return Chunk(names=self._names_by_uid(table, lines, naming))
        if missing:
            self._problems.note(f"no column {missing[0]}", self._label, table.num_rows)
            return Chunk()
        flows = self._flows(table, lines, log)
        if log.kind == "conn":
            self._connection(flows, table, still_open=log.still_open)
            return Chunk(records=record_table(flows), joins=flows.connection_id is not None)
        if log.kind == "dns":
            return Chunk(names=self._answers(flows, table))
        # None of these logs says TCP or UDP; where the connection is known, it does.
        flows.protocol[:] = Protocol.UDP if log.kind == "quic" else Protocol.TCP
        names = self._named(flows, table, naming)
        return Chunk(records=self._requests(flows, table), names=names) if log.kind == "http" else Chunk(names=names)  # fmt: skip

    def _flows(self, table: pa.Table, lines: Callable[[], NDArray[np.int64]], log: Log) -> Flows:
        time, timed = _times(table["ts"])
        src, from_address = self._addresses.parse(table["id.orig_h"])
        dst, to_address = self._addresses.parse(table["id.resp_h"])
        src_port, dst_port = integers(table["id.orig_p"]), integers(table["id.resp_p"])
        protocol, known = np.zeros(len(src_port), np.uint8), np.ones(len(src_port), bool)
        if log.kind == "conn" and "proto" in table.column_names:
            protocol, known = protocol_numbers(table["proto"])
        ports = np.maximum(src_port, dst_port) < 65_536
        checks = {
            "no usable time": timed,
            "the source is no address": from_address,
            "the destination is no address": to_address,
            "not an IP protocol": known,
            "a port is out of range": ports & (np.minimum(src_port, dst_port) >= 0),
        }
        valid = drop_invalid(checks, lines, self._label, self._problems)
        return Flows(
            time=time, src=src, dst=dst, src_port=src_port, dst_port=dst_port,
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
        if "uid" in columns:
            flows.connection_id = text_hashes(table["uid"])
        flows.kind = Kind.UPDATE if still_open else Kind.CONNECTION

    def _requests(self, flows: Flows, table: pa.Table) -> pa.Table:
        """Return a burst for each HTTP request."""
        flows.kind = Kind.BURST
        if "request_body_len" in table.column_names:
            flows.bytes_out = counts(table["request_body_len"])
        if "response_body_len" in table.column_names:
            flows.bytes_in = counts(table["response_body_len"])
        return record_table(flows)

    def _named(self, flows: Flows, table: pa.Table, column: str) -> pa.Table | None:
        import pyarrow as pa

        if column not in table.column_names:
            return None
        names = _texts(table[column])
        rows = np.flatnonzero(flows.valid & _given(names))
        ids = text_hashes(table["uid"])[rows] if "uid" in table.column_names else None
        return name_table(
            flows.time[rows], flows.src[rows], flows.dst[rows], names.take(pa.array(rows)),
            dst_port=flows.dst_port[rows], protocol=flows.protocol[rows], connection_id=ids,
        )  # fmt: skip

    def _names_by_uid(
        self, table: pa.Table, lines: Callable[[], NDArray[np.int64]], column: str
    ) -> pa.Table:
        """Return names whose connection only the uid tells."""
        import pyarrow as pa

        time, timed = _times(table["ts"])
        names, ids = _texts(table[column]), text_hashes(table["uid"])
        checks = {"no usable time": timed, "no uid": ids != 0}
        valid = drop_invalid(checks, lines, self._label, self._problems)
        rows = np.flatnonzero(valid & _given(names))
        nowhere = np.frombuffer(NO_ADDRESS * len(rows), np.uint8).reshape(-1, 16)
        return name_table(
            time[rows], nowhere, nowhere, names.take(pa.array(rows)), connection_id=ids[rows]
        )

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


def _times(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the times: ISO 8601, or epoch seconds or (an option of Zeek's JSON) milliseconds."""
    import pyarrow as pa

    return text_to_ns(column) if pa.types.is_string(column.type) else epoch_to_ns(floats(column))


def _texts(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(column.cast(pa.string()), "").combine_chunks()
    return pc.if_else(pc.is_in(texts, pa.array(NULLS)), "", texts)


def _given(texts: pa.Array) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    given: NDArray[np.bool_] = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return given
