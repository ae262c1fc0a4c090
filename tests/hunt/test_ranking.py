"""Ranking: one row a pair, best first, with its context counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import Settings, severity
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import rank, score
from beacon_detect.records import Kind

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
    assert rows[0].severity == severity(rows[0].score)
    assert abs(rows[0].interval - 60) < 0.1
    assert rows[0].check_ins == 40
    assert (rows[0].proto, rows[0].dport, rows[0].risk) == ("tcp", 443, rows[0].score)
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
