"""The pair table equals a record-by-record model, and its lists are ranked and filtered."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.control_plane.pairs import PairSummary, PairTable
from beacon_detect.control_plane.storage.writer import CommittedBatch
from beacon_detect.records import SECOND, Direction, Kind, Origin, pack_address
from records_factory import BASE_TIME, make_header, make_records

TEXT = st.sampled_from(["", "a", "b"])
RECORD = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([Kind.START, Kind.CONNECTION, Kind.END, Kind.UPDATE, Kind.BURST]),
        "dst": st.sampled_from(["203.0.113.1", "203.0.113.2", "2001:db8::1"]),
        "time": st.integers(BASE_TIME, BASE_TIME + 1000),
        "duration": st.integers(0, 100),
        "bytes_out": st.integers(0, 1000),
        "bytes_in": st.integers(0, 1000),
        "connection_id": st.integers(0, 3),
        "process": TEXT,
        "executable": TEXT,
        "container": TEXT,
        "name": TEXT,
        "pid": st.integers(0, 9),
        "direction": st.sampled_from(list(Direction)),
    }
)
BATCHES = st.lists(
    st.tuples(st.sampled_from(["s1", "s2"]), st.lists(RECORD, min_size=1, max_size=8)), max_size=5
)


def batch(sensor: str, records: list[dict[str, Any]]) -> CommittedBatch:
    columns = {name: [record[name] for record in records] for name in records[0]}
    return CommittedBatch.of(make_header(sensor), make_records(**columns))


def last_seen(record: dict[str, Any]) -> int:
    return int(record["time"] + record["duration"] * (record["kind"] == Kind.CONNECTION))


class Model:
    """What a pair table must say, one record at a time."""

    def __init__(self) -> None:
        self.pairs: dict[str, dict[str, Any]] = {}
        self.counted: dict[tuple[str, int], list[int]] = {}

    def add(self, record: dict[str, Any]) -> None:
        pair = self.pairs.setdefault(
            record["dst"], {"connections": 0, "bytes_out": 0, "bytes_in": 0, "seen": {}}
        )
        kind, time, duration = record["kind"], record["time"], record["duration"]
        first = time - duration if kind in (Kind.END, Kind.UPDATE) else time
        last = last_seen(record)
        pair["connections"] += kind in (Kind.START, Kind.CONNECTION)
        pair["first_seen"] = min(pair.get("first_seen", first), first)
        pair["last_seen"] = max(pair.get("last_seen", last), last)
        self._bytes(pair, record)

    def attribute(self, sensor: str, record: dict[str, Any]) -> None:
        pair, last = self.pairs[record["dst"]], last_seen(record)
        attributes = {
            "process": ("process", "pid"),
            "container": ("container",),
            "name": ("name",),
        }
        if record["process"] and last >= pair["seen"].get("process", 0):
            changed = record["process"] != pair.get("process", "")
            pair["executable"] = record["executable"] or ("" if changed else pair["executable"])
        for leader, names in attributes.items():
            if record[leader]:
                self._newest(pair, leader, last, {name: record[name] for name in names})
        direction = ("", "outbound", "inbound")[record["direction"]]
        self._newest(pair, "sensor", last, {"sensor": sensor, "direction": direction})

    def _newest(self, pair: dict[str, Any], leader: str, time: int, values: dict[str, Any]) -> None:
        if time >= pair["seen"].get(leader, 0):
            pair["seen"][leader] = time
            pair.update(values)

    def _bytes(self, pair: dict[str, Any], record: dict[str, Any]) -> None:
        counters = [record["bytes_out"], record["bytes_in"]]
        key = (record["dst"], record["connection_id"])
        if record["kind"] == Kind.START:
            return
        if record["kind"] == Kind.CONNECTION or (
            record["kind"] == Kind.END and key not in self.counted
        ):
            grown = counters
        else:
            old = self.counted.get(key, [0, 0])
            new = [max(a, b) for a, b in zip(old, counters, strict=True)]
            grown = [a - b for a, b in zip(new, old, strict=True)]
            self.counted[key] = new
        pair["bytes_out"] += grown[0]
        pair["bytes_in"] += grown[1]


def reports_first(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order a batch as the table sees it: reports of open connections before ends."""
    return sorted(records, key=lambda record: record["kind"] == Kind.END)


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_equals_a_model_that_counts_record_by_record(
    batches: list[tuple[str, list[dict[str, Any]]]],
) -> None:
    table, model = PairTable(), Model()
    for sensor, unordered in batches:
        records = reports_first(unordered)
        table.add(batch(sensor, records))
        # Of records of the same time the one further down counts as newer.
        for record in records:
            model.add(record)
        for record in sorted(records, key=last_seen):
            model.attribute(sensor, record)

    shown, total = table.top(100)
    assert total == len(table) == len(model.pairs)
    for summary in shown:
        expected = model.pairs[summary.dst]
        actual = dataclasses.asdict(summary)
        fields = set(actual) - {"pair_id", "src", "dst", "dst_port", "protocol", "addresses"}
        assert actual["addresses"] == 1
        defaults = dict.fromkeys(("process", "executable", "container", "name"), "") | {"pid": 0}
        assert {name: actual[name] for name in fields} == {
            name: (defaults | expected)[name] for name in fields
        }


