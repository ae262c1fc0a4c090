"""Kernel records to telemetry columns, whole arrays at a time.

The kernel knows a flow by its two ends, the smaller first; records speak of an
opener (``src``) and its peer (``dst``). One step per column turns the one into
the other, with times, ids and names. What the kernel could not deliver as a
START is made up for from the END, so that a connection is counted exactly
once. Events of unknown kind are dropped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.data_plane.events import DELIVERED_START, EVENT, FLOW, FLOW_KEY
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.records import (
    Kind,
    Protocol,
    address_words,
    hash_words,
    record_schema,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.data_plane.attribution.process import Process, ProcessTable
    from beacon_detect.data_plane.clock import WallClock
    from beacon_detect.data_plane.state import SeriesClock

CHUNK = 8192
"""Rows decoded at a time: their columns fit a core's second-level cache."""
_EVENT_WORDS = EVENT.itemsize // 8
_KEY_WORDS = FLOW_KEY.itemsize // 8
_FLOW_WORDS = FLOW.itemsize // 8
_FLOW_OFFSET = _EVENT_WORDS - _FLOW_WORDS
_TEXT_COLUMNS = ("process", "executable", "container", "name")


@dataclass(frozen=True, slots=True)
class Own:
    """The sensor's own connections to the control plane, which it does not report."""

    pid: int
    port: int


