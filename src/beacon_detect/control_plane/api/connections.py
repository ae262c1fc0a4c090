"""``/connections`` (pairs with all their connections) and ``/long-connections`` (single ones)."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Query

from beacon_detect.control_plane.alerts.message import rfc3339
from beacon_detect.control_plane.api.models import (
    Connection,
    ConnectionList,
    LongConnection,
    LongConnectionList,
)
from beacon_detect.control_plane.api.parameters import Limited, System
from beacon_detect.control_plane.storage import long_connections
from beacon_detect.records import SECOND, Outcome, pack_address, protocol_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.pairs import PairSummary

router = APIRouter(tags=["connections"])

Address = IPv4Address | IPv6Address


class ConnectionParameters(Limited):
    """Which pairs to list."""

    src_ip: Address | None = Query(None, description="Only pairs with this source")
    dst_ip: Address | None = Query(None, description="Only pairs with this destination")


@router.get("/connections")
def list_connections(
    wanted: Annotated[ConnectionParameters, Query()], system: System
) -> ConnectionList:
    """List pairs by number of connections, without whitelisted ones."""
    pairs, total = system.pairs.top(
        wanted.limit,
        src=_packed(wanted.src_ip),
        dst=_packed(wanted.dst_ip),
        hidden=system.whitelist.hidden,
    )
    scores = _scores(system.analyzer.findings())
    shown = [_connection(pair, scores.get(pair.pair_id)) for pair in pairs]
    return ConnectionList(count=len(shown), total=total, connections=shown)


def _packed(address: Address | None) -> bytes | None:
    return None if address is None else pack_address(str(address))


def _scores(findings: Iterable[Finding]) -> dict[int, float]:
    """Return the highest score of each pair with a finding."""
    scores: dict[int, float] = {}
    for finding in findings:
        # Findings come highest score first.
        scores[finding.pair_id] = max(scores.get(finding.pair_id, 0.0), finding.score)
    return scores


def _connection(pair: PairSummary, score: float | None) -> Connection:
    return Connection(
        src_ip=pair.src,
        dst_ip=pair.dst,
        dst_port=pair.dst_port,
        protocol=protocol_name(pair.protocol),
        connections=pair.connections,
        first_seen=rfc3339(pair.first_seen),
        last_seen=rfc3339(pair.last_seen),
        bytes_out=pair.bytes_out,
        bytes_in=pair.bytes_in,
        process=pair.process,
        executable=pair.executable,
        container=pair.container,
        sensor=pair.sensor,
        name=pair.name,
        direction=pair.direction,
        score=score,
    )


class LongConnectionParameters(Limited):
    """Which single connections to list."""

    min_duration: float = Query(3600, ge=0, le=1e9, description="Least duration, seconds")


@router.get("/long-connections")
def list_long_connections(
    wanted: Annotated[LongConnectionParameters, Query()], system: System
) -> LongConnectionList:
    """List single connections by duration, open ones included, without whitelisted ones.

    Connections shorter than a minute are not kept one by one.
    """
    table = system.store.query(
        long_connections.SELECT,
        {"least": int(wanted.min_duration * SECOND), "now": time.time_ns()},
    )
    hidden = system.whitelist.hidden_text(
        *(table.column(name).to_pylist() for name in ("src", "dst", "dst_port"))
    )
    visible = table.take(np.flatnonzero(~hidden)[: wanted.limit])
    shown = [_long_connection(row) for row in visible.to_pylist()]
    return LongConnectionList(count=len(shown), connections=shown)


def _long_connection(row: dict[str, Any]) -> LongConnection:
    return LongConnection(
        src_ip=row["src"],
        src_port=row["src_port"],
        dst_ip=row["dst"],
        dst_port=row["dst_port"],
        protocol=protocol_name(row["protocol"]),
        duration_seconds=row["duration"] / SECOND,
        open=row["open"],
        lost_sight=row["lost_sight"],
        started=rfc3339(row["started"]),
        last_seen=rfc3339(row["last_seen"]),
        bytes_out=row["bytes_out"],
        bytes_in=row["bytes_in"],
        outcome=Outcome(row["outcome"]).name.lower(),
        process=row["process"],
        container=row["container"],
        sensor=row["sensor"],
    )
