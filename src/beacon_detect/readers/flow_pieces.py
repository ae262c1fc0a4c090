"""Pieces of connections, as flow exporters report them, put together again.

NetFlow, IPFIX and Argus report a long connection every few minutes, NetFlow
each direction apart. Taken as connections, such pieces look like a perfect
beacon with the exporter's timeout as its interval. Rows between the same two
ends are therefore one connection until a silence of a minute, the sensor's own
limit for UDP; its later pieces are bursts when they follow a second of
silence, as in the sensor. The memory lasts over the files of a run, because
exporters cut files at the same moments as connections. Limit: a connection
that is pieced together over two blocks of a file counts twice in the totals.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import Flows, record_table
from beacon_detect.records import SECOND, Kind, Origin, address_words, hash_words

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from numpy.typing import NDArray

GAP_NS = 60 * SECOND
BURST_NS = SECOND
MAX_REMEMBERED = 4_000_000
"""Connections whose last piece is remembered (100 MB); of more, the newest."""
_SUMS = ("bytes_out", "bytes_in", "packets_out", "packets_in")
_SIDES = (
    ("src", "dst"), ("src_port", "dst_port"), ("bytes_out", "bytes_in"),
    ("packets_out", "packets_in"), ("tcp_flags_out", "tcp_flags_in"),
)  # fmt: skip
WELL_KNOWN = 1024


class FlowPieces:
    """What is remembered of the connections seen last."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.uint64)
        self._ends = np.zeros(0, np.int64)
        self._openers = np.zeros(0, np.uint64)

    @classmethod
    def of_run(cls, shared: MutableMapping[str, Any]) -> FlowPieces:
        """Return the memory that all flow readers of a run share."""
        pieces = shared.setdefault("flow pieces", cls())
        assert isinstance(pieces, cls)  # noqa: S101 (a run has one value under this name)
        return pieces

    def chunks(self, flows: Flows) -> Iterator[Chunk]:
        """Yield whole connections and the bursts inside them; ``flows`` needs source ports.

        Replies are turned round; pieces are added up; the pieces of a
        connection known from before are no check-ins.
        """
        kept = np.flatnonzero(flows.valid)
        if not len(kept):
            return
        rows = _take(flows, kept)
        key, source = _ends_of(rows)
        order = np.lexsort((-_column(rows.src_port), rows.time, key))
        rows, key, source = _take(rows, order), key[order], source[order]
        end = rows.time + _column(rows.duration)
        first_of_key = np.append(True, np.diff(key) != 0)
        place, known = self._find(key[first_of_key])
        before = np.append(np.int64(0), end[:-1])
        remembered = self._ends[place] if len(self._ends) else np.zeros(len(place), np.int64)
        before[first_of_key] = np.where(known, remembered, rows.time[first_of_key] - 2 * GAP_NS)
        gap = rows.time - before
        fresh = gap > GAP_NS
        starts = np.flatnonzero(first_of_key | fresh)
        segment = np.cumsum(first_of_key | fresh) - 1
        opener = source[starts]
        if len(self._openers):
            continues = np.flatnonzero(first_of_key & ~fresh)
            at, _ = self._find(key[continues])
            opener[segment[continues]] = self._openers[at]
        rows = turned(rows, source != opener[segment])
        self._remember(key, end, opener[segment])
        yield Chunk(records=record_table(_added_up(rows, starts, end, fresh)))
        bursts = np.flatnonzero(~fresh & (gap > BURST_NS))
        if len(bursts):
            inside = replace(_take(rows, bursts), kind=Kind.BURST, duration=None, origin=None)
            yield Chunk(records=record_table(inside))

    def _find(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        if not len(self._keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return at, self._keys[at] == keys

    def _remember(
        self, key: NDArray[np.uint64], end: NDArray[np.int64], opener: NDArray[np.uint64]
    ) -> None:
        keys = np.concatenate([self._keys, key])
        ends = np.concatenate([self._ends, end])
        openers = np.concatenate([self._openers, opener])
        order = np.lexsort((ends, keys))
        last = order[np.append(np.diff(keys[order]) != 0, True)]
        recent = last[ends[last] >= ends[last].max() - 2 * GAP_NS]
        if len(recent) > MAX_REMEMBERED:
            newest = np.argpartition(ends[recent], -MAX_REMEMBERED)[-MAX_REMEMBERED:]
            recent = recent[np.sort(newest)]
        self._keys, self._ends, self._openers = keys[recent], ends[recent], openers[recent]


def _column(values: NDArray[Any] | None) -> NDArray[np.int64]:
    return np.zeros(1, np.int64) if values is None else values.astype(np.int64)


def _take(flows: Flows, rows: NDArray[np.int64]) -> Flows:
    columns = {
        field.name: np.take(value, rows, axis=0)
        for field in fields(flows)
        if isinstance(value := getattr(flows, field.name), np.ndarray)
    }
    return replace(flows, **columns)


def _ends_of(rows: Flows) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return a key of both ends whatever the direction, and one of the source's end."""
    source = hash_words(*address_words(rows.src), _column(rows.src_port))
    target = hash_words(*address_words(rows.dst), _column(rows.dst_port))
    with np.errstate(over="ignore"):
        both = source + target
    return hash_words(both, rows.protocol), source


def turned(rows: Flows, turned: NDArray[np.bool_]) -> Flows:
    """Swap the sides of the rows that are replies."""
    if not turned.any():
        return rows
    columns: dict[str, Any] = {}
    for one, other in _SIDES:
        a, b = getattr(rows, one), getattr(rows, other)
        if a is None and b is None:
            continue
        a, b = (np.zeros_like(b) if a is None else a), (np.zeros_like(a) if b is None else b)
        mask = turned[:, None] if a.ndim > 1 else turned
        columns[one], columns[other] = np.where(mask, b, a), np.where(mask, a, b)
    return replace(rows, **columns)


def _added_up(
    rows: Flows, starts: NDArray[np.int64], end: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> Flows:
    """Return one row for each run of pieces."""
    whole = _take(rows, starts)
    sums = {
        name: np.add.reduceat(column, starts)
        for name in _SUMS
        if (column := getattr(rows, name)) is not None
    }
    origin = np.zeros(len(starts), np.uint8) if whole.origin is None else whole.origin
    return replace(
        whole,
        duration=np.maximum.reduceat(end, starts) - whole.time,
        origin=np.where(fresh[starts], origin, np.uint8(Origin.MIDSTREAM)),
        **sums,
    )


def server_ports_last(flows: Flows) -> Flows:
    """Turn rows round that come from a well-known port, where a format does not say who opened."""
    source, target = _column(flows.src_port), _column(flows.dst_port)
    return turned(flows, (source < WELL_KNOWN) & (target >= WELL_KNOWN))
