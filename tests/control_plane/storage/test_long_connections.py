"""Long connections: one row each, whatever is reported in whatever order."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from beacon_detect.control_plane.storage.long_connections import LONG_NS, LOST_SIGHT_NS
from beacon_detect.records import SECOND, Kind, Outcome
from records_factory import BASE_TIME, make_header, make_records

if TYPE_CHECKING:
    from beacon_detect.control_plane.storage.store import Store

MINUTE = 60 * SECOND


def report(store: Store, kind: Kind, minutes: float, **columns: Any) -> None:
    """Report a connection that began at BASE_TIME and has lasted ``minutes``."""
    duration = int(minutes * MINUTE)
    start = BASE_TIME if kind == Kind.CONNECTION else BASE_TIME + duration
    columns = {"connection_id": 7, "time": [start], "duration": duration} | columns
    store.append(make_header(), make_records(kind=kind, **columns)).result()


def shown(store: Store, *, after: int = 0, least: int = 0) -> list[dict[str, Any]]:
    return store.long_connections(least, time.time_ns() + after).to_pylist()


REPORTS = [
    (Kind.UPDATE, 2, {"bytes_out": 200, "outcome": Outcome.ESTABLISHED}),
    (Kind.UPDATE, 3, {"bytes_out": 300, "outcome": Outcome.ESTABLISHED}),
    (Kind.END, 4, {"bytes_out": 400, "outcome": Outcome.RESET}),
]


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_reports_in_any_order_make_the_same_row(store: Store, order: tuple[int, ...]) -> None:
    for number in order:
        kind, minutes, columns = REPORTS[number]
        report(store, kind, minutes, **columns)

    [row] = shown(store)
    assert row["started"] == BASE_TIME
    assert row["last_seen"] == BASE_TIME + 4 * MINUTE
    assert row["duration"] == 4 * MINUTE
    assert row["bytes_out"] == 400
    assert row["outcome"] == Outcome.RESET
    assert not row["open"]
    assert not row["lost_sight"]


def test_reports_of_one_batch_make_one_row(store: Store) -> None:
    table = make_records(
        kind=[Kind.UPDATE, Kind.END, Kind.UPDATE],
        connection_id=7,
        time=[BASE_TIME + n * MINUTE for n in (2, 4, 3)],
        duration=[n * MINUTE for n in (2, 4, 3)],
    )
    store.append(make_header(), table).result()

    [row] = shown(store)
    assert (row["duration"], row["open"]) == (4 * MINUTE, False)


def test_short_connections_and_starts_are_not_listed(store: Store) -> None:
    report(store, Kind.CONNECTION, 0.5)
    report(store, Kind.START, 0)
    report(store, Kind.BURST, 90)

    assert shown(store) == []
    report(store, Kind.CONNECTION, LONG_NS / MINUTE)
    assert len(shown(store)) == 1


def test_a_whole_connection_is_dated_by_its_start(store: Store) -> None:
    report(store, Kind.CONNECTION, 10, src_port=5555, process="nc", container="web")

    [row] = shown(store)
    assert (row["started"], row["last_seen"]) == (BASE_TIME, BASE_TIME + 10 * MINUTE)
    assert (row["src"], row["src_port"], row["dst"], row["dst_port"], row["protocol"]) == (
        "10.0.0.5", 5555, "203.0.113.7", 443, 6,
    )  # fmt: skip
    assert (row["process"], row["container"], row["sensor"]) == ("nc", "web", "sensor-1")


def test_a_connection_nobody_reports_any_more_is_lost_sight_of(store: Store) -> None:
    report(store, Kind.UPDATE, 5)

    assert shown(store)[0]["open"]
    [late] = shown(store, after=LOST_SIGHT_NS + MINUTE)
    assert not late["open"]
    assert late["lost_sight"]
    report(store, Kind.UPDATE, 16)
    assert shown(store)[0]["open"]


def test_a_sensor_that_reports_seldom_is_waited_for(store: Store) -> None:
    report(store, Kind.UPDATE, 5)
    store.transact(
        lambda c: c.execute("UPDATE long_connection SET reported = reported - ?", [60 * MINUTE])
    ).result()
    report(store, Kind.UPDATE, 65)

    assert shown(store, after=150 * MINUTE)[0]["open"]
    assert shown(store, after=200 * MINUTE)[0]["lost_sight"]


def test_attribution_is_kept_when_the_end_lacks_it(store: Store) -> None:
    report(store, Kind.UPDATE, 2, process="nc", executable="/bin/nc", pid=42, name="c2.example")
    report(store, Kind.END, 3, process="", executable="", pid=0, name="")

    [row] = shown(store)
    assert (row["process"], row["executable"], row["pid"], row["name"]) == (
        "nc", "/bin/nc", 42, "c2.example",
    )  # fmt: skip


def test_longest_first_and_none_below_the_least(store: Store) -> None:
    for number, minutes in enumerate((3, 90, 10)):
        report(store, Kind.CONNECTION, minutes, connection_id=number)

    assert [row["duration"] // MINUTE for row in shown(store, least=5 * MINUTE)] == [90, 10]


def test_two_sensors_may_use_the_same_id(store: Store) -> None:
    for sensor in ("a", "b"):
        table = make_records(kind=Kind.CONNECTION, duration=2 * MINUTE, connection_id=7)
        store.append(make_header(sensor), table).result()

    assert sorted(row["sensor"] for row in shown(store)) == ["a", "b"]
