"""Packets of a capture to chunks of records and names: the stages in order, with their state.

The first packets run interpreted, the rest compiled (see :mod:`kernels`).
Limit: memory grows with the connections that are open at one time (192 bytes
each) and with nothing else.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.config.schema import DataPlane
from beacon_detect.readers.base import Chunk
from beacon_detect.readers.capture import flows, frames, kernels, names
from beacon_detect.readers.columns import Flows, connection_ids, name_table, record_table
from beacon_detect.records import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    Column = NDArray[np.int64] | list[int]

INTERPRETED_PACKETS = 10_000
"""Packets before compiled code is loaded: about a tenth of a second, as long as loading takes."""
COLD_PACKETS = 60_000
"""The same where the code must first be compiled, which takes half a second."""
BATCH = 16_384
"""Packets handled at once; their rows (2.4 MB) stay in the processor's cache."""
_FEW_FLOWS = 4_096
_MANY_FLOWS = 65_536
_OUT_ROWS = 16_384
_NAMES = 4_096
_TEXT = 1 << 18


@cache
def default_timeouts() -> tuple[int, int, int, int]:
    """Return the sensor's default timeouts (ns): TCP, other, no answer, burst."""
    fields = DataPlane.model_fields
    keys = ("tcp_idle_timeout", "udp_idle_timeout", "unanswered_timeout", "burst_idle")
    tcp, other, silent, burst = (int(fields[key].default * SECOND) for key in keys)
    return tcp, other, silent, burst


class PacketBatch:
    """Columns that the first stage fills: one value a packet."""

    def __init__(self, *, as_lists: bool) -> None:
        self.starts = column(BATCH, as_lists=as_lists)
        self.captured = column(BATCH, as_lists=as_lists)
        self.lengths = column(BATCH, as_lists=as_lists)
        self.times = column(BATCH, as_lists=as_lists)
        self.links = column(BATCH, as_lists=as_lists)


def column(size: int, *, as_lists: bool) -> Column:
    """Return a column of zeros: an array for compiled stages, a list for interpreted ones.

    Interpreted code is several times faster over lists of Python's own integers,
    and those cannot overflow.
    """
    return [0] * size if as_lists else np.zeros(size, np.int64)


