"""Names in a hunt: a beacon over many addresses is one row, and no row says what another does."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beacon_detect.analysis.grouping import NO_GROUP
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.groups import NameGroups, name_codes
from beacon_detect.hunt.ranking import Row
from beacon_detect.hunt.report.views import views
from beacon_detect.hunt.run import Hunt, HuntOptions, hunt
from beacon_detect.readers.base import Chunk
from beacon_detect.records import SECOND
from capture_factory import client_hello, connection, pcap, polling
from records_factory import make_records
from zeek_samples import CONN, SSL, tsv

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000.0


def lines(seconds: np.ndarray, address: np.ndarray | int, name: str, src: str = "10.0.0.5") -> str:
    numbers = np.broadcast_to(address, len(seconds)).tolist()
    return "".join(
        f"{START + at:.6f},{src},203.0.113.{number},443,tcp,100,200,{name}\n"
        for at, number in zip(seconds.tolist(), numbers, strict=True)
    )


class Files:
    """A folder to write inputs into, and a hunt in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hunt(self, *texts: str, **options: Any) -> Hunt:
        head = "ts,src,dst,dport,proto,orig_bytes,resp_bytes,name\n"
        (self.folder / "flows.csv").write_text(head + "".join(texts))
        return hunt([str(self.folder)], HuntOptions(**options))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def beat(count: int, jitter: float = 0.1, seed: int = 1) -> np.ndarray:
    return np.cumsum(60 * np.random.default_rng(seed).uniform(1 - jitter, 1 + jitter, count))


def random(count: int, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(60, count))


def names(found: Hunt) -> list[Row]:
    return [row for row in found.rows if row.series == "name"]


def test_a_beacon_over_eight_addresses_with_five_check_ins_each_is_one_row(files: Files) -> None:
    found = files.hunt(
        lines(beat(40), np.arange(40) % 8, "C2.Example."), lines(random(90), 99, "www.example")
    )

    [row] = names(found)
    assert found.rows[0] == row
    assert (row.name, row.addresses, row.src) == ("c2.example", 8, "10.0.0.5")
    assert row.interval == pytest.approx(60, rel=0.05)
    assert (row.check_ins, row.connections, row.bytes_out) == (40, 40, 4000)
    assert row.evidence.startswith("rotates over 8 addresses of c2.example; 40 check-ins about")
    assert (row.sources, row.destinations, row.direction) == (1, 9, "outbound")
    assert found.scored == 1  # pairs: that of the noise


@pytest.mark.parametrize("seed", range(6))
def test_random_traffic_to_one_name_over_many_addresses_is_no_beacon(
    files: Files, seed: int
) -> None:
    hand = np.random.default_rng(seed).integers(0, 8, 200)
    found = files.hunt(lines(random(200, seed), hand, "www.example"))

    assert [row for row in found.rows if row.score >= 0.7] == []


def test_pairs_that_are_beacons_each_stay_in_the_answer_but_are_covered(files: Files) -> None:
    found = files.hunt(lines(np.arange(400) * 60.0, np.arange(400) % 4, "c2.example"))

    [row] = names(found)
    assert round(row.interval) == 60
    pairs = [other for other in found.rows if other.series == "connections"]
    assert len(pairs) == 4
    assert all(pair.covered for pair in pairs)
    assert not row.covered


def test_a_pair_that_is_the_beacon_by_itself_has_no_row_of_its_name(files: Files) -> None:
    seconds = beat(60)
    found = files.hunt(
        lines(seconds, 1, "c2.example"), lines(seconds[[20, 40]] + 2, 2, "c2.example")
    )

    assert [row.series for row in found.rows] == ["connections"]
    assert not found.rows[0].covered


def test_a_beacon_that_moved_on_to_rotate_has_a_row_of_its_name(files: Files) -> None:
    seconds = np.arange(240) * 60.0
    address = np.where(np.arange(240) < 60, 1, np.arange(240) % 24 + 100)

    [row] = names(files.hunt(lines(seconds, address, "c2.example")))
    assert row.addresses == 25