@pytest.fixture
def table() -> PairTable:
    held = PairTable()
    for host, count in (("203.0.113.1", 3), ("203.0.113.2", 5), ("203.0.113.3", 1)):
        records = make_records(count, dst=host, dst_port=8443, process="curl", direction=1)
        held.add(CommittedBatch.of(make_header(), records))
    return held


def hosts(shown: tuple[list[PairSummary], int]) -> list[str]:
    return [summary.dst for summary in shown[0]]


def test_top_is_ranked_by_connections_and_counts_the_rest(table: PairTable) -> None:
    assert hosts(table.top(2)) == ["203.0.113.2", "203.0.113.1"]
    assert table.top(2)[1] == 3
    assert hosts(table.top(0)) == []


def test_top_filters_by_address(table: PairTable) -> None:
    assert hosts(table.top(9, dst=pack_address("203.0.113.3"))) == ["203.0.113.3"]
    assert hosts(table.top(9, src=pack_address("10.0.0.5"))) == hosts(table.top(9))
    assert table.top(9, src=pack_address("10.0.0.6")) == ([], 0)


def test_top_leaves_out_what_is_hidden(table: PairTable) -> None:
    def hidden(src: np.ndarray, dst: np.ndarray, ports: np.ndarray) -> np.ndarray:
        assert src.shape == dst.shape == (3, 16)
        assert ports.tolist() == [8443] * 3
        return dst[:, 15] == 2

    assert hosts(table.top(9, hidden=hidden)) == ["203.0.113.1", "203.0.113.3"]
    assert table.top(9, hidden=hidden)[1] == 2


def test_describe_tells_known_from_unknown(table: PairTable) -> None:
    known = table.top(1)[0][0]

    assert table.describe(known.pair_id) == known
    assert table.describe(12345) is None
    assert (known.direction, known.process, known.pid) == ("outbound", "curl", 4711)


def test_forgetting_keeps_the_others_as_they_were(table: PairTable) -> None:
    late = make_records(2, dst="203.0.113.9", time=BASE_TIME + 10**12, process="late", name="n")
    table.add(CommittedBatch.of(make_header("other"), late))
    before = table.top(9)[0]

    assert table.forget(BASE_TIME + 10**11 * 2) == 2
    assert [summary for summary in before if summary.dst in ("203.0.113.2", "203.0.113.9")] == (
        table.top(9)[0]
    )
    assert table.forget(2**62) == 2
    assert len(table) == 0


def test_names_are_told_apart_without_case_and_closing_dot() -> None:
    held = PairTable()
    records = make_records(
        dst=["203.0.113.1", "203.0.113.2"], name=["C2.example.COM.", "c2.example.com"]
    )
    held.add(CommittedBatch.of(make_header(), records))
    columns = held.columns()

    assert columns.name[0] == columns.name[1] != 0
    assert {summary.name for summary in held.top(9)[0]} == {"c2.example.com"}


def test_the_key_of_a_text_is_the_same_in_every_table_and_after_forgetting(
    table: PairTable,
) -> None:
    late = make_records(1, dst="203.0.113.9", time=BASE_TIME + 10**12, process="späť", name="n")
    table.add(CommittedBatch.of(make_header("other"), late))
    other = PairTable()
    other.add(CommittedBatch.of(make_header("other"), late))

    def keys(held: PairTable) -> dict[str, int]:
        columns = held.columns()
        return dict(zip(columns.names, columns.keys.tolist(), strict=True))

    before = keys(table)
    table.forget(BASE_TIME + 10**11 * 2)

    assert len(set(before.values())) == len(before)
    assert before[""] == 0
    assert keys(table).items() <= before.items()
    assert keys(other).items() <= before.items()