class Connections:
    """Follows the connections of one capture."""

    def __init__(self, *, compiled: bool = False) -> None:
        self.interpreted = not compiled
        self.packets = 0
        """Packets of the capture so far."""
        self.followed = 0
        """Packets that were TCP, UDP or ICMP echo."""
        lists = self.interpreted
        self.stages = kernels.interpreted() if lists else kernels.compiled()
        self.batch = PacketBatch(as_lists=lists)
        self.counters = column(frames.COUNTERS, as_lists=lists)
        self._state = column(flows.STATE, as_lists=lists)
        self._state[flows.SEED] = secrets.randbits(31)
        self._timeouts: Column = list(default_timeouts())
        if not lists:
            self._timeouts = np.array(self._timeouts, np.int64)
        most = _FEW_FLOWS if lists else _MANY_FLOWS
        self._flows = column(most * flows.STRIDE, as_lists=lists)
        self._heads = column(most, as_lists=lists)
        self._hellos = column(names.SLOTS * names.HELLO + 1, as_lists=lists)
        pieces = bytearray(names.SLOTS * names.HELLO_BYTES)
        self._pieces: Any = pieces if lists else np.frombuffer(pieces, np.uint8)
        self._make_buffers()

    def _make_buffers(self) -> None:
        lists = self.interpreted
        self._rows = column(BATCH * frames.STRIDE, as_lists=lists)
        self._out = column(_OUT_ROWS * flows.STRIDE, as_lists=lists)
        self._found = column(_NAMES * names.FOUND, as_lists=lists)
        self._text: Any = bytearray(_TEXT) if lists else np.zeros(_TEXT, np.uint8)
        self._progress = column(2, as_lists=lists)

    def speed_up(self) -> None:
        """Go on compiled once there were enough packets; the state is carried over."""
        if not self.interpreted or self.packets < INTERPRETED_PACKETS:
            return
        if self.packets < COLD_PACKETS and not kernels.is_warm():
            return
        self.interpreted = False
        self.stages = kernels.compiled()
        self.batch = PacketBatch(as_lists=False)
        self.counters = np.array(self.counters, np.int64)
        self._state = np.array(self._state, np.int64)
        self._timeouts = np.array(self._timeouts, np.int64)
        self._flows = np.array(self._flows, np.int64)
        self._heads = np.array(self._heads, np.int64)
        self._hellos = np.array(self._hellos, np.int64)
        self._pieces = np.frombuffer(self._pieces, np.uint8)
        self._make_buffers()

    def add(self, buffer: Any, count: int) -> Iterator[Chunk]:
        """Follow ``count`` packets of the batch; yield what is finished."""
        batch = self.batch
        self.packets += count
        rows = self.stages.read_frames(
            buffer, batch.starts, batch.captured, batch.lengths, batch.times, batch.links, count,
            self._rows, self.counters,
        )  # fmt: skip
        self.followed += rows
        done = 0
        while done < rows:
            found = self.stages.find_names(
                buffer, self._rows, done, rows, self._found, self._text, self._progress,
                self._hellos, self._pieces,
            )  # fmt: skip
            done = int(self._progress[0])
            if found:
                yield Chunk(names=self._names(found))
        done = 0
        while done < rows:
            filled = self.stages.follow_packets(
                self._rows, done, rows, self._flows, self._heads, self._state, self._timeouts,
                self._out,
            )  # fmt: skip
            done = int(self._state[flows.DONE])
            if filled:
                yield Chunk(records=self._records(filled))
            if done < rows and not filled:
                self._grow()

    def finish(self) -> Iterator[Chunk]:
        """Yield the connections that were open when the capture ended."""
        done = 0
        while done < self._state[flows.TOP]:
            filled = self.stages.finish_all(self._flows, self._state, self._out, done)
            done = int(self._state[flows.DONE])
            if filled:
                yield Chunk(records=self._records(filled))

    def _grow(self) -> None:
        """Double the table; every flow finds its bucket again."""
        lists = self.interpreted
        more = column(len(self._flows), as_lists=lists)
        self._flows = self._flows + more if lists else np.concatenate([self._flows, more])
        self._heads = column(2 * len(self._heads), as_lists=lists)
        self.stages.rehash(self._flows, self._heads, self._state)

    def _records(self, filled: int) -> pa.Table:
        rows = np.array(self._out[: filled * flows.STRIDE], np.int64).reshape(-1, flows.STRIDE)
        opened_by_b = rows[:, flows.OPENER] == 1
        a, b = addresses(rows[:, :4]), addresses(rows[:, 4:8])
        ports = rows[:, flows.KEY_PORTS]
        port_a, port_b = ports >> 16, ports & 0xFFFF
        protocol = rows[:, flows.KEY_META] & 0xFF
        no_ports = (protocol == frames.ICMP) | (protocol == frames.ICMP6)

        def side(of_a: NDArray[Any], of_b: NDArray[Any]) -> NDArray[Any]:
            chosen = opened_by_b[:, None] if of_a.ndim > 1 else opened_by_b
            return np.where(chosen, of_b, of_a)

        found = Flows(
            time=rows[:, flows.OUT_TIME], src=side(a, b), dst=side(b, a),
            src_port=np.where(no_ports, 0, side(port_a, port_b)),
            dst_port=np.where(no_ports, 0, side(port_b, port_a)),
            protocol=protocol.astype(np.uint8), valid=np.ones(filled, bool),
            duration=rows[:, flows.LAST] - rows[:, flows.FIRST],
            bytes_out=side(rows[:, flows.BYTES_A], rows[:, flows.BYTES_B]),
            bytes_in=side(rows[:, flows.BYTES_B], rows[:, flows.BYTES_A]),
            packets_out=side(rows[:, flows.PACKETS_A], rows[:, flows.PACKETS_B]),
            packets_in=side(rows[:, flows.PACKETS_B], rows[:, flows.PACKETS_A]),
            tcp_flags_out=side(rows[:, flows.FLAGS_A], rows[:, flows.FLAGS_B]),
            tcp_flags_in=side(rows[:, flows.FLAGS_B], rows[:, flows.FLAGS_A]),
            outcome=rows[:, flows.OUTCOME].astype(np.uint8),
            origin=rows[:, flows.ORIGIN].astype(np.uint8),
            kind=rows[:, flows.OUT_KIND].astype(np.uint8),
        )  # fmt: skip
        # A burst belongs to the connection that began, not to its own time.
        found.connection_id = connection_ids(found, rows[:, flows.FIRST])
        return record_table(found)

    def _names(self, found: int) -> pa.Table:
        import pyarrow as pa

        rows = np.array(self._found[: found * names.FOUND], np.int64).reshape(-1, names.FOUND)
        text = bytes(self._text[: int(self._progress[1])])
        # A DNS answer has one text and several addresses, so texts are cut one by one.
        ends = (rows[:, 11] + rows[:, 12]).tolist()
        texts = [text[a:b].decode("ascii") for a, b in zip(rows[:, 11].tolist(), ends, strict=True)]
        return name_table(
            rows[:, 0], addresses(rows[:, 1:5]), addresses(rows[:, 5:9]), pa.array(texts),
            dst_port=rows[:, 9], protocol=rows[:, 10],
        )  # fmt: skip


def addresses(words: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return ``(n, 16)`` packed addresses of four 32-bit words each."""
    return np.ascontiguousarray(words.astype(">u4")).view(np.uint8).reshape(-1, 16)
