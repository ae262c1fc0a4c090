"""One row in memory for every pair: how often, since when, how much, and who is behind it.

Lists and findings are shown from here, so that a page view never scans
records. Kept up to date by the intake, rebuilt from the store at the start
(see ``restore``). Bytes are exact: counters of open connections are cumulative,
so only what they grew by is added. Limit: beyond :data:`MAX_TRACKED` open
connections further ones are counted when they end.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.context.side_by_side import NEVER, count_beside, share_beside
from beacon_detect.control_plane.columns import ADDRESS_BYTES, addresses, numbers, texts
from beacon_detect.control_plane.id_index import IdIndex
from beacon_detect.control_plane.open_connections import OpenConnections
from beacon_detect.records import Direction, Kind, Origin, unpack_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.control_plane.storage.writer import CommittedBatch

    Hidden = Callable[[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16]], NDArray[np.bool_]]

_NEVER = np.iinfo(np.int64).min
_COLUMNS: dict[str, tuple[Any, int]] = {
    "dst_port": (np.uint16, 0),
    "protocol": (np.uint8, 0),
    "connections": (np.int64, 0),
    "first_seen": (np.int64, np.iinfo(np.int64).max),
    "last_seen": (np.int64, _NEVER),
    "bytes_out": (np.int64, 0),
    "bytes_in": (np.int64, 0),
    "pid": (np.uint32, 0),
    "process": (np.int32, 0),
    "executable": (np.int32, 0),
    "container": (np.int32, 0),
    "name": (np.int32, 0),
    "sensor": (np.int32, 0),
    "direction": (np.uint8, 0),
    "process_time": (np.int64, _NEVER),
    "container_time": (np.int64, _NEVER),
    "name_time": (np.int64, _NEVER),
    "sensor_time": (np.int64, _NEVER),
    "finished": (np.int64, 0),
    "beside": (np.int64, 0),
    "timed": (np.bool_, 0),
    "last_start": (np.int64, 0),
    "last_end": (np.int64, NEVER),
    "last_sensor": (np.uint64, 0),
}
"""Type and initial value of each column; the ``…_time`` columns date the attribution beside them,
and those from ``finished`` on are as in ``context.side_by_side``. A restart counts what is stored."""

_TEXTS = ("process", "executable", "container", "name", "sensor")
DIRECTIONS = {Direction.UNKNOWN: "", Direction.OUTBOUND: "outbound", Direction.INBOUND: "inbound"}


@dataclass(frozen=True, slots=True)
class PairSummary:
    """What is known of a pair; times in wall ns, addresses as text."""

    pair_id: int
    src: str
    dst: str
    dst_port: int
    protocol: int
    connections: int
    """Connections opened (START and CONNECTION records), exact."""
    first_seen: int
    last_seen: int
    bytes_out: int
    bytes_in: int
    pid: int
    process: str
    executable: str
    container: str
    name: str
    sensor: str
    direction: str
    """``outbound``, ``inbound`` or empty, seen from the sensor."""
    addresses: int = 1
    """Destination addresses; more than one only where pairs are summed up (see ``groups``)."""


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Columns of all pairs, a row each."""

    ids: NDArray[np.uint64]
    src: NDArray[np.uint8]
    """Shape ``(n, 16)``."""
    dst: NDArray[np.uint8]
    dst_port: NDArray[np.uint16]
    executable: NDArray[np.int32]
    """Index into ``names`` and ``keys``, 0 where it is not known; the next four likewise."""
    process: NDArray[np.int32]
    container: NDArray[np.int32]
    sensor: NDArray[np.int32]
    name: NDArray[np.int32]
    names: list[str]
    keys: NDArray[np.uint64]
    """A hash of each of ``names`` that stays the same for ever, 0 for no text."""
    first_seen: NDArray[np.int64]
    last_seen: NDArray[np.int64]
    side_by_side: NDArray[np.float64]
    """Share of the finished connections that began beside one still open; NaN where nobody knows."""


