"""Makes kernel flows and events for tests, as the kernel program would write them.

Shared by the sensor's tests; not a test itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.data_plane.events import DELIVERED_START, EVENT, FLOW
from beacon_detect.records import SECOND, Origin, Outcome, Protocol, pack_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Connection:
    """What a flow says, from the opener's point of view; times in boot ns."""

    src: str = "192.0.2.10"
    dst: str = "198.51.100.20"
    src_port: int = 40_000
    dst_port: int = 443
    protocol: int = Protocol.TCP
    first: int = 1000 * SECOND
    last: int = 1001 * SECOND
    burst_first: int = 0
    bytes_out: int = 100
    bytes_in: int = 200
    packets_out: int = 3
    packets_in: int = 4
    tcp_flags_out: int = 0x1B
    tcp_flags_in: int = 0x12
    outcome: int = Outcome.ESTABLISHED
    origin: int = Origin.OPENED
    direction: int = 1
    started: int = DELIVERED_START
    tgid: int = 0
    uid: int = 0
    cgroup_id: int = 0
    comm: bytes = b""
    zone: int = 0

    def but(self, **changes: Any) -> Connection:
        return replace(self, **changes)


def flow(connection: Connection) -> Any:
    """Return one ``FLOW`` entry: the smaller end first, ``opener`` tells which one opened."""
    near = (pack_address(connection.src), connection.src_port)
    far = (pack_address(connection.dst), connection.dst_port)
    opener = int(near > far)
    made = np.zeros(1, FLOW)
    key, value = made["key"], made["value"]
    for side, (address, port) in zip("ab", sorted((near, far)), strict=True):
        key[f"address_{side}"][0] = np.frombuffer(address, np.uint8)
        key[f"port_{side}"] = port
    key["protocol"], key["zone"] = connection.protocol, connection.zone
    for name in ("bytes", "packets", "tcp_flags"):
        ends = (getattr(connection, f"{name}_out"), getattr(connection, f"{name}_in"))
        value[name][0] = ends[::-1] if opener else ends
    value["opener"] = opener
    for name in (
        *("first", "last", "burst_first", "outcome", "origin", "direction", "started"),
        *("tgid", "uid", "cgroup_id", "comm"),
    ):
        value[name] = getattr(connection, name)
    return made[0]


def flows(connections: Sequence[Connection]) -> NDArray[Any]:
    made = np.zeros(len(connections), FLOW)
    for place, connection in enumerate(connections):
        made[place] = flow(connection)
    return made


def events(rows: Sequence[tuple[int, Connection]]) -> NDArray[Any]:
    """Return ``EVENT`` entries, each of a kind and a connection."""
    made = np.zeros(len(rows), EVENT)
    for place, (kind, connection) in enumerate(rows):
        made[place]["kind"] = kind
        entry = flow(connection)
        made[place]["key"], made[place]["value"] = entry["key"], entry["value"]
    return made
