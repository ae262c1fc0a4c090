"""The records that cross borders: column names, units and codes, and nothing else crosses.

A batch of connection telemetry is one Arrow table with the columns of
:func:`record_schema`; the sensor builds it from kernel records, readers build
it from files, the control plane stores it as it is. Times are int64
nanoseconds. ``time`` is wall time (for people and retention); ``series_time``
is a clock that never steps (for inter-arrival times), equal to ``time`` where
a source has no such clock. ``src`` is the side that opened the connection.
Addresses are 16 bytes, IPv4 as ``::ffff:a.b.c.d``.

PyArrow is imported on first use only, so that the command line stays fast.
"""

from __future__ import annotations

import ipaddress
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

MAX_PROTOCOL = 255

V4_PREFIX = bytes(10) + b"\xff\xff"


class Kind(IntEnum):
    """What a record says about its connection."""

    START = 1
    """The connection was opened (or first seen: see :class:`Origin`)."""
    BURST = 2
    """Activity inside an open connection after ``burst_idle`` of silence."""
    END = 3
    """The connection is over; counters and duration are final."""
    UPDATE = 4
    """The connection is still open; counters and duration so far."""
    CONNECTION = 5
    """A whole, finished connection in one record (start and end together)."""


class Outcome(IntEnum):
    """How the connection stands or ended."""

    UNKNOWN = 0
    ESTABLISHED = 1
    CLOSED = 2
    RESET = 3
    REFUSED = 4
    UNANSWERED = 5
    IDLE = 6


class Origin(IntEnum):
    """How the start became known; only OPENED starts count as check-ins."""

    OPENED = 0
    MIDSTREAM = 1
    SNAPSHOT = 2


class Direction(IntEnum):
    """Where the opener is, seen from the sensor."""

    UNKNOWN = 0
    OUTBOUND = 1
    INBOUND = 2


class Protocol(IntEnum):
    """IP protocol numbers that the system tracks."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58


def protocol_name(number: int) -> str:
    """Return ``TCP``, ``UDP``, … or the number as text."""
    try:
        return Protocol(number).name
    except ValueError:
        return str(number)


def protocol_number(name: str) -> int:
    """Return the number behind what :func:`protocol_name` gave; ValueError for anything else."""
    if name.isdecimal() and int(name) <= MAX_PROTOCOL:
        return int(name)
    try:
        return Protocol[name.upper()].value
    except KeyError:
        raise ValueError(f"{name!r} is no protocol") from None


def pack_address(text: str) -> bytes:
    """Return the 16-byte form of an IPv4 or IPv6 address; ValueError when it is neither."""
    address = ipaddress.ip_address(text)
    return V4_PREFIX + address.packed if address.version == 4 else address.packed


def unpack_address(packed: bytes) -> str:
    """Return the text of a 16-byte address, IPv4 where it is mapped."""
    if packed.startswith(V4_PREFIX):
        return ".".join(map(str, packed[12:]))
    return str(ipaddress.IPv6Address(packed))


@cache
def record_schema() -> pa.Schema:
    """Return the Arrow schema of a telemetry batch (column order is part of the contract)."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    fields = [
        ("kind", pa.uint8()),
        ("connection_id", pa.uint64()),
        ("time", pa.int64()),
        ("series_time", pa.int64()),
        ("src", pa.binary(16)),
        ("dst", pa.binary(16)),
        ("src_port", pa.uint16()),
        ("dst_port", pa.uint16()),
        ("protocol", pa.uint8()),
        ("duration", pa.int64()),
        ("bytes_out", pa.int64()),
        ("bytes_in", pa.int64()),
        ("packets_out", pa.int64()),
        ("packets_in", pa.int64()),
        ("tcp_flags_out", pa.uint8()),
        ("tcp_flags_in", pa.uint8()),
        ("outcome", pa.uint8()),
        ("origin", pa.uint8()),
        ("direction", pa.uint8()),
        ("pid", pa.uint32()),
        ("uid", pa.uint32()),
        ("cgroup", pa.uint64()),
        ("process", text),
        ("executable", text),
        ("container", text),
        ("name", text),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


def _mix(state: NDArray[np.uint64], word: NDArray[Any]) -> NDArray[np.uint64]:
    """Fold one 64-bit word into the hash state (splitmix64 finaliser, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = (state ^ word.astype(np.uint64)) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_A
        z = (z ^ (z >> np.uint64(27))) * _MIX_B
        mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def hash_words(*words: NDArray[Any]) -> NDArray[np.uint64]:
    """Return one 64-bit hash per row of equally long integer columns.

    Fixed for ever: stored pair and connection ids depend on it.
    """
    state = np.zeros(len(words[0]), np.uint64)
    for word in words:
        state = _mix(state, word)
    return state


def address_words(packed: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the big-endian high and low words of ``(n, 16)`` address bytes."""
    words = np.ascontiguousarray(packed).view(">u8").reshape(-1, 2)
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)


def pair_ids(
    src: NDArray[np.uint8],
    dst: NDArray[np.uint8],
    dst_port: NDArray[Any],
    protocol: NDArray[Any],
) -> NDArray[np.uint64]:
    """Return the 64-bit id of each row's pair (source, destination, port, protocol).

    Parameters
    ----------
    src, dst
        Addresses, shape ``(n, 16)``.
    dst_port, protocol
        Integers, shape ``(n,)``.
    """
    service = dst_port.astype(np.uint64) << np.uint64(8) | protocol.astype(np.uint64)
    return hash_words(*address_words(src), *address_words(dst), service)
