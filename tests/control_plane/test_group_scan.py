"""Rotating beacons are found as one, unrelated traffic stays unrelated, nothing is told twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alert_factory import finding
from beacon_detect.analysis import Settings
from beacon_detect.control_plane.detector import Judgement
from beacon_detect.control_plane.findings import Finding, finding_ids
from beacon_detect.control_plane.group_scan import GroupScan
from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.storage.writer import CommittedBatch
from beacon_detect.control_plane.working_set import SeriesKind, WorkingSet
from beacon_detect.records import SECOND, Kind
from records_factory import BASE_TIME, make_header, make_records

NOW = BASE_TIME + 86_400 * SECOND
LEAST = 10


class World:
    """Working set and pair table, as the intake fills them, and looks at the groups in them."""

    def __init__(self) -> None:
        self.working_set = WorkingSet(max_events=100_000, series_length=1024)
        self.pairs = PairTable()
        self.findings: dict[str, Finding] = {}

    def send(self, seconds: np.ndarray, address: np.ndarray | int, **columns: Any) -> None:
        """Take connections at ``seconds`` to the addresses with these numbers."""
        time = BASE_TIME + np.rint(seconds * SECOND).astype(np.int64)
        numbers = np.broadcast_to(address, len(time)).tolist()
        dst = [f"203.0.113.{number}" for number in numbers]
        table = make_records(**({"time": time, "dst": dst, "name": "c2.example"} | columns))
        batch = CommittedBatch.of(make_header(), table)
        self.working_set.add(batch.pair_ids, batch.table)
        self.pairs.add(batch)

    def tell(self, pair_ids: np.ndarray) -> None:
        """Have the connections of these pairs among the findings."""
        ids = finding_ids(pair_ids, np.full(len(pair_ids), SeriesKind.CONNECTIONS))
        for identifier, pair_id in zip(ids, pair_ids.tolist(), strict=True):
            self.findings[identifier] = finding(id=identifier, pair_id=pair_id)

    def look(self, *, most_events: int = 10**6, series_length: int = 1024) -> list[Finding]:
        """Look at the groups with new events, as a pass does; return what is new."""
        scan = GroupScan(
            columns=self.pairs.columns(),
            pairs=self.pairs,
            working_set=self.working_set,
            settings=Settings(),
            threshold=0.5,
            least_events=LEAST,
            series_length=series_length,
        )
        new = []
        touched = self.working_set.take_touched()
        for piece in scan.pieces(touched, lambda *columns: columns[2] < 0, most_events):
            judgement: Judgement = scan.judge(piece, self.findings, NOW)
            self.findings |= {found.id: found for found in judgement.findings}
            new += judgement.new
        return [self.findings[identifier] for identifier in new]


@pytest.fixture
def world() -> World:
    return World()


def beat(count: int, interval: float = 60.0, jitter: float = 0.1, seed: int = 1) -> np.ndarray:
    """Return the check-ins of a sleep loop, seconds."""
    rng = np.random.default_rng(seed)
    return np.cumsum(interval * rng.uniform(1 - jitter, 1 + jitter, count))


def random(count: int, interval: float = 60.0, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(interval, count))


def test_a_beacon_that_rotates_over_addresses_is_found_as_one(world: World) -> None:
    seconds = beat(40)
    world.send(seconds, np.arange(40) % 8)
    [found] = world.look()

    assert (found.series, found.name, found.addresses) == ("name", "c2.example", 8)
    assert found.score >= 0.9
    assert found.interval == pytest.approx(60, rel=0.05)
    assert (found.check_ins, found.connections) == (40, 40)
    assert (found.bytes_out, found.bytes_in) == (4000, 8000)
    assert found.evidence.startswith("rotates over 8 addresses of c2.example; 40 check-ins about")
    assert found.dst in {f"203.0.113.{n}" for n in range(8)}
    assert (found.first_seen, found.src) == (BASE_TIME + round(seconds[0] * SECOND), "10.0.0.5")


def test_its_id_is_the_same_whatever_the_addresses_and_for_ever(world: World) -> None:
    other = World()
    world.send(beat(40), np.arange(40) % 8)
    other.send(beat(60, 30), np.arange(60) % 5 + 100)
    [one], [another] = world.look(), other.look()

    assert one.id == another.id == finding_ids(np.array([one.pair_id], np.uint64), np.array([2]))[0]
    assert one.id == "ce7772c4e40caa8b"


@pytest.mark.parametrize("seed", range(10))
def test_random_traffic_of_a_browser_to_one_name_is_no_beacon(world: World, seed: int) -> None:
    rng = np.random.default_rng(seed)
    world.send(random(200, seed=seed), rng.integers(0, 8, 200))

    assert [found for found in world.look() if found.score >= 0.7] == []


def test_other_names_and_pairs_without_a_name_are_not_mixed_in(world: World) -> None:
    world.send(beat(40), np.arange(40) % 8)
    world.send(random(200), np.arange(200) % 4 + 50, name="other.example")
    world.send(random(200, seed=2), np.arange(200) % 4 + 90, name="")

    [found] = world.look()
    assert (found.name, found.connections) == ("c2.example", 40)


def test_bursts_inside_connections_count_as_check_ins_of_the_name(world: World) -> None:
    world.send(beat(40), np.arange(40) % 2, kind=Kind.BURST)

    [found] = world.look()
    assert found.interval == pytest.approx(60, rel=0.05)


def test_fewer_events_than_the_least_are_watched(world: World) -> None:
    seconds = beat(LEAST)
    world.send(seconds[:-1], np.arange(LEAST - 1) % 3)
    assert world.look() == []

    world.send(seconds[-1:], 5)
    [found] = world.look()
    assert found.check_ins == LEAST


def test_nothing_is_looked_at_again_without_new_events(world: World) -> None:
    world.send(beat(40), np.arange(40) % 8)
    [found] = world.look()
    updated = found.updated_at
    world.findings[found.id] = found
    assert world.look() == []
    assert world.findings[found.id].updated_at == updated
    assert world.working_set.take_touched().tolist() == []


def test_a_pair_that_is_the_beacon_by_itself_is_not_told_again_as_a_name(world: World) -> None:
    world.send(beat(60), 1)
    world.send(beat(60)[[20, 40]] + 2, 2)

    assert world.look() == []


def test_one_row_stands_for_several_pairs_that_are_beacons_each(world: World) -> None:
    world.send(np.arange(400) * 60.0, np.arange(400) % 4)
    [found] = world.look()

    assert (found.addresses, round(found.interval)) == (4, 60)


def test_pairs_told_before_are_not_told_again_as_a_name(world: World) -> None:
    world.send(np.arange(400) * 60.0, np.arange(400) % 4)
    world.tell(world.pairs.columns().ids)

    assert world.look() == []


def test_a_beacon_that_begins_to_rotate_is_told_though_its_first_pair_was(world: World) -> None:
    world.send(np.arange(60) * 60.0, 1)
    world.send(np.arange(60, 200) * 60.0, np.arange(140) % 20 + 100)
    world.tell(world.pairs.columns().ids[:1])

    [found] = world.look()
    assert found.addresses == 21


def test_a_found_group_is_brought_up_to_date_and_never_new_twice(world: World) -> None:
    seconds = beat(80)
    world.send(seconds[:40], np.arange(40) % 8)
    [found] = world.look()
    world.send(seconds[40:], np.arange(40) % 12)

    assert world.look() == []
    after = world.findings[found.id]
    assert (after.addresses, after.connections, after.check_ins) == (12, 80, 80)
    assert (after.detected_at, after.dst) == (found.detected_at, found.dst)


def test_a_program_stands_out_where_the_name_is_noisy(world: World) -> None:
    world.send(beat(60), np.arange(60) % 8, process="implant", executable="/tmp/implant")
    world.send(random(2000, 2.0), np.arange(2000) % 8 + 50, process="browser", executable="/b")

    [found] = world.look()
    assert (found.series, found.process, found.addresses) == ("process", "implant", 8)
    assert found.evidence.startswith("rotates over 8 addresses of c2.example; ")
    assert found.interval == pytest.approx(60, rel=0.05)


def test_a_program_is_not_told_beside_the_name_it_is_alone_with(world: World) -> None:
    world.send(beat(60), np.arange(60) % 8, executable="/tmp/implant", src="10.0.0.5")
    world.send(beat(60)[[10]] + 1, 9, executable="/tmp/implant", src="10.0.0.6")

    assert [found.series for found in world.look()] == ["name"]


def test_only_the_newest_events_of_a_group_are_analyzed(world: World) -> None:
    world.send(beat(100), np.arange(100) % 8)

    [found] = world.look(series_length=30)
    assert found.check_ins == 30
    assert found.connections == 100


def test_many_groups_are_looked_at_in_bounded_pieces(world: World) -> None:
    for number in range(6):
        rows = np.arange(40)
        world.send(
            beat(40, seed=number), rows % 4, name=f"{number}.example", src=f"10.0.1.{number}"
        )

    assert len(world.look(most_events=50)) == 6
