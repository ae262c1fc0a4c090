"""What files know around a pair reaches the rules, and what they do not know stays silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from beacon_detect.context import RULES, ContextSettings, Facts
from beacon_detect.context.risk import risk_of
from beacon_detect.control_plane.whitelist import Networks
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import INTERNAL
from beacon_detect.hunt.risk import Candidates, facts_of, weigh
from beacon_detect.records import SECOND, unpack_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from beacon_detect.hunt.pair_table import PairTable

DAY = 86_400.0
NEEDS_PROGRAM = {"process_location", "process_rarity", "interpreter"}
INSIDE = Networks(INTERNAL)


def candidates_of(pairs: PairTable, *, alike: float = 0.2) -> Candidates:
    src, dst = (
        [unpack_address(item.tobytes()) for item in pairs.column(side)] for side in ("src", "dst")
    )
    places, count = np.arange(len(pairs)), len(pairs)
    return Candidates(
        places, src, dst, [""] * count, np.full(count, alike), np.ones(count),
        pairs.side_by_side(places),
    )  # fmt: skip


def facts(some: Collector) -> list[Facts]:
    return list(facts_of(candidates_of(some.pairs), some.pairs, INSIDE))


def collected(make_chunk: Callable, *talks: dict[str, Any]) -> Collector:
    some = Collector()
    for talk in talks:
        some.add(make_chunk(talk.pop("seconds", [0.0]), **talk))
    return some


def test_hosts_are_the_internal_sources_of_the_whole_input(make_chunk: Callable) -> None:
    some = collected(
        make_chunk,
        *({"src": f"10.0.0.{i}", "dst": "192.0.2.7"} for i in range(3)),
        {"src": "10.0.0.1", "dst": "192.0.2.7", "dst_port": 80},
        {"src": "198.51.100.9", "dst": "192.0.2.7"},
        {"src": "10.0.0.9", "dst": "10.0.0.1"},
    )
    known = facts(some)

    assert [one.sources for one in known] == [3, 3, 3, 3, 3, 1]
    assert {one.hosts for one in known} == {4}
    assert [one.src_internal for one in known] == [True] * 4 + [False, True]
    assert [one.dst_internal for one in known] == [False] * 5 + [True]


def test_ages_count_back_from_the_end_of_the_input(make_chunk: Callable) -> None:
    some = collected(
        make_chunk,
        {"dst": "192.0.2.7", "seconds": [0.0, 20 * DAY]},
        {"dst": "192.0.2.8", "seconds": [19.5 * DAY]},
        {"src": "10.0.0.6", "dst": "192.0.2.8", "seconds": [18 * DAY]},
    )

    assert [one.age / DAY for one in facts(some)] == pytest.approx([20, 2, 2])
    assert {one.watched / DAY for one in facts(some)} == {20}


def test_a_week_of_silence_ends_the_watching(make_chunk: Callable) -> None:
    some = collected(
        make_chunk,
        {"dst": "192.0.2.1", "seconds": [0.0]},
        {"dst": "192.0.2.2", "seconds": [1000 * DAY]},
        {"dst": "192.0.2.2", "src": "10.0.0.9", "seconds": [1007 * DAY]},
        {"dst": "192.0.2.1", "src": "10.0.0.9", "seconds": [1008 * DAY]},
    )
    known = facts(some)

    assert {one.watched / DAY for one in known} == {8}
    # Nobody can say that what an older capture knew is new, nor since when it is there.
    assert [one.age / DAY for one in known] == [8, 8, 8, 8]


def test_five_minutes_of_one_host_tell_nothing(make_chunk: Callable) -> None:
    some = collected(make_chunk, {"seconds": np.arange(10) * 30.0})

    [found] = weigh(candidates_of(some.pairs), np.array([0.8]), some.pairs, INSIDE, ContextSettings())  # fmt: skip

    assert (found.risk, found.reasons) == (0.8, ())


def test_sizes_that_nobody_recorded_are_not_alike(make_chunk: Callable) -> None:
    some = collected(make_chunk, {}, {"dst": "192.0.2.8", "bytes_out": 9})
    both = facts_of(candidates_of(some.pairs, alike=1.0), some.pairs, INSIDE)

    assert [one.size_regularity for one in both] == [None, 1.0]


def test_connections_without_durations_are_not_known_to_be_one_at_a_time(
    make_chunk: Callable,
) -> None:
    times = [0.0, 0.1, 60.0, 60.1]
    some = collected(
        make_chunk,
        {"seconds": times},
        {"seconds": times, "dst": "192.0.2.8", "duration": SECOND // 100},
        {"seconds": times, "dst": "192.0.2.9", "duration": SECOND},
    )

    assert [one.side_by_side for one in facts(some)] == [None, 0.0, 0.5]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("score", [0.0, 0.31, 0.7, 1.0])
def test_the_reasons_are_the_whole_way_and_without_context_there_is_none(
    make_chunk: Callable, score: float, enabled: bool
) -> None:
    some = collected(
        make_chunk,
        *({"src": f"10.0.1.{i}", "dst": "192.0.2.7", "bytes_out": 9} for i in range(12)),
        {"dst": "10.0.0.1", "dst_port": 53},
        {"dst": "224.0.0.251"},
    )
    some_scores = np.full(len(some.pairs), score)
    found = weigh(
        candidates_of(some.pairs, alike=0.95), some_scores, some.pairs, INSIDE,
        ContextSettings(enabled=enabled),
    )  # fmt: skip

    for one in found:
        assert one.risk == risk_of(score, [reason.delta for reason in one.reasons])
        assert 0 <= one.risk <= 1
        assert enabled or (one.risk, one.reasons) == (score, ())
        assert not NEEDS_PROGRAM & {reason.rule for reason in one.reasons}
    assert not enabled or all(one.reasons for one in found)
    assert {rule.name for rule in RULES} >= NEEDS_PROGRAM


def test_nothing_to_weigh_is_no_fault() -> None:
    some = Collector()

    assert weigh(candidates_of(some.pairs), np.zeros(0), some.pairs, INSIDE, ContextSettings()) == []  # fmt: skip
