"""Groups hold the pairs of one name, keep their bounds, and are told only when they say more."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import finding
from beacon_detect.control_plane import groups as module
from beacon_detect.control_plane.groups import (
    CLEARLY,
    Cover,
    Groups,
    Rivals,
    find_groups,
    group_keys,
    pairs_behind,
    pieces,
    says_more,
    sum_up,
    told_scores,
    with_events,
)
from beacon_detect.control_plane.pairs import PairColumns, PairTable
from beacon_detect.control_plane.storage.writer import CommittedBatch
from beacon_detect.control_plane.working_set import SeriesKind
from beacon_detect.records import unpack_address
from records_factory import BASE_TIME, make_header, make_records

NAME, PROCESS = SeriesKind.NAME, SeriesKind.PROCESS
PAIR = st.fixed_dictionaries(
    {
        "src": st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        "dst": st.sampled_from([f"203.0.113.{n}" for n in range(6)]),
        "name": st.sampled_from(["", "a.example", "b.example"]),
        "executable": st.sampled_from(["", "/tmp/x", "/usr/bin/curl"]),
        "container": st.sampled_from(["", "web"]),
    }
)


def columns_of(rows: list[dict[str, Any]], sensor: str = "sensor-1") -> PairColumns:
    """Return the columns of a table that saw one connection of each row, the last one newest."""
    pairs = PairTable()
    for number, row in enumerate(rows):
        records = make_records(1, **({"time": np.array([BASE_TIME + number])} | row))
        pairs.add(CommittedBatch.of(make_header(sensor), records))
    return pairs.columns()


def nothing(_src: np.ndarray, _dst: np.ndarray, ports: np.ndarray) -> np.ndarray:
    return np.zeros(len(ports), np.bool_)


def rotating(count: int, **row: Any) -> list[dict[str, Any]]:
    return [{"dst": f"203.0.113.{n}", "name": "c2.example", **row} for n in range(count)]


def pairs_in(groups: Groups) -> list[list[int]]:
    return [sorted(groups.of(number).tolist()) for number in range(len(groups))]


def model(columns: PairColumns, kind: SeriesKind, touched: set[int]) -> list[list[int]]:
    """Return the groups of two pairs or more with a touched one, a dict at a time."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in range(len(columns.ids)):
        name, program = columns.name[row], columns.executable[row] or columns.process[row]
        if not name or (kind == PROCESS and not program):
            continue
        where = (columns.sensor[row], columns.container[row], program)
        key = (unpack_address(columns.src[row].tobytes()),) if kind == NAME else where
        found[(*key, name)].append(row)
    return sorted(rows for rows in found.values() if len(rows) > 1 and touched & set(rows))


@given(st.lists(PAIR, min_size=1, max_size=12), st.sets(st.integers(0, 11)))
def test_groups_are_those_of_a_dict_of_lists(rows: list[dict[str, Any]], numbers: set[int]) -> None:
    columns = columns_of(rows)
    touched = {number for number in numbers if number < len(columns.ids)}
    found = find_groups(columns, columns.ids[sorted(touched)], nothing)
    by_name, by_process = found or [Groups(NAME, *[np.zeros(0, np.uint64)] * 3)] * 2

    names = model(columns, NAME, touched)
    assert sorted(pairs_in(by_name)) == names
    assert sorted(pairs_in(by_process)) == [
        pairs for pairs in model(columns, PROCESS, touched) if pairs not in names
    ]
    assert by_name.keys.tolist() == sorted(by_name.keys.tolist())


def test_keys_stay_the_same_when_the_table_is_built_in_another_order() -> None:
    rows = [*rotating(3, executable="/tmp/x"), {"dst": "203.0.113.9", "name": "other.example"}]
    one, other = columns_of(rows), columns_of(rows[::-1])

    for kind in (NAME, PROCESS):
        first = dict(zip(one.ids.tolist(), group_keys(one, kind).tolist(), strict=True))
        second = dict(zip(other.ids.tolist(), group_keys(other, kind).tolist(), strict=True))
        assert first == second


def test_the_newest_pair_of_a_group_comes_first() -> None:
    columns = columns_of(rotating(4))
    [by_name, _] = find_groups(columns, columns.ids[:1], nothing)

    assert by_name.of(0).tolist() == [3, 2, 1, 0]


def test_whitelisted_pairs_belong_to_no_group() -> None:
    columns = columns_of(rotating(3))

    def hidden(_src: np.ndarray, dst: np.ndarray, _ports: np.ndarray) -> np.ndarray:
        return dst[:, 15] == 1

    [by_name, _] = find_groups(columns, columns.ids, hidden)
    assert pairs_in(by_name) == [[0, 2]]


def test_a_program_with_several_source_addresses_is_a_group_of_its_own() -> None:
    columns = columns_of(
        [*rotating(2, executable="/tmp/x"), *rotating(2, src="2001:db8::5", executable="/tmp/x")]
    )
    by_name, by_process = find_groups(columns, columns.ids, nothing)

    assert sorted(pairs_in(by_name)) == [[0, 1], [2, 3]]
    assert pairs_in(by_process) == [[0, 1, 2, 3]]