def test_sliced_and_chunked_tables_count_the_same() -> None:
    records = make_records(dst=["203.0.113.1", "203.0.113.2"] * 4, process=["a", "b", "c", "d"] * 2)
    pieces = pa.concat_tables([records.slice(0, 3), records.slice(3)])
    whole, chunked = PairTable(), PairTable()
    whole.add(CommittedBatch.of(make_header(), records))
    chunked.add(CommittedBatch.of(make_header(), pieces))

    assert whole.top(9) == chunked.top(9)


CONNECTIONS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=40
)
"""Host, start and duration; half a second a step."""


def told(held: PairTable, some: list[tuple[int, int, int]], *, whole: bool, sensor: str = "s1", **columns: Any) -> None:  # fmt: skip
    """Tell of connections, each in one record or by its start and its end."""
    host, start, duration = (np.array([one[i] for one in some], np.int64) for i in range(3))
    start, duration = BASE_TIME + start * SECOND // 2, duration * SECOND // 2
    dst, ids = [f"203.0.113.{h}" for h in host.tolist()], np.arange(len(some)) + 1
    if whole:
        records = make_records(
            dst=dst, time=start, duration=duration, connection_id=ids, kind=Kind.CONNECTION, **columns
        )  # fmt: skip
    else:
        records = make_records(
            dst=dst * 2, time=np.concatenate([start, start + duration]),
            duration=np.concatenate([0 * duration, duration]), connection_id=np.tile(ids, 2),
            kind=np.repeat([Kind.START, Kind.END], len(some)), **columns,
        )  # fmt: skip
    held.add(CommittedBatch.of(make_header(sensor), records))


def shares(held: PairTable) -> dict[int, float]:
    columns = held.columns()
    return {int(dst[15]): one for dst, one in zip(columns.dst, columns.side_by_side, strict=True)}


@given(CONNECTIONS, st.integers(1, 15))
def test_connections_side_by_side_are_counted_however_they_are_told(
    some: list[tuple[int, int, int]], size: int
) -> None:
    some.sort(key=lambda one: (one[1], one[2]))
    at_once, started, forgetful = PairTable(), PairTable(), PairTable()
    told(at_once, some, whole=True)
    for begin in range(0, len(some), size):
        told(started, some[begin : begin + size], whole=False)
        told(forgetful, some[begin : begin + size], whole=False)
        told(forgetful, [(9, -9, 0)], whole=True)
        forgetful.forget(BASE_TIME)

    assert shares(started) == pytest.approx(shares(at_once), nan_ok=True)
    assert shares(forgetful) == pytest.approx(shares(at_once), nan_ok=True)


PAGES = [(1, 120 * page + image, 3) for page in range(10) for image in range(3)]
POLLS = [(2, 120 * poll, 3) for poll in range(10)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_share_is_of_a_pair_s_finished_connections(whole: bool) -> None:
    held = PairTable()
    told(held, PAGES + POLLS, whole=whole)
    told(held, [(3, 2 * poll, 0) for poll in range(5)], whole=whole)

    assert shares(held) == pytest.approx({1: 20 / 30, 2: 0.0, 3: np.nan}, nan_ok=True)


@pytest.mark.parametrize("size", [1, 100])
def test_a_connection_that_two_sensors_tell_of_is_not_beside_itself(size: int) -> None:
    held = PairTable()
    for begin in range(0, len(POLLS), size):
        for sensor in ("s1", "s2"):
            told(held, POLLS[begin : begin + size], whole=False, sensor=sensor)
    for sensor in ("s1", "s2"):
        told(held, PAGES, whole=False, sensor=sensor)

    assert shares(held) == pytest.approx({1: 20 / 30, 2: 0.0})


@pytest.mark.parametrize("origin", [Origin.SNAPSHOT, Origin.MIDSTREAM])
def test_connections_whose_start_was_not_seen_are_not_compared(origin: Origin) -> None:
    held = PairTable()
    told(held, PAGES, whole=False, origin=origin)
    told(held, POLLS, whole=True)

    assert shares(held) == pytest.approx({1: np.nan, 2: 0.0}, nan_ok=True)
