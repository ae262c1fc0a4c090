"""The sweep over the flow map: what is still open, what is over, what was never told.

The kernel reports a start, bursts and a clean end; silence reports nothing.
Every few seconds the whole map is read and :func:`plan_sweep` decides, from
its columns alone, which flows get an UPDATE, which have ended by silence and
which entries may go. A packet that arrives between reading and deleting is
counted in a new flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.data_plane.decode import keys_of, take
from beacon_detect.data_plane.events import DELIVERED_END, DELIVERED_START
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.records import SECOND, Kind, Outcome, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.config.schema import DataPlane
    from beacon_detect.data_plane.decode import Decoder
    from beacon_detect.data_plane.flow_map import FlowMap

SWEEP_INTERVAL = 5.0
"""Seconds between sweeps: 65,536 flows cost about 1.5 % of a core."""
LINGER_NS = 10 * SECOND
"""How long an ended TCP flow stays, so that its last packets do not open it anew."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """When silence is an end, and how often an open flow is reported (ns)."""

    tcp_idle: int
    udp_idle: int
    unanswered: int
    update: int

    @classmethod
    def of(cls, config: DataPlane) -> Timeouts:
        """Return those of the configuration."""
        return cls(
            tcp_idle=int(config.tcp_idle_timeout * SECOND),
            udp_idle=int(config.udp_idle_timeout * SECOND),
            unanswered=int(config.unanswered_timeout * SECOND),
            update=int(config.update_interval * SECOND),
        )


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Masks over the flows of one sweep; each flow has at most one of ``ends`` and ``updates``."""

    starts: NDArray[np.bool_]
    """The kernel has not delivered their START."""
    updates: NDArray[np.bool_]
    """Still open and due for a report."""
    ends: NDArray[np.bool_]
    """Over by silence, or over without a delivered END."""
    outcomes: NDArray[np.uint8]
    """The outcome to report, for every flow."""
    deletes: NDArray[np.bool_]
    """May leave the map: over by silence, or ended by the kernel a while ago."""


def plan_sweep(
    flows: NDArray[Any], timeouts: Timeouts, *, now: int, previous: int, last: bool = False
) -> SweepPlan:
    """Decide what to report and delete.

    Parameters
    ----------
    flows
        Entries of the flow map (``events.FLOW``).
    now, previous
        Boot ns of this sweep and of the one before. An open flow is due when
        a multiple of the update interval of its age lies between them; a START
        is missing when the flow is older than the sweep before.
    last
        The sensor stops: every open flow is reported.
    """
    value = flows["value"]
    outcome = value["outcome"]
    first = value["first"].astype(np.int64)
    silent = now - value["last"].astype(np.int64)
    ended = outcome > Outcome.ESTABLISHED
    answered = outcome == Outcome.ESTABLISHED
    tcp = flows["key"]["protocol"] == Protocol.TCP
    patience = np.where(
        tcp, np.where(answered, timeouts.tcp_idle, timeouts.unanswered), timeouts.udp_idle
    )
    silenced = ~ended & (silent > patience)
    lingered = ended & (silent > LINGER_NS)
    ends = silenced | (lingered & (value["started"] & DELIVERED_END == 0))
    known_before = first <= previous
    due = (now - first) // timeouts.update > (previous - first) // timeouts.update
    silence = np.where(answered, np.uint8(Outcome.IDLE), np.uint8(Outcome.UNANSWERED))
    return SweepPlan(
        # The END event of an ended flow brings a missing START along.
        starts=(value["started"] & DELIVERED_START == 0)
        & (ends | (~ended & (known_before | last))),
        updates=((due & known_before) | last) & ~ended & ~ends,
        ends=ends,
        outcomes=np.where(silenced, silence, outcome),
        deletes=silenced | lingered,
    )


class Sweeper:
    """Reads the flow map, reports by the plan, deletes what is over, counts what was evicted."""

    def __init__(
        self,
        flow_map: FlowMap,
        decoder: Decoder,
        losses: Losses,
        timeouts: Timeouts,
        *,
        inserted: int = 0,
        now: int,
    ) -> None:
        self.timeouts = timeouts
        self._map = flow_map
        self._decoder = decoder
        self._losses = losses
        self._previous = now
        self._inserted = inserted
        self._deleted = 0

    def sweep(
        self, now: int, counters: Mapping[str, int], *, last: bool = False
    ) -> list[pa.RecordBatch]:
        """Return the records of one sweep.

        Parameters
        ----------
        now
            Boot ns.
        counters
            The kernel's counters, read before this call.
        last
            The sensor stops.
        """
        flows = self._map.snapshot()
        made = counters["opened"] - counters["reopened"] + self._inserted
        self._losses.raise_to(Loss.FLOWS_EVICTED, made - self._deleted - len(flows))
        plan = plan_sweep(flows, self.timeouts, now=now, previous=self._previous, last=last)
        self._previous = now
        ids = self._decoder.ids(flows)
        flows["value"]["outcome"] = plan.outcomes
        unknown = self._decoder.ledger.unknown(ids)
        starts = plan.starts & unknown
        undelivered = flows["value"]["started"] & DELIVERED_START == 0
        self._decoder.ledger.renew(ids[undelivered & (starts | ~unknown)])
        kinds, rows = _reported(starts, plan)
        batches = self._decoder.flows(kinds, take(flows, rows), now)
        self._deleted += self._map.delete(keys_of(flows, np.flatnonzero(plan.deletes)))
        return batches


def _reported(
    starts: NDArray[np.bool_], plan: SweepPlan
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return (kinds, rows) of the records to make: starts, then updates, then ends."""
    kinds = np.array((Kind.START, Kind.UPDATE, Kind.END), np.uint8)
    rows = [np.flatnonzero(mask) for mask in (starts, plan.updates, plan.ends)]
    return np.repeat(kinds, [len(chosen) for chosen in rows]), np.concatenate(rows)
