"""What the control plane knows around a finding reaches the rules, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import NOW, finding
from beacon_detect.config.context import Context
from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.risk import context_settings, facts_of, weigh
from beacon_detect.control_plane.storage.writer import CommittedBatch
from beacon_detect.control_plane.whitelist import Networks
from beacon_detect.records import SECOND, Kind
from records_factory import make_header, make_records

DAY = 86_400 * SECOND
INSIDE = Networks(Context().internal_networks)


def known(*rows: dict[str, Any]) -> PairTable:
    """Return a table that saw one connection of each row."""
    pairs = PairTable()
    for row in rows:
        records = make_records(1, **({"time": np.array([NOW - DAY])} | row))
        pairs.add(CommittedBatch.of(make_header(), records))
    return pairs


def crowd(count: int, **row: Any) -> list[dict[str, Any]]:
    return [{"src": f"10.0.1.{number}", **row} for number in range(count)]


def facts(pairs: PairTable, *found: Finding) -> list[Any]:
    return facts_of(found, pairs.columns(), INSIDE, NOW)


def test_hosts_and_sources_are_internal_and_counted_once() -> None:
    pairs = known(
        *crowd(5, dst="203.0.113.50"),
        *crowd(5, dst="203.0.113.50", dst_port=80),
        *crowd(12, dst="203.0.113.9"),
        {"src": "198.51.100.1", "dst": "203.0.113.50"},
    )
    [one] = facts(pairs, finding(src="10.0.1.1"))

    assert (one.sources, one.hosts) == (5, 12)
    assert (one.src_internal, one.dst_internal) == (True, False)


def test_a_name_is_as_prevalent_as_all_its_addresses_and_not_as_its_neighbours() -> None:
    pairs = known(
        {"src": "10.0.2.1", "dst": "203.0.113.1", "name": "cdn.example"},
        {"src": "10.0.2.2", "dst": "203.0.113.2", "name": "cdn.example"},
        {"src": "10.0.2.3", "dst": "203.0.113.2", "name": ""},
        *crowd(9, dst="203.0.113.1", name="other.example"),
        {"dst": "203.0.113.2", "name": "cdn.example", "time": np.array([NOW - 40 * DAY])},
    )
    [one] = facts(pairs, finding(dst="203.0.113.1", name="cdn.example", first_seen=NOW))
    [bare] = facts(pairs, finding(dst="203.0.113.1", name="", first_seen=NOW))

    assert (one.sources, bare.sources) == (4, 10)
    assert (one.age, bare.age) == (pytest.approx(40 * 86_400), pytest.approx(86_400))


def test_programs_are_counted_by_host_and_pair() -> None:
    pairs = known(
        *crowd(3, dst="203.0.113.1", process="curl", executable="/usr/bin/curl"),
        *crowd(3, dst="203.0.113.2", process="curl", executable="/usr/bin/curl"),
        *crowd(2, dst="203.0.113.3", process="x", executable="/opt/x"),
        *crowd(9, dst="203.0.113.4", process="", executable=""),
    )
    [one] = facts(pairs, finding(executable="/usr/bin/curl"))

    assert (one.executable_hosts, one.attributed_hosts) == (3, 3)
    assert (one.executable_pairs, one.attributed_pairs) == (6, 8)


def test_ages_are_those_of_the_destination_and_of_the_whole_watch() -> None:
    pairs = known(
        {"dst": "203.0.113.50", "dst_port": 80, "time": np.array([NOW - 3 * DAY])},
        {"dst": "203.0.113.9", "time": np.array([NOW - 10 * DAY])},
    )
    [one] = facts(pairs, finding(first_seen=NOW - DAY))

    assert one.age == pytest.approx(3 * 86_400)
    assert one.watched == pytest.approx(10 * 86_400)


def test_nothing_known_is_no_fault() -> None:
    assert weigh([], PairTable(), Context(), NOW) == []
    [alone] = weigh([finding("HIGH", executable="", process="")], PairTable(), Context(), NOW)

    assert alone.risk == alone.score
    assert alone.severity == "HIGH"


def test_severity_is_that_of_the_risk() -> None:
    clock = finding(dst="192.0.2.1", dst_port=123, protocol="UDP")

    [weighed] = weigh([clock], known(), Context(), NOW)

    assert weighed.score == clock.score
    assert weighed.risk < 0.7
    assert weighed.severity == "LOW"
    assert weighed.reasons[0].rule == "infrastructure"


@given(st.floats(0, 1), st.sampled_from(["/tmp/x", "/usr/bin/curl", ""]))
def test_without_context_the_risk_is_the_score_exactly(score: float, path: str) -> None:
    before = replace(finding(executable=path, dst_port=53), score=score)

    [weighed] = weigh([before], known(), Context(enabled=False), NOW)

    assert (weighed.risk, weighed.reasons) == (score, ())


def test_rules_that_are_off_in_the_configuration_are_off() -> None:
    context = Context.model_validate({"rules": {"process_location": False}})
    assert context_settings(context).disabled == {"process_location"}

    [weighed] = weigh([finding(executable="/tmp/x", process="x")], known(), context, NOW)

    assert weighed.reasons == ()


def visited(dst: str, step: int, count: int = 20) -> list[dict[str, Any]]:
    """Return the ends of three connections a minute, ``step`` apart, each open for a second."""
    starts = [NOW - DAY + 60 * SECOND * i + step * n for i in range(count) for n in range(3)]
    return [
        {"dst": dst, "kind": Kind.END, "time": np.array([start + SECOND]), "duration": SECOND}
        for start in starts
    ]


def test_connections_side_by_side_are_a_reason_of_their_own() -> None:
    pairs = known(*visited("203.0.113.1", SECOND // 10), *visited("203.0.113.2", 3 * SECOND))
    found = [
        replace(finding(dst=pair.dst), pair_id=pair.pair_id, connections_per_check_in=3.0)
        for pair in pairs.top(9)[0]
    ]
    beside, after = sorted(found, key=lambda one: one.dst)
    bursts, group = replace(beside, series="bursts"), replace(beside, series="name")

    known_of = [one.side_by_side for one in facts(pairs, beside, after, bursts, group, finding())]
    assert known_of == [pytest.approx(2 / 3), 0.0, None, None, None]
    weighed = weigh([beside, after], pairs, Context(), NOW)
    deltas = [
        reason.delta
        for one in weighed
        for reason in one.reasons
        if reason.rule == "parallel_connections"
    ]
    assert deltas == [-0.3, -0.25]


@pytest.mark.parametrize(("series", "each"), [("connections", 4.0), ("bursts", 1.0)])
def test_parallel_connections_are_a_fact_and_parallel_bursts_are_not(series: Any, each: float) -> None:  # fmt: skip
    found = replace(finding(), series=series, connections_per_check_in=4.0)

    assert facts(known(), found)[0].connections_per_check_in == each
