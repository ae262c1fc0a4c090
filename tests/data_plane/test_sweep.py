"""The sweep ends what is silent, reports what is open, and tells each connection exactly once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config.schema import DataPlane
from beacon_detect.data_plane.clock import WallClock
from beacon_detect.data_plane.decode import Decoder
from beacon_detect.data_plane.events import DELIVERED_END, DELIVERED_START
from beacon_detect.data_plane.losses import Losses
from beacon_detect.data_plane.state import SeriesClock
from beacon_detect.data_plane.sweep import LINGER_NS, Sweeper, Timeouts, plan_sweep
from beacon_detect.records import SECOND, Kind, Outcome, Protocol, record_schema
from events_factory import Connection, events, flows

TIMEOUTS = Timeouts(
    tcp_idle=3600 * SECOND, udp_idle=60 * SECOND, unanswered=30 * SECOND, update=60 * SECOND
)
NOW = 100_000 * SECOND
BEFORE = NOW - 5 * SECOND

moments = st.integers(0, NOW)


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    first = draw(moments)
    return Connection(
        src_port=draw(st.integers(1, 65_535)),
        protocol=draw(st.sampled_from([Protocol.TCP, Protocol.UDP, Protocol.ICMP])),
        first=first,
        last=draw(st.integers(first, NOW + SECOND)),
        outcome=draw(st.integers(0, 6)),
        started=draw(st.integers(0, 3)),
    )


def plan_of(*connections: Connection, last: bool = False, previous: int = BEFORE) -> Any:
    return plan_sweep(flows(connections), TIMEOUTS, now=NOW, previous=previous, last=last)


@given(st.lists(connections(), min_size=1, max_size=20), st.booleans())
def test_laws_of_any_plan(made: list[Connection], last: bool) -> None:
    plan = plan_of(*made, last=last)
    ended = np.array([c.outcome > Outcome.ESTABLISHED for c in made])
    told = np.array([bool(c.started & DELIVERED_END) for c in made])

    assert not (plan.ends & plan.updates).any()
    assert (plan.deletes | ~plan.ends).all()
    assert not (plan.updates & plan.deletes).any()
    assert not (plan.updates & ended).any()
    assert not (plan.ends & ended & told).any()
    assert (plan.outcomes[plan.ends] > Outcome.ESTABLISHED).all()
    assert (plan.outcomes == [c.outcome for c in made])[~plan.ends].all()
    delivered = np.array([bool(c.started & DELIVERED_START) for c in made])
    assert not (plan.starts & delivered).any()
    assert (plan.starts | delivered | ~plan.ends).all()


@given(st.lists(connections(), min_size=1, max_size=10))
def test_a_plan_looks_at_each_flow_alone(made: list[Connection]) -> None:
    whole = plan_of(*made)
    for place, connection in enumerate(made):
        alone = plan_of(connection)
        for mask in ("starts", "updates", "ends", "outcomes", "deletes"):
            assert getattr(whole, mask)[place] == getattr(alone, mask)[0]


def test_silence_ends_by_protocol_and_answer() -> None:
    def end_after(silence: int, **fields: Any) -> tuple[bool, int]:
        plan = plan_of(Connection(first=0, last=NOW - silence, **fields))
        return bool(plan.ends[0]), int(plan.outcomes[0])

    cases = [
        ({"protocol": 6, "outcome": Outcome.ESTABLISHED}, TIMEOUTS.tcp_idle, Outcome.IDLE),
        ({"protocol": 6, "outcome": Outcome.UNKNOWN}, TIMEOUTS.unanswered, Outcome.UNANSWERED),
        ({"protocol": 17, "outcome": Outcome.ESTABLISHED}, TIMEOUTS.udp_idle, Outcome.IDLE),
        ({"protocol": 17, "outcome": Outcome.UNKNOWN}, TIMEOUTS.udp_idle, Outcome.UNANSWERED),
        ({"protocol": 1, "outcome": Outcome.UNKNOWN}, TIMEOUTS.udp_idle, Outcome.UNANSWERED),
    ]
    for fields, timeout, outcome in cases:
        assert end_after(timeout, **fields)[0] is False
        assert end_after(timeout + 1, **fields) == (True, outcome)


def test_an_ended_flow_lingers_and_then_goes_without_a_word() -> None:
    told = Connection(outcome=Outcome.CLOSED, started=3, last=NOW - LINGER_NS)

    assert not plan_of(told).deletes[0]
    plan = plan_of(told.but(last=NOW - LINGER_NS - 1))
    assert plan.deletes[0]
    assert not plan.ends[0]
    assert not plan.starts[0]


def test_an_end_without_room_in_the_ring_is_made_up_when_the_flow_goes() -> None:
    untold = Connection(outcome=Outcome.REFUSED, started=1, last=NOW - LINGER_NS - 1)
    plan = plan_of(untold, untold.but(started=0))

    assert plan.ends.tolist() == [True, True]
    assert plan.starts.tolist() == [False, True]
    assert plan.outcomes.tolist() == [Outcome.REFUSED] * 2


@given(age=st.integers(1, 100_000), sweeps=st.lists(st.integers(1, 200), min_size=1, max_size=50))
def test_an_open_flow_is_reported_once_an_interval_whatever_the_rhythm_of_the_sweeps(
    age: int, sweeps: list[int]
) -> None:
    first = NOW - age * SECOND
    one = flows([Connection(first=first, last=NOW + 10_000 * SECOND)])
    previous, moment, reports = NOW, NOW, 0
    for step in sweeps:
        moment += step * SECOND
        plan = plan_sweep(one, TIMEOUTS, now=moment, previous=previous)
        reports += int(plan.updates[0])
        previous = moment
    passed = (moment - first) // TIMEOUTS.update - (NOW - first) // TIMEOUTS.update

    assert reports <= passed
    assert reports >= min(passed, 1)
    if max(sweeps) * SECOND <= TIMEOUTS.update:
        assert reports == passed


def test_a_flow_younger_than_a_sweep_gets_its_start_from_the_kernel() -> None:
    young = Connection(started=0, first=BEFORE + 1, last=NOW)

    assert not plan_of(young).starts[0]
    assert plan_of(young.but(first=BEFORE)).starts[0]
    assert plan_of(young, last=True).starts[0]


def test_at_the_stop_every_open_flow_is_reported() -> None:
    made = [
        Connection(first=NOW, last=NOW),
        Connection(first=0, last=NOW),
        Connection(outcome=Outcome.CLOSED, last=NOW, started=3),
    ]

    assert plan_of(*made, last=True).updates.tolist() == [True, True, False]


def test_timeouts_come_from_the_configuration() -> None:
    config = DataPlane(
        tcp_idle_timeout=100.0, udp_idle_timeout=2.0, unanswered_timeout=3.0, update_interval=4.5
    )

    assert Timeouts.of(config) == Timeouts(100 * SECOND, 2 * SECOND, 3 * SECOND, 4_500_000_000)


class MemoryMap:
    """A flow map in memory, with the kernel's interface."""

    def __init__(self, *connections: Connection) -> None:
        self.entries = list(connections)

    def snapshot(self) -> Any:
        return flows(self.entries)

    def delete(self, keys: Any) -> int:
        gone = {key.tobytes() for key in keys}
        kept = [c for c in self.entries if flows([c])["key"][0].tobytes() not in gone]
        deleted = len(self.entries) - len(kept)
        self.entries = kept
        return deleted