def take(rows: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """Return ``rows[index]``; by 8-byte words, since NumPy copies nested records 30 times slower."""
    words = rows.view(np.uint64).reshape(-1, rows.dtype.itemsize // 8)
    taken: NDArray[Any] = words[index].view(rows.dtype).reshape(-1)
    return taken


def keys_of(flows: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """Return the keys of ``flows[index]``, without copying their values."""
    words = flows.view(np.uint64).reshape(-1, _FLOW_WORDS)
    keys: NDArray[Any] = words[index, :_KEY_WORDS].view(FLOW_KEY).reshape(-1)
    return keys


def flows_of(events: NDArray[Any]) -> NDArray[Any]:
    """Return the flow (key and value) inside each event, whatever the events' stride."""
    times = events["time"]
    words = np.lib.stride_tricks.as_strided(
        times, (len(events), _EVENT_WORDS), (times.strides[0], times.itemsize)
    )
    return np.ascontiguousarray(words[:, _FLOW_OFFSET:]).view(FLOW).reshape(-1)


def connection_ids(flows: NDArray[Any], boot_word: int) -> NDArray[np.uint64]:
    """Return the id of each connection: its key, its first packet and the boot, hashed."""
    key = flows["key"]
    service = (
        key["port_a"].astype(np.uint64) << np.uint64(48)
        | key["port_b"].astype(np.uint64) << np.uint64(32)
        | key["zone"].astype(np.uint64) << np.uint64(16)
        | key["protocol"].astype(np.uint64)
    )
    boot = np.broadcast_to(np.uint64(boot_word), service.shape)
    return hash_words(
        *address_words(key["address_a"]),
        *address_words(key["address_b"]),
        service,
        flows["value"]["first"],
        boot,
    )


class StartLedger:
    """Connections whose START was made up by the sweep, so that a late one is not counted twice.

    The kernel tries again to deliver a START that found no room. Ids are kept
    for two sweeps after the kernel's own START was seen delivered.
    """

    def __init__(self) -> None:
        self._fresh = np.zeros(0, np.uint64)
        self._old = np.zeros(0, np.uint64)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._old)

    def unknown(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which of the ids have no made-up START."""
        known: NDArray[np.bool_] = ~(np.isin(ids, self._fresh) | np.isin(ids, self._old))
        return known

    def renew(self, undelivered: NDArray[np.uint64]) -> None:
        """Remember the ids that the newest sweep found undelivered; forget the last but one's."""
        self._old, self._fresh = self._fresh, undelivered


class Decoder:
    """Turns kernel arrays into record batches.

    Parameters
    ----------
    clock
        Converts boot to wall time.
    series
        The clock of inter-arrival times, and the boot's identity.
    processes
        Names processes and containers; None in gateway mode, where there are none.
    losses
        Where dropped events are counted.
    own
        Connections to leave out.
    """

    def __init__(
        self,
        clock: WallClock,
        series: SeriesClock,
        processes: ProcessTable | None,
        losses: Losses,
        own: Own | None = None,
    ) -> None:
        self.ledger = StartLedger()
        self._clock = clock
        self._series = series
        self._processes = processes
        self._losses = losses
        self._own = own

    def events(self, events: NDArray[Any], now: int) -> list[pa.RecordBatch]:
        """Return the records of ring buffer events (``EVENT``), ``now`` in boot ns."""
        batches = []
        for start in range(0, len(events), CHUNK):
            chunk = events[start : start + CHUNK]
            kinds, flows = self._with_missing_starts(chunk["kind"].copy(), flows_of(chunk))
            batches.append(self.records(kinds, flows, now))
        return [batch for batch in batches if batch.num_rows]

    def flows(
        self, kinds: NDArray[np.uint8], flows: NDArray[Any], now: int
    ) -> list[pa.RecordBatch]:
        """Return the records that the sweep reports: a kind for each flow (``FLOW``)."""
        pieces = (slice(start, start + CHUNK) for start in range(0, len(flows), CHUNK))
        batches = [self.records(kinds[piece], flows[piece], now) for piece in pieces]
        return [batch for batch in batches if batch.num_rows]

    def ids(self, flows: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the connection ids of flows."""
        return connection_ids(flows, self._series.boot_word)

    def _with_missing_starts(
        self, kinds: NDArray[np.uint8], flows: NDArray[Any]
    ) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """Add a START before each END that never had one; drop unknown kinds and second STARTs."""
        valid = (kinds >= Kind.START) & (kinds <= Kind.END)
        if not valid.all():
            self._losses.add(Loss.DECODE_ERROR, int(len(valid) - valid.sum()))
            kinds, flows = kinds[valid], take(flows, np.flatnonzero(valid))
        missing = (kinds == Kind.END) & (flows["value"]["started"] & DELIVERED_START == 0)
        if missing.any():
            order = np.repeat(np.arange(len(kinds)), missing + 1)
            doubled = np.flatnonzero(missing)
            kinds, flows = kinds[order], take(flows, order)
            kinds[doubled + np.arange(len(doubled))] = Kind.START
        if len(self.ledger):
            starts = np.flatnonzero(kinds == Kind.START)
            again = starts[~self.ledger.unknown(self.ids(take(flows, starts)))]
            if len(again):
                kinds, flows = (
                    np.delete(kinds, again),
                    take(flows, np.delete(np.arange(len(kinds)), again)),
                )
        return kinds, flows

    def records(self, kinds: NDArray[np.uint8], flows: NDArray[Any], now: int) -> pa.RecordBatch:
        """Return one record a flow, of the kind beside it."""
        import pyarrow as pa

        if self._own is not None:
            kinds, flows = self._without_own(self._own, kinds, flows)
        columns = self._columns(kinds, flows)
        texts = self._texts(kinds, flows, now)
        arrays = [
            texts[field.name]
            if field.name in texts
            else _address_array(columns[field.name])
            if field.name in ("src", "dst")
            else pa.array(columns[field.name], field.type)
            for field in record_schema()
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=record_schema())

    def _without_own(
        self, own: Own, kinds: NDArray[np.uint8], flows: NDArray[Any]
    ) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        mine = flows["value"]["tgid"] == own.pid
        if not mine.any():
            return kinds, flows
        key = flows["key"]
        peer_port = np.where(flows["value"]["opener"] == 1, key["port_a"], key["port_b"])
        kept = np.flatnonzero(~(mine & (peer_port == own.port)))
        return kinds[kept], take(flows, kept)

    def _columns(self, kinds: NDArray[np.uint8], flows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the number columns, and addresses of shape ``(n, 16)``."""
        key, value = flows["key"], flows["value"]
        swapped = value["opener"] == 1
        sides = (swapped.astype(np.intp), 1 - swapped.astype(np.intp))
        rows = np.arange(len(flows))
        first = value["first"].astype(np.int64)
        # Two CPUs may stamp a flow's packets in either order.
        last = np.maximum(value["last"].astype(np.int64), first)
        begun = np.where(kinds == Kind.BURST, value["burst_first"].astype(np.int64), first)
        moment = np.where((kinds == Kind.START) | (kinds == Kind.BURST), begun, last)
        echo = (key["protocol"] == Protocol.ICMP) | (key["protocol"] == Protocol.ICMPV6)
        ports = tuple(
            np.where(echo, 0, key[name]).astype(np.uint16) for name in ("port_a", "port_b")
        )
        columns: dict[str, NDArray[Any]] = {
            "kind": kinds,
            "connection_id": self.ids(flows),
            "time": self._clock.wall(moment),
            "series_time": moment + self._series.anchor,
            "src": np.where(swapped[:, None], key["address_b"], key["address_a"]),
            "dst": np.where(swapped[:, None], key["address_a"], key["address_b"]),
            "src_port": np.where(swapped, ports[1], ports[0]),
            "dst_port": np.where(swapped, ports[0], ports[1]),
            "protocol": key["protocol"],
            "duration": last - first,
            "outcome": value["outcome"],
            "origin": value["origin"],
            "direction": value["direction"],
            "pid": value["tgid"],
            "uid": value["uid"],
            "cgroup": value["cgroup_id"],
        }
        for suffix, side in zip(("out", "in"), sides, strict=True):
            columns[f"bytes_{suffix}"] = value["bytes"][rows, side].astype(np.int64)
            columns[f"packets_{suffix}"] = value["packets"][rows, side].astype(np.int64)
            columns[f"tcp_flags_{suffix}"] = value["tcp_flags"][rows, side]
        return columns

    def notice(self, events: NDArray[Any], now: int) -> None:
        """Look up the processes of events that will be decoded later, while they may live."""
        if self._processes is not None and len(events):
            self._look_up(self._processes, events["kind"], flows_of(events), now)

    def _look_up(
        self, processes: ProcessTable, kinds: NDArray[np.uint8], flows: NDArray[Any], now: int
    ) -> tuple[list[Process], NDArray[np.intp]]:
        """Return the distinct processes behind the flows, and the place of each flow's."""
        value = flows["value"]
        comm = np.ascontiguousarray(value["comm"]).view(np.uint64).reshape(-1, 2)
        distinct = hash_words(value["tgid"], comm[:, 0], comm[:, 1], value["cgroup_id"])
        # Arrow's hashing would be faster but brings 11 MB of its library into memory.
        keys, codes = np.unique(distinct, return_inverse=True)
        opened = np.flatnonzero(kinds == Kind.START)
        # Of each process's rows one speaks for all: its newest START, else its newest.
        example = np.zeros(len(keys), np.intp)
        example[codes] = np.arange(len(flows))
        example[codes[opened]] = opened
        spoken = take(flows, example)["value"]
        found = [
            processes.resolve(tgid, name, group, first=first, opened=start, now=now)
            for tgid, name, group, first, start in zip(
                spoken["tgid"].tolist(),
                spoken["comm"].tolist(),
                spoken["cgroup_id"].tolist(),
                spoken["first"].tolist(),
                (kinds[example] == Kind.START).tolist(),
                strict=True,
            )
        ]
        return found, codes

    def _texts(
        self, kinds: NDArray[np.uint8], flows: NDArray[Any], now: int
    ) -> dict[str, pa.DictionaryArray]:
        """Return the text columns: names are looked up once for each distinct process."""
        if self._processes is None or not len(flows):
            return {name: _constant("", len(flows)) for name in _TEXT_COLUMNS}
        found, codes = self._look_up(self._processes, kinds, flows, now)
        return {
            "process": _dictionary([process.name for process in found], codes),
            "executable": _dictionary([process.executable for process in found], codes),
            "container": _dictionary([process.container for process in found], codes),
            "name": _constant("", len(flows)),
        }


def _dictionary(texts: list[str], codes: NDArray[np.integer[Any]]) -> pa.DictionaryArray:
    """Return a text column from the text of each code."""
    import pyarrow as pa

    place: dict[str, int] = {}
    recoded = np.array([place.setdefault(text, len(place)) for text in texts], np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(recoded[codes]), pa.array(list(place), pa.string())
    )


def _constant(text: str, rows: int) -> pa.DictionaryArray:
    return _dictionary([text], np.zeros(rows, np.int32))


def _address_array(packed: NDArray[np.uint8]) -> pa.Array:
    """Return ``(n, 16)`` bytes as an Arrow column without copying."""
    import pyarrow as pa

    buffer = pa.py_buffer(np.ascontiguousarray(packed))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(packed), [None, buffer])