@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=6), max_size=5), st.integers(1, 9))
def test_groups_worth_a_merge_have_two_pairs_with_events_and_enough_of_them(
    events: list[list[int]], least: int
) -> None:
    groups, flat = of_events(events)
    kept = with_events(groups, flat, least)

    assert kept.keys.tolist() == [
        number
        for number, one in enumerate(events)
        if sum(one) >= least and sum(size > 0 for size in one) > 1
    ]
    assert (flat[kept.members] > 0).all()


def of_events(events: list[list[int]]) -> tuple[Groups, np.ndarray]:
    """Return groups with pairs that hold so many events; members are places in the flat column."""
    flat = np.array([size for one in events for size in one], np.int64)
    offsets = np.cumsum([0, *map(len, events)]).astype(np.int64)
    keys = np.arange(len(events)).astype(np.uint64)
    return Groups(NAME, keys, offsets, np.arange(len(flat))), flat


def test_bounds_leave_out_the_oldest_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GROUP_PAIRS", 3)
    monkeypatch.setattr(module, "MAX_GROUP_EVENTS", 10)
    groups, flat = of_events([[5, 5, 5, 5], [1, 1, 1, 1], [20, 1, 1, 1]])
    kept = with_events(groups, flat, 1)

    assert pairs_in(kept) == [[0, 1], [4, 5, 6]]


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=8), st.integers(1, 30)
)
def test_pieces_hold_every_group_once_and_stop_at_the_bound(
    events: list[list[int]], most: int
) -> None:
    groups, flat = of_events(events)
    cut = list(pieces(groups, flat, most))

    assert [key for piece in cut for key in piece.keys.tolist()] == list(range(len(events)))
    for piece in cut:
        assert flat[piece.members[: piece.offsets[-2]]].sum() <= most


def test_a_group_says_more_when_it_is_clearly_above_its_best_pair_or_stands_for_several() -> None:
    best = np.array([0.0, 0.7, 0.95, 0.95, 0.95])
    several = np.array([False, False, False, True, True])
    scores = np.array([0.7, 0.75, 0.99, 0.9, 0.8])

    assert says_more(scores, Rivals(best, several)).tolist() == [True, False, False, True, False]


def told(columns: PairColumns, kind: SeriesKind, row: int, score: float, **changes: Any) -> Any:
    return finding(
        pair_id=int(group_keys(columns, kind)[row]),
        series=kind.name.lower(),
        score=0.99,
        **{"current_score": score} | changes,
    )


def test_a_told_group_covers_its_pairs_up_to_a_clear_difference() -> None:
    columns = columns_of([*rotating(3, executable="/tmp/x"), {"dst": "203.0.113.9"}])
    findings = [
        told(columns, NAME, 0, 0.7),
        told(columns, PROCESS, 0, 0.8),
        finding(pair_id=int(columns.ids[3])),
    ]
    cover = Cover.of(findings, columns, 0.5)
    scores = np.array([0.7, 0.8 + CLEARLY, 0.89, 0.1])

    assert cover.hides(columns.ids, scores).tolist() == [True, False, True, False]
    assert cover.hides(columns.ids[::-1], scores[::-1]).tolist() == [False, True, False, True]


def test_a_group_that_is_no_beacon_any_more_covers_nothing() -> None:
    columns = columns_of(rotating(3))

    for findings in ([told(columns, NAME, 0, 0.4)], [finding()], []):
        cover = Cover.of(findings, columns, 0.5)
        assert not cover.hides(columns.ids, np.zeros(3)).any()


def test_scores_of_told_groups_are_found_by_key() -> None:
    columns = columns_of([*rotating(2), {"dst": "203.0.113.9"}])
    keys = group_keys(columns, NAME)

    assert told_scores([told(columns, NAME, 0, 0.6)], NAME, keys).tolist() == [0.6, 0.6, 0]
    assert told_scores([told(columns, NAME, 0, 0.6)], PROCESS, keys).tolist() == [0, 0, 0]


def test_a_summary_of_a_group_adds_up_and_shows_the_busiest_address_and_the_newest_process() -> (
    None
):
    pairs = PairTable()
    for number, (count, process) in enumerate(((2, "old"), (5, "implant"), (1, ""))):
        start = BASE_TIME + number * 10**9
        records = make_records(
            time=start + np.arange(count),
            dst=f"203.0.113.{number}",
            process=process,
            name="c2.example",
        )
        pairs.add(CommittedBatch.of(make_header(), records))
    whole = sum_up(7, pairs.top(9)[0])

    assert (whole.pair_id, whole.dst, whole.addresses) == (7, "203.0.113.1", 3)
    assert (whole.connections, whole.bytes_out, whole.bytes_in) == (8, 800, 1600)
    assert (whole.process, whole.name) == ("implant", "c2.example")
    assert whole.first_seen == BASE_TIME
    assert whole.last_seen == max(pair.last_seen for pair in pairs.top(9)[0])


def test_the_pairs_behind_a_finding() -> None:
    columns = columns_of([*rotating(3), {"dst": "203.0.113.9"}])

    group = pairs_behind(told(columns, NAME, 0, 0.9), columns)
    assert sorted(group.tolist()) == sorted(columns.ids[:3].tolist())
    assert pairs_behind(replace(finding(), pair_id=5), columns).tolist() == [5]