def test_sources_of_a_name_are_those_of_all_its_addresses(files: Files) -> None:
    found = files.hunt(
        *(lines(beat(20, seed=n), n % 4, "cdn.example", f"10.0.0.{n}") for n in range(12)),
        lines(beat(20), 1, "other.example", "10.0.1.1"),
    )
    sources = {row.name: row.sources for row in found.rows}

    assert sources == {"cdn.example": 12, "other.example": 1}


def test_the_pictures_of_a_name_are_of_all_its_addresses(files: Files) -> None:
    found = files.hunt(
        lines(beat(40), np.arange(40) % 8, "c2.example"),
        lines(beat(40, seed=2), np.arange(40) % 4 + 20, "d2.example"),
    )
    for row, view in zip(names(found), views(found.collector, names(found)), strict=True):
        assert len(view.times) == 40
        assert view.intervals.mean() == pytest.approx(row.interval, rel=0.05)
        assert view.bytes_out.tolist() == [100] * 40


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 5), st.sampled_from(["", "a.example", "b.example"])
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_groups_are_those_of_a_dict_of_lists(rows: list[tuple[int, int, str]]) -> None:
    some = Collector()
    some.add(
        Chunk(
            make_records(
                time=[int(START + at) * SECOND for at in range(len(rows))],
                src=[f"10.0.0.{src}" for src, _, _ in rows],
                dst=[f"203.0.113.{dst}" for _, dst, _ in rows],
                name=[name for *_, name in rows],
            )
        )
    )
    newest = {(src, dst): name for src, dst, name in rows if name}
    events: dict[tuple[int, str], list[float]] = defaultdict(list)
    members: dict[tuple[int, str], set[int]] = defaultdict(set)
    for at, (src, dst, _) in enumerate(rows):
        if (src, dst) in newest:
            key = (src, newest[src, dst])
            events[key].append(START + at)
            members[key].add(dst)
    expected = [times for key, times in events.items() if len(members[key]) > 1 and len(times) >= 6]

    groups = NameGroups.of(some)
    merged = groups.series(some)
    found = [
        (part.batch.times[low:high] / SECOND).tolist()
        for part in merged
        for low, high in pairwise(part.batch.offsets.tolist())
    ]
    assert sorted(found) == sorted(expected)
    assert groups.count == len(expected)
    assert (groups.labels != NO_GROUP).sum() == sum(
        len(members[key]) for key, times in events.items() if times in expected
    )
    assert (name_codes(some) >= 0).sum() == len(newest)


def test_zeek_logs_with_server_names_over_rotating_addresses(tmp_path: Path) -> None:
    rows = [
        {
            "ts": START + at,
            "uid": f"C{number:06d}",
            "id.resp_h": f"203.0.113.{number % 8}",
            "id.orig_p": 40_000 + number,
        }
        for number, at in enumerate(beat(40).tolist())
    ]
    (tmp_path / "conn.log").write_text(tsv("conn", *(CONN | row for row in rows)))
    (tmp_path / "ssl.log").write_text(tsv("ssl", *(SSL | row for row in rows)))

    [row] = hunt([str(tmp_path)], HuntOptions()).rows
    assert (row.series, row.name, row.addresses) == ("name", SSL["server_name"], 8)
    assert row.interval == pytest.approx(60, rel=0.05)


def test_a_capture_with_server_names_over_rotating_addresses(tmp_path: Path) -> None:
    hello = client_hello("c2.example.com")
    packets = [
        packet
        for number, at in enumerate(beat(40).tolist())
        for packet in connection(
            START + at, 40_000 + number, request=hello, server=f"203.0.113.{number % 8}"
        )
    ]
    (tmp_path / "a.pcap").write_bytes(pcap(packets))

    [row] = hunt([str(tmp_path / "a.pcap")], HuntOptions()).rows
    assert (row.series, row.name, row.addresses) == ("name", "c2.example.com", 8)
    assert row.interval == pytest.approx(60, rel=0.05)


def test_polling_through_one_connection_of_a_capture_is_found_as_bursts(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(polling(START, 40, 30.0)))

    [row] = hunt([str(tmp_path / "a.pcap")], HuntOptions()).rows
    assert (row.series, row.connections, row.check_ins) == ("bursts", 1, 39)
    assert row.interval == pytest.approx(30, rel=0.01)
    assert row.score >= 0.9
    assert row.evidence.startswith("bursts inside open connections; 39 check-ins about every 30 s")