def make_sweeper(flow_map: MemoryMap, losses: Losses, inserted: int = 0) -> Sweeper:
    clock = WallClock(lambda: (NOW, 0))
    decoder = Decoder(clock, SeriesClock("0" * 32, 0), None, losses)
    return Sweeper(flow_map, decoder, losses, TIMEOUTS, inserted=inserted, now=BEFORE)  # type: ignore[arg-type]


def told_by(batches: list[pa.RecordBatch]) -> list[tuple[int, int]]:
    rows = pa.Table.from_batches(batches, record_schema()).to_pylist()
    return sorted((row["src_port"], row["kind"]) for row in rows)


COUNTERS = {"opened": 0, "reopened": 0}


def test_a_sweep_reports_and_deletes() -> None:
    flow_map = MemoryMap(
        Connection(src_port=1, protocol=17, first=0, last=0),
        Connection(src_port=2, first=NOW - 61 * SECOND, last=NOW),
        Connection(src_port=3, outcome=Outcome.CLOSED, started=3, last=0),
        Connection(src_port=4, first=NOW - 3 * SECOND, last=NOW),
    )
    sweeper = make_sweeper(flow_map, Losses())

    assert told_by(sweeper.sweep(NOW, COUNTERS)) == [(1, Kind.END), (2, Kind.UPDATE)]
    assert [c.src_port for c in flow_map.entries] == [2, 4]
    assert told_by(sweeper.sweep(NOW + 5 * SECOND, COUNTERS)) == []


def test_a_made_up_start_is_told_once_however_often_it_is_swept() -> None:
    silent = Connection(src_port=1, started=0, first=BEFORE - SECOND, last=NOW)
    flow_map = MemoryMap(silent)
    losses = Losses()
    sweeper = make_sweeper(flow_map, losses)
    told = [told_by(sweeper.sweep(NOW + n * SECOND, COUNTERS)) for n in range(4)]
    assert told == [[(1, Kind.START)], [], [], []]

    # The kernel has no room for the END either: it comes when the flow leaves, without a START.
    ended = silent.but(outcome=Outcome.RESET, last=NOW + 4 * SECOND)
    flow_map.entries = [ended]
    later = [NOW + n * SECOND for n in range(5, 25)]
    told = [told_by(sweeper.sweep(moment, COUNTERS)) for moment in later]
    assert [rows for rows in told if rows] == [[(1, Kind.END)]]
    assert flow_map.entries == []


@given(
    opened=st.integers(0, 1000), reopened=st.integers(0, 50), inserted=st.integers(0, 50),
    live=st.integers(0, 8),
)  # fmt: skip
def test_flows_that_left_by_themselves_are_counted_as_evicted(
    opened: int, reopened: int, inserted: int, live: int
) -> None:
    losses = Losses()
    flow_map = MemoryMap(
        *[Connection(src_port=port + 1, protocol=17, last=0) for port in range(live)]
    )
    sweeper = make_sweeper(flow_map, losses, inserted)
    counters = {"opened": opened + reopened, "reopened": reopened}
    evicted = max(0, opened + inserted - live)

    sweeper.sweep(NOW, counters)
    assert losses.totals().get("flows_evicted", 0) == evicted
    # All were silent and are deleted now: that is no eviction.
    sweeper.sweep(NOW + SECOND, counters)
    assert losses.totals().get("flows_evicted", 0) == evicted


def test_a_start_in_the_ring_after_it_was_made_up_is_dropped() -> None:
    silent = Connection(src_port=1, started=0, first=BEFORE - SECOND, last=NOW)
    losses = Losses()
    decoder = Decoder(WallClock(lambda: (NOW, 0)), SeriesClock("0" * 32, 0), None, losses)
    sweeper = Sweeper(MemoryMap(silent), decoder, losses, TIMEOUTS, now=BEFORE)  # type: ignore[arg-type]
    assert told_by(sweeper.sweep(NOW, COUNTERS)) == [(1, Kind.START)]

    late = decoder.events(events([(Kind.START, silent.but(started=1))]), NOW)

    assert told_by(late) == []
