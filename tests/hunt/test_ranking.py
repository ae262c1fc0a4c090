"""Ranking: one row a pair, best first, with its context counted."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from beacon_detect.analysis import Settings, severity
from beacon_detect.context import ContextSettings
from beacon_detect.context.risk import risk_of
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import rank, score
from beacon_detect.records import SECOND, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

REGULAR = np.arange(40) * 60.0 + 1_700_000_000


def test_regular_comes_before_random_and_each_pair_once(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk(np.sort(np.random.default_rng(7).uniform(0, 3000, 40)) + 1.7e9, "10.0.0.6"))
    some.add(make_chunk(REGULAR))
    some.add(make_chunk(REGULAR[:3], "10.0.0.7"))
    scored, watching = score(some, Settings())
    rows = rank(some, scored, 0.0)

    assert [row.src for row in rows] == ["10.0.0.5", "10.0.0.6"]
    assert rows[0].score > 0.9 > rows[1].score
    assert rows[0].severity == severity(rows[0].risk)
    assert abs(rows[0].interval - 60) < 0.1
    assert rows[0].check_ins == 40
    assert (rows[0].proto, rows[0].dport) == ("tcp", 443)
    assert (rows[0].sources, rows[0].destinations) == (3, 1)
    assert watching == 0


def test_the_better_series_of_a_pair_leads(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk(np.sort(np.random.default_rng(7).uniform(0, 3000, 40)) + 1.7e9))
    some.add(make_chunk(REGULAR, kind=Kind.BURST))
    rows = rank(some, score(some, Settings())[0], 0.0)

    assert [row.series for row in rows] == ["bursts"]
    assert rows[0].connections == 40


def test_rows_below_the_least_score_are_left_out(make_chunk: Callable) -> None:
    some = Collector()
    some.add(make_chunk(np.sort(np.random.default_rng(7).uniform(0, 3000, 40)) + 1.7e9))
    scored, _ = score(some, Settings(), 0.9)

    assert rank(some, scored, 0.9) == []
    assert len(scored.pairs) == 1


def test_nothing_gives_nothing() -> None:
    some = Collector()
    scored, watching = score(some, Settings())

    assert rank(some, scored, 0.0) == []
    assert watching == 0


def explained(make_chunk: Callable) -> Collector:
    """Return a clock of the own network, and a slightly less regular stranger."""
    some = Collector()
    some.add(make_chunk(REGULAR, dst="10.0.0.1", dst_port=123, bytes_out=48))
    late = np.random.default_rng(3).uniform(-8, 8, len(REGULAR))
    some.add(make_chunk(REGULAR + late, dst="192.0.2.9"))
    some.pairs.column("protocol")[0] = 17
    return some


def test_what_context_explains_goes_down_but_stays_on_the_list(make_chunk: Callable) -> None:
    some = explained(make_chunk)
    scored, _ = score(some, Settings())
    stranger, clock = rank(some, scored, 0.0)

    assert (stranger.dport, clock.dport) == (443, 123)
    assert clock.score > stranger.score > 0.7 > clock.risk
    assert clock.severity == severity(clock.risk) == "LOW"
    assert clock.reasons[0].rule == "infrastructure"
    for row in (stranger, clock):
        assert row.risk == risk_of(row.score, [reason.delta for reason in row.reasons])


def test_a_least_risk_hides_what_context_explains_and_a_least_score_does_not(
    make_chunk: Callable,
) -> None:
    some = explained(make_chunk)
    scored, _ = score(some, Settings())

    assert [row.dport for row in rank(some, scored, 0.5)] == [443, 123]
    assert [row.dport for row in rank(some, scored, 0.5, least_risk=0.5)] == [443]


def test_without_context_the_risk_is_the_score(make_chunk: Callable) -> None:
    some = explained(make_chunk)
    rows = rank(some, score(some, Settings())[0], 0.0, context=ContextSettings(enabled=False))

    assert [(row.risk, row.reasons) for row in rows] == [(row.score, ()) for row in rows]
    assert rows == sorted(rows, key=lambda row: -round(row.risk, 3))


@pytest.mark.parametrize("collecting", [True, False])
def test_the_cycle_collector_is_left_as_it_was(make_chunk: Callable, collecting: bool) -> None:
    some = explained(make_chunk)
    scored, _ = score(some, Settings())
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        rank(some, scored, 0.0)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_parallel_connections_count_and_parallel_bursts_do_not(make_chunk: Callable) -> None:
    four = np.sort(np.concatenate([REGULAR + 0.1 * i for i in range(4)]))
    rules = []
    for kind in (Kind.CONNECTION, Kind.BURST):
        some = Collector()
        some.add(make_chunk(four, kind=kind))
        [row] = rank(some, score(some, Settings())[0], 0.0)
        assert row.connections_per_check_in == 4
        rules.append([reason.rule for reason in row.reasons])

    assert rules == [["parallel_connections"], []]


@pytest.mark.parametrize(
    ("duration", "delta"),
    [(0, -0.1), (0.05, -0.1), (0.3, -0.3)],
    ids=["unknown", "after", "beside"],
)
def test_of_two_connections_each_time_those_side_by_side_count_more(
    make_chunk: Callable, duration: float, delta: float
) -> None:
    some = Collector()
    two = np.sort(np.concatenate([REGULAR, REGULAR + 0.1]))
    some.add(make_chunk(two, duration=int(duration * SECOND)))
    [row] = rank(some, score(some, Settings())[0], 0.0)

    assert [(reason.rule, reason.delta) for reason in row.reasons] == [("parallel_connections", delta)]  # fmt: skip


def test_a_poller_whose_connections_outlast_its_interval_is_not_parallel(
    make_chunk: Callable,
) -> None:
    some = Collector()
    some.add(make_chunk(1.7e9 + np.arange(600.0), duration=int(1.5 * SECOND)))
    [row] = rank(some, score(some, Settings())[0], 0.0)

    assert some.pairs.side_by_side(np.array([row.pair]))[0] > 0.9
    assert row.reasons == ()
