"""The kernel's records as NumPy dtypes: the Python twin of ``bpf/events.h``.

A test compares every size and offset with the BTF of the compiled object.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

FLOW_KEY = np.dtype(
    [
        ("address_a", "u1", 16),
        ("address_b", "u1", 16),
        ("port_a", "<u2"),
        ("port_b", "<u2"),
        ("protocol", "u1"),
        ("pad", "u1"),
        ("zone", "<u2"),
    ]
)

FLOW_VALUE = np.dtype(
    [
        ("first", "<u8"),
        ("last", "<u8"),
        ("bytes", "<u8", 2),
        ("packets", "<u8", 2),
        ("cgroup_id", "<u8"),
        ("burst_first", "<u8"),
        ("tgid", "<u4"),
        ("uid", "<u4"),
        ("isn", "<u4"),
        ("bursts", "<u4"),
        ("tcp_flags", "u1", 2),
        ("opener", "u1"),
        ("outcome", "u1"),
        ("origin", "u1"),
        ("direction", "u1"),
        ("started", "u1"),
        ("syns", "u1"),
        ("comm", "S16"),
    ]
)

EVENT = np.dtype(
    [
        ("time", "<u8"),
        ("kind", "u1"),
        ("pad", "u1", 7),
        ("key", FLOW_KEY),
        ("value", FLOW_VALUE),
    ]
)

CONFIG = np.dtype(
    [
        ("burst_idle", "<u8"),
        ("track_tcp", "u1"),
        ("track_udp", "u1"),
        ("track_icmp", "u1"),
        ("include_loopback", "u1"),
        ("pad", "u1", 4),
    ]
)

COUNTERS = (
    "packets",
    "ignored",
    "unparsed",
    "fragments",
    "other_view",
    "late",
    "stray",
    "map_full",
    "opened",
    "reopened",
    "ended",
    "events",
    "ring_full",
    "late_starts",
    "no_storage",
)
"""``enum counter``: what the kernel programs count; meanings in ``docs/reference/kernel.md``."""

DELIVERED_START = 1
"""Bit of ``started``: the START event went into the ring."""
DELIVERED_END = 2
"""Bit of ``started``: the END event went into the ring."""

FLOW = np.dtype([("key", FLOW_KEY), ("value", FLOW_VALUE)])
"""One entry of the flow map, as the sweep reads it."""


class EventKind(IntEnum):
    """``enum event_kind`` of ``bpf/events.h``."""

    START = 1
    BURST = 2
    END = 3
