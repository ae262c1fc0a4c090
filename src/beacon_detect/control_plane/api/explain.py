"""``/explain``: one pair in full, flagged or not, and why it is not."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from beacon_detect.control_plane.api.explanation_models import Explanation
from beacon_detect.control_plane.api.parameters import Desk, Parameters, System
from beacon_detect.control_plane.api.problems import ProblemError
from beacon_detect.control_plane.explanation import (
    Subject,
    explain,
    find_pair,
    subject_of,
    subject_of_pair,
)
from beacon_detect.control_plane.lifecycle import ControlPlane
from beacon_detect.control_plane.pair_choice import PairQuery
from beacon_detect.records import pack_address, protocol_number, unpack_address

router = APIRouter(tags=["findings"])

Address = IPv4Address | IPv6Address


def _protocol(text: str) -> str:
    protocol_number(text)
    return text


class ExplainParameters(Parameters):
    """Which pair: by id, or by what it is between."""

    id: str | None = Query(None, description="Of a finding or series, or the number of a pair")
    src: Address | None = Query(None, description="Source: the side that opens connections")
    dst: Address | None = Query(None, description="Destination")
    dst_port: int | None = Query(None, ge=0, le=65_535, description="Destination port")
    protocol: Annotated[str, AfterValidator(_protocol)] | None = Query(
        None, description="TCP, UDP, ICMP, ICMPV6 or a number"
    )


@router.get("/explain")
async def explain_pair(
    wanted: Annotated[ExplainParameters, Query()], system: System, desk: Desk
) -> Explanation:
    """Explain one pair as it measures now, whether it is a finding or not."""
    return await desk.run(lambda: _explanation(system, wanted))


def _explanation(system: ControlPlane, wanted: ExplainParameters) -> Explanation:
    now = time.time_ns()
    return Explanation.of(explain(system, _subject(system, wanted), now), now)


def _subject(system: ControlPlane, wanted: ExplainParameters) -> Subject:
    parts = (wanted.src, wanted.dst, wanted.dst_port, wanted.protocol)
    if wanted.id is not None and not any(part is not None for part in parts):
        return subject_of(system, wanted.id)
    if wanted.id is not None or wanted.src is None or wanted.dst is None:
        detail = "give either id, or src and dst (with dst_port and protocol where needed)"
        raise ProblemError(400, "parameter-not-valid", detail)
    query = PairQuery(
        src=_plain(wanted.src),
        dst=_plain(wanted.dst),
        dst_port=wanted.dst_port,
        protocol=None if wanted.protocol is None else protocol_number(wanted.protocol),
    )
    return subject_of_pair(system, find_pair(system, query))


def _plain(address: Address) -> str:
    """Return an address as records spell it."""
    return unpack_address(pack_address(str(address)))
