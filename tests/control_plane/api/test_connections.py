"""Pairs with all their connections, and single long ones; whitelisted traffic left out."""

from __future__ import annotations

import time

import pytest

from beacon_detect.records import SECOND, Kind, Outcome
from live_server import LiveServer, beacon
from records_factory import make_records

HOUR = 3600 * SECOND


@pytest.fixture(scope="module")
def filled(server: LiveServer) -> LiveServer:
    now = time.time_ns()
    server.send(beacon(40, dst="203.0.113.1"))
    server.send(make_records(7, time=[now] * 7, dst="2001:db8::1", src="2001:db8::5", dst_port=22))
    server.send(make_records(3, time=[now] * 3, dst="203.0.113.53", dst_port=53, protocol=17))
    long = {"dst": "203.0.113.2", "connection_id": [77], "src_port": 50_000}
    started = now - 3 * HOUR
    server.send(make_records(kind=Kind.START, time=[started], **long))
    server.send(make_records(kind=Kind.UPDATE, time=[now], duration=3 * HOUR, bytes_out=9, **long))
    ended = {"dst": "203.0.113.3", "connection_id": [78], "duration": 2 * HOUR}
    server.send(make_records(kind=Kind.END, time=[now], outcome=Outcome.CLOSED, **ended))
    server.send(make_records(time=[now - HOUR], duration=HOUR // 2, dst="203.0.113.4"))
    server.analyze()
    return server


def test_pairs_are_listed_most_connections_first(filled: LiveServer) -> None:
    answer = filled.fetch("connections")
    counts = [pair["connections"] for pair in answer["connections"]]

    assert counts == sorted(counts, reverse=True)
    assert answer["count"] == answer["total"] == 5
    first = answer["connections"][0]
    assert (first["dst_ip"], first["connections"], first["protocol"]) == ("203.0.113.1", 40, "TCP")
    assert (first["bytes_out"], first["bytes_in"]) == (4000, 8000)
    assert first["process"] == "curl"


def test_the_score_is_that_of_the_finding_or_null(filled: LiveServer) -> None:
    scores = {pair["dst_ip"]: pair["score"] for pair in filled.fetch("connections")["connections"]}

    assert scores["203.0.113.1"] >= 0.9
    assert scores["2001:db8::1"] is None


def test_whitelisted_ports_are_left_out(filled: LiveServer) -> None:
    ports = {pair["dst_port"] for pair in filled.fetch("connections")["connections"]}

    assert 53 not in ports


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dst_ip=203.0.113.1", ["203.0.113.1"]),
        ("src_ip=2001:0db8:0:0::5", ["2001:db8::1"]),
        ("src_ip=10.0.0.5&dst_ip=2001:db8::1", []),
    ],
)
def test_one_side_or_both_can_be_chosen(
    filled: LiveServer, query: str, expected: list[str]
) -> None:
    answer = filled.fetch(f"connections?{query}")

    assert [pair["dst_ip"] for pair in answer["connections"]] == expected
    assert answer["total"] == len(expected)


def test_an_address_that_is_none_is_refused(filled: LiveServer) -> None:
    assert filled.get("connections?src_ip=10.0.0").status == 400


def test_a_limit_shortens_the_list_but_not_the_total(filled: LiveServer) -> None:
    answer = filled.fetch("connections?limit=2")

    assert (answer["count"], answer["total"]) == (2, 5)


def test_long_connections_are_listed_longest_first_and_open_ones_marked(
    filled: LiveServer,
) -> None:
    rows = filled.fetch("long-connections")["connections"]

    assert [(row["dst_ip"], row["duration_seconds"], row["open"]) for row in rows] == [
        ("203.0.113.2", 3 * 3600, True),
        ("203.0.113.3", 2 * 3600, False),
    ]
    assert (rows[0]["src_port"], rows[0]["bytes_out"]) == (50_000, 9)
    assert rows[1]["outcome"] == "closed"
    assert rows[0]["started"] < rows[0]["last_seen"]


def test_the_least_duration_can_be_chosen(filled: LiveServer) -> None:
    assert filled.fetch("long-connections?min_duration=600")["count"] == 3
    assert filled.fetch("long-connections?min_duration=8000")["count"] == 1
    assert filled.fetch("long-connections?min_duration=600&limit=1")["count"] == 1
    assert filled.get("long-connections?min_duration=-1").status == 400


def test_long_connections_that_are_whitelisted_are_hidden(filled: LiveServer) -> None:
    filled.post_json("config", {"whitelist": {"destination_ips": ["203.0.113.2/31"]}})
    try:
        assert filled.fetch("long-connections")["count"] == 0
    finally:
        filled.post_json("config", {"whitelist": {"destination_ips": None}})