class PairTable:
    """Summaries of all pairs; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = OpenConnections()
        self._clear()

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self._index)

    def add(self, batch: CommittedBatch) -> None:
        """Count the records of a batch."""
        with self._lock:
            self._register_new(batch)
            code = self._intern([batch.header.sensor])[0]
            sensors = np.full(len(batch.pair_ids), code, np.int32)
            self._count(batch.pair_ids, batch.table, sensors)

    def add_stored(self, table: pa.Table) -> None:
        """Count stored records (with ``pair_id`` and ``sensor``) of pairs made known before."""
        with self._lock:
            codes, names = texts(table, "sensor")
            self._count(numbers(table, "pair_id"), table, self._intern(names)[codes])

    def make_known(
        self,
        ids: NDArray[np.uint64],
        src: NDArray[np.uint8],
        dst: NDArray[np.uint8],
        dst_port: NDArray[np.uint16],
        protocol: NDArray[np.uint8],
    ) -> None:
        """Enter pairs without records; addresses have shape ``(n, 16)``."""
        with self._lock:
            new = self._index.slots(ids) < 0
            self._register(ids[new], src[new], dst[new], dst_port[new], protocol[new])

    def add_past(self, totals: pa.Table) -> None:
        """Add what records that are not stored any more had counted.

        Parameters
        ----------
        totals
            Columns pair_id (of pairs made known before), connections, first_seen,
            bytes_out and bytes_in.
        """
        with self._lock:
            slots = self._index.slots(numbers(totals, "pair_id"))
            rows = np.flatnonzero(slots >= 0)
            slots = slots[rows]
            for name in ("connections", "bytes_out", "bytes_in"):
                self._columns[name][slots] += numbers(totals, name)[rows]
            first = numbers(totals, "first_seen")[rows]
            self._columns["first_seen"][slots] = np.minimum(
                self._columns["first_seen"][slots], first
            )

    def top(
        self,
        limit: int,
        *,
        src: bytes | None = None,
        dst: bytes | None = None,
        hidden: Hidden | None = None,
    ) -> tuple[list[PairSummary], int]:
        """Return the pairs with most connections, and how many there are in all.

        Parameters
        ----------
        limit
            Most pairs to return.
        src, dst
            Only pairs with this packed address.
        hidden
            Given the columns source, destination and port, says which rows to leave out.
        """
        with self._lock:
            shown = np.ones(len(self), np.bool_)
            for wanted, column in ((src, self._src), (dst, self._dst)):
                if wanted is not None:
                    row = np.frombuffer(wanted, np.uint8)
                    shown &= (column[: len(self)] == row).all(axis=1)
            slots = np.flatnonzero(shown)
            if hidden is not None:
                ports = self._columns["dst_port"][slots]
                slots = slots[~hidden(self._src[slots], self._dst[slots], ports)]
            most = self._most_connected(slots, limit)
            return [self._summary(int(slot)) for slot in most], len(slots)

    def describe(self, pair_id: int) -> PairSummary | None:
        """Return the summary of a pair, None when it is not known."""
        return self.describe_all(np.array([pair_id], np.uint64))[0]

    def describe_all(self, pair_ids: NDArray[np.uint64]) -> list[PairSummary | None]:
        """Return the summary of each pair, None for those not known."""
        with self._lock:
            slots = self._index.slots(pair_ids).tolist()
            return [self._summary(slot) if slot >= 0 else None for slot in slots]

    def columns(self) -> PairColumns:
        """Return what is counted over all pairs; ids and addresses are views that never change."""
        with self._lock:
            count = len(self)
            copied = (*_TEXTS, "dst_port", "first_seen", "last_seen")
            finished = (self._columns[name][:count] for name in ("beside", "finished", "timed"))
            return PairColumns(
                ids=self._index.ids,
                src=self._src[:count],
                dst=self._dst[:count],
                names=list(self._names),
                keys=self._keys[: len(self._names)],
                side_by_side=share_beside(*finished),
                **{name: self._columns[name][:count].copy() for name in copied},
            )

    def forget(self, before_ns: int) -> int:
        """Drop the pairs last seen before ``before_ns`` (wall ns); return how many."""
        with self._lock:
            count = len(self)
            keep = np.flatnonzero(self._columns["last_seen"][:count] >= before_ns)
            self._open.forget(before_ns)
            if len(keep) < count:
                self._rebuild(keep)
            return count - len(keep)

    def _clear(self) -> None:
        self._index = IdIndex()
        self._src = np.zeros((0, ADDRESS_BYTES), np.uint8)
        self._dst = np.zeros((0, ADDRESS_BYTES), np.uint8)
        self._columns = {name: np.zeros(0, kind) for name, (kind, _) in _COLUMNS.items()}
        self._names = [""]
        self._codes = {"": 0}
        self._keys = np.zeros(1, np.uint64)

    def _rebuild(self, keep: NDArray[np.int64]) -> None:
        """Keep some slots only, and the texts that they use."""
        ids, names, old = self._index.ids[keep], self._names, self._columns
        src, dst = self._src[keep], self._dst[keep]
        self._clear()
        self._index = IdIndex(ids)
        self._src, self._dst = src, dst
        self._columns = {name: column[keep] for name, column in old.items()}
        for name in _TEXTS:
            used, inverse = np.unique(self._columns[name], return_inverse=True)
            self._columns[name] = self._intern([names[code] for code in used])[inverse]

    def _register_new(self, batch: CommittedBatch) -> None:
        new = np.flatnonzero(self._index.slots(batch.pair_ids) < 0)
        if not new.size:
            return
        ids, first = np.unique(batch.pair_ids[new], return_index=True)
        rows = new[first]
        self._register(
            ids,
            addresses(batch.table, "src")[rows],
            addresses(batch.table, "dst")[rows],
            numbers(batch.table, "dst_port")[rows],
            numbers(batch.table, "protocol")[rows],
        )

    def _register(
        self,
        ids: NDArray[np.uint64],
        src: NDArray[np.uint8],
        dst: NDArray[np.uint8],
        dst_port: NDArray[np.uint16],
        protocol: NDArray[np.uint8],
    ) -> None:
        slots = self._index.add(ids)
        self._grow(len(self))
        self._src[slots], self._dst[slots] = src, dst
        self._columns["dst_port"][slots] = dst_port
        self._columns["protocol"][slots] = protocol

    def _grow(self, count: int) -> None:
        have = len(self._src)
        if count <= have:
            return
        more = max(count, 2 * have, 1024) - have
        self._src = np.pad(self._src, ((0, more), (0, 0)))
        self._dst = np.pad(self._dst, ((0, more), (0, 0)))
        for name, (kind, initial) in _COLUMNS.items():
            rest = np.full(more, initial, kind)
            self._columns[name] = np.concatenate([self._columns[name], rest])

    def _intern(self, values: Iterable[str]) -> NDArray[np.int32]:
        """Return the code of each text, adding those not known."""
        codes = []
        for value in values:
            code = self._codes.setdefault(value, len(self._names))
            if code == len(self._names):
                self._names.append(value)
            codes.append(code)
        fresh = [text_key(text) for text in self._names[len(self._keys) :]]
        if fresh:
            self._keys = np.concatenate([self._keys, np.array(fresh, np.uint64)])
        return np.array(codes, np.int32)

    def _count(
        self, pair_ids: NDArray[np.uint64], table: pa.Table, sensors: NDArray[np.int32]
    ) -> None:
        slots = self._index.slots(pair_ids)
        columns = self._columns
        kind, time = numbers(table, "kind"), numbers(table, "time")
        duration = numbers(table, "duration")
        opens = (kind == Kind.START) | (kind == Kind.CONNECTION)
        np.add.at(columns["connections"], slots[opens], 1)
        # END and UPDATE are dated by their last packet, CONNECTION by its first.
        ending = (kind == Kind.END) | (kind == Kind.UPDATE)
        first = np.where(ending, time - duration, time)
        np.minimum.at(columns["first_seen"], slots, first)
        last = np.where(kind == Kind.CONNECTION, time + duration, time)
        np.maximum.at(columns["last_seen"], slots, last)
        rows, grown_out, grown_in = self._open.growth(pair_ids, kind, last, table)
        np.add.at(columns["bytes_out"], slots[rows], grown_out)
        np.add.at(columns["bytes_in"], slots[rows], grown_in)
        self._attribute(slots, last, table, sensors)
        whole = (kind == Kind.END) | (kind == Kind.CONNECTION)
        rows = np.flatnonzero(whole & (numbers(table, "origin") == Origin.OPENED))
        if len(rows):
            self._count_beside(slots[rows], first[rows], last[rows], sensors[rows])

    def _count_beside(
        self,
        slots: NDArray[np.int32],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        sensors: NDArray[np.int32],
    ) -> None:
        """Count which connections were side by side, each as one sensor tells of it.

        Two sensors tell of the same connection, which is not beside itself.
        """
        columns = self._columns
        columns["timed"][slots[ends > starts]] = True
        codes, sensor = np.unique(sensors, return_inverse=True)
        names = self._keys[codes]

        def last(owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            pairs, by = np.divmod(owners, len(codes))
            same = columns["last_sensor"][pairs] == names[by]
            return columns["last_start"][pairs], np.where(same, columns["last_end"][pairs], NEVER)

        found = count_beside(slots.astype(np.int64) * len(codes) + sensor, starts, ends, last)
        pairs, by = np.divmod(found.owners, len(codes))
        # A pair is here once for each sensor.
        np.add.at(columns["finished"], pairs, found.connections)
        np.add.at(columns["beside"], pairs, found.beside)
        columns["last_start"][pairs], columns["last_end"][pairs] = found.starts, found.ends
        columns["last_sensor"][pairs] = names[by]

    def _attribute(
        self,
        slots: NDArray[np.int32],
        time: NDArray[np.int64],
        table: pa.Table,
        sensors: NDArray[np.int32],
    ) -> None:
        """Keep the newest attribution; a record that lacks one does not erase an older one."""
        named = {name: self._codes_of(table, name) for name in _TEXTS[:-1]}
        order = np.argsort(time, kind="stable")
        process = {"process": named["process"], "pid": numbers(table, "pid")}
        before = self._columns["process"][slots]
        rows = self._newest(order, slots, time, "process", process)
        self._keep_executable(
            slots[rows], before[rows], process["process"][rows], named["executable"][rows]
        )
        self._newest(order, slots, time, "container", {"container": named["container"]})
        self._newest(order, slots, time, "name", {"name": named["name"]})
        seen = {"sensor": sensors, "direction": numbers(table, "direction")}
        self._newest(order, slots, time, "sensor", seen)

    def _newest(
        self,
        order: NDArray[np.int64],
        slots: NDArray[np.int32],
        time: NDArray[np.int64],
        leader: str,
        values: dict[str, NDArray[Any]],
    ) -> NDArray[np.int64]:
        """Take ``values`` from the newest records in which the column ``leader`` is not empty.

        Returns the rows of those records, oldest first.
        """
        dates = self._columns[f"{leader}_time"]
        rows: NDArray[np.int64] = order[values[leader][order] != 0]
        rows = rows[time[rows] >= dates[slots[rows]]]
        # Rows ascend in time and NumPy lets the last of equal indices win.
        dates[slots[rows]] = time[rows]
        for name, column in values.items():
            self._columns[name][slots[rows]] = column[rows]
        return rows

    def _keep_executable(
        self,
        slots: NDArray[np.int32],
        before: NDArray[np.int32],
        process: NDArray[np.int32],
        executable: NDArray[np.int32],
    ) -> None:
        """Keep the executable known for a process while that process stays the pair's.

        Short-lived processes are often gone before their executable can be
        read. Rows ascend in time; ``before`` is each pair's process so far.
        """
        pairs, first, row_of = np.unique(slots, return_index=True, return_inverse=True)
        final = self._columns["process"][pairs]
        position = np.arange(len(slots))
        broken = np.full(len(pairs), -1)
        other = process != final[row_of]
        np.maximum.at(broken, row_of[other], position[other])
        changed = (before[first] != final) | (broken >= 0)
        self._columns["executable"][pairs[changed]] = 0
        known = (executable != 0) & (position > broken[row_of])
        self._columns["executable"][slots[known]] = executable[known]

    def _codes_of(self, table: pa.Table, name: str) -> NDArray[np.int32]:
        codes, values = texts(table, name)
        if name == "name":
            # Names of hosts know no case, and resolvers are asked in mixed case on purpose.
            values = [value.lower().rstrip(".") for value in values]
        return self._intern(values)[codes] if len(codes) else codes

    def _most_connected(self, slots: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
        connections = self._columns["connections"][slots]
        if 0 < limit < len(slots):
            rows = np.argpartition(connections, len(slots) - limit)[-limit:]
            slots, connections = slots[rows], connections[rows]
        order = np.lexsort((self._index.ids[slots], -connections))
        return slots[order[: max(limit, 0)]]

    def _summary(self, slot: int) -> PairSummary:
        value = {name: int(column[slot]) for name, column in self._columns.items()}
        return PairSummary(
            pair_id=int(self._index.ids[slot]),
            src=unpack_address(self._src[slot].tobytes()),
            dst=unpack_address(self._dst[slot].tobytes()),
            dst_port=value["dst_port"],
            protocol=value["protocol"],
            connections=value["connections"],
            first_seen=value["first_seen"],
            last_seen=value["last_seen"],
            bytes_out=value["bytes_out"],
            bytes_in=value["bytes_in"],
            pid=value["pid"],
            process=self._names[value["process"]],
            executable=self._names[value["executable"]],
            container=self._names[value["container"]],
            name=self._names[value["name"]],
            sensor=self._names[value["sensor"]],
            direction=DIRECTIONS[Direction(value["direction"])],
        )


def text_key(text: str) -> int:
    """Return a hash of a text that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
