"""Suricata: flows, requests and names; other events cost nothing and count for nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.records import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

STAMP = "2021-06-06T15:59:46.457984+0200"
BASE: dict[str, Any] = {
    "timestamp": STAMP, "flow_id": 1, "event_type": "flow", "src_ip": "192.168.1.132",
    "src_port": 40_000, "dest_ip": "192.0.2.7", "dest_port": 443, "proto": "TCP",
}  # fmt: skip
FLOW = BASE | {
    "flow": {
        "pkts_toserver": 12, "pkts_toclient": 3, "bytes_toserver": 4056, "bytes_toclient": 9,
        "start": STAMP, "end": "2021-06-06T15:59:48.457984+0200", "state": "closed",
    }
}  # fmt: skip
HTTP = BASE | {"event_type": "http", "http": {"hostname": "c2.example.com", "status": 200}}
TLS = BASE | {"event_type": "tls", "tls": {"sni": "c2.example.com"}}
ALERT = BASE | {"event_type": "alert", "alert": {"metadata": {"event_type": "flow"}}}


def lines(*events: dict[str, Any], **style: Any) -> str:
    return "".join(json.dumps(event, **style) + "\n" for event in events)


@pytest.mark.parametrize("style", [{}, {"separators": (",", ":")}])
def test_a_flow_is_a_connection(read: Callable, style: dict) -> None:
    reading = read(lines(ALERT, FLOW, **style))
    (row,) = reading.rows

    assert reading.reader == "suricata"
    assert (row["src"], row["dst"], row["dst_port"], row["protocol"]) == ("192.168.1.132", "192.0.2.7", 443, 6)  # fmt: skip
    assert (row["time"], row["duration"]) == (1_622_987_986_457_984_000, 2_000_000_000)
    assert (row["bytes_out"], row["bytes_in"], row["packets_out"]) == (4056, 9, 12)
    assert (row["kind"], row["outcome"]) == (Kind.CONNECTION, Outcome.CLOSED)
    assert reading.problems.total == 0


def test_requests_are_bursts_and_names_are_found(read: Callable) -> None:
    reading = read(lines(HTTP, TLS, BASE | {"event_type": "tls", "tls": {"version": "TLSv1"}}))

    assert [row["kind"] for row in reading.rows] == [Kind.BURST]
    assert [(n["name"], n["dst_port"]) for n in reading.names] == [("c2.example.com", 443)] * 2


def netflow(turned: bool = False, size: int = 100) -> dict[str, Any]:
    ends = BASE if not turned else BASE | {
        "src_ip": BASE["dest_ip"], "src_port": 443, "dest_ip": BASE["src_ip"], "dest_port": 40_000,
    }  # fmt: skip
    piece = {"pkts": 3, "bytes": size, "start": STAMP, "end": "2021-06-06T15:59:48.457984+0200"}
    return ends | {"event_type": "netflow", "netflow": piece}


def test_netflow_events_are_connections_where_flows_are_not_logged(read: Callable) -> None:
    (row,) = read(lines(TLS, netflow(), netflow(turned=True, size=7))).rows

    assert (row["src"], row["dst_port"]) == ("192.168.1.132", 443)
    assert (row["bytes_out"], row["bytes_in"], row["duration"]) == (100, 7, 2_000_000_000)


def test_netflow_events_do_not_count_flows_twice(read: Callable) -> None:
    assert len(read(lines(netflow(), FLOW, netflow(turned=True))).rows) == 1


def test_quic_names_its_destination(read: Callable) -> None:
    quic = BASE | {"event_type": "quic", "proto": "UDP", "quic": {"sni": "h3.example.com"}}
    (name,) = read(lines(quic)).names

    assert (name["name"], name["dst_port"], name["protocol"]) == ("h3.example.com", 443, 17)


DNS_SHAPES: list[dict[str, Any]] = [
    {"type": "answer", "rrname": "c2.example.com", "rrtype": "A", "rdata": "192.0.2.9"},
    {"type": "answer", "version": 2, "rrname": "c2.example.com", "grouped": {"A": ["192.0.2.9"]}},
    {"type": "answer", "rrname": "c2.example.com", "answers": [{"rdata": "x.example"}, {"rdata": "192.0.2.9"}]},
    {"version": 3, "queries": [{"rrname": "c2.example.com"}], "answers": [{"rdata": "192.0.2.9"}]},
]  # fmt: skip


@pytest.mark.parametrize("dns", DNS_SHAPES)
@pytest.mark.parametrize("turned", [False, True])
def test_dns_answers_of_every_version_name_the_address(
    read: Callable, dns: dict, turned: bool
) -> None:
    ends = [("10.0.0.5", 40_000), ("10.0.0.1", 53)]
    (src, sport), (dst, dport) = reversed(ends) if turned else ends
    event = BASE | {
        "event_type": "dns", "dns": dns, "src_ip": src, "src_port": sport, "dest_ip": dst,
        "dest_port": dport, "proto": "UDP",
    }  # fmt: skip
    question = event | {"dns": {"type": "query", "rrname": "q.example"}}

    assert [(n["src"], n["dst"], n["dst_port"], n["name"]) for n in read(lines(event, question)).names] == [
        ("10.0.0.5", "192.0.2.9", 0, "c2.example.com")
    ]  # fmt: skip


def test_broken_lines_are_counted_and_the_rest_read(read: Callable) -> None:
    broken = json.dumps(FLOW)[:-3] + "\n"
    reading = read(lines(FLOW) + broken + "not json\n" + lines(FLOW | {"src_ip": "x"}, FLOW))

    assert len(reading.rows) == 2
    assert reading.problems.counts == {
        "no event": 1,
        "no JSON object": 1,
        "the source is no address": 1,
    }
    assert any(":2: no JSON object" in text for text in reading.problems.examples)
    assert any(":4: the source" in text for text in reading.problems.examples)


def test_missing_ports_and_counters_are_zero(read: Callable) -> None:
    event = {k: v for k, v in FLOW.items() if k not in {"src_port", "dest_port"}}
    (row,) = read(lines(event | {"proto": "ICMP", "flow": {"start": STAMP}})).rows

    assert (row["dst_port"], row["protocol"], row["bytes_out"], row["duration"]) == (0, 1, 0, 0)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(junk=st.binary(max_size=200), cut=st.integers(0, 400))
def test_any_bytes_after_an_event_are_rows_or_problems(
    read: Callable, junk: bytes, cut: int
) -> None:
    assert len(read(lines(FLOW).encode() + lines(FLOW).encode()[:cut] + junk).rows) >= 1


def test_a_large_log_gives_the_same(read: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = json.dumps(FLOW | {"src_ip": "10.0.0.9"}, separators=(" , ", " : "))
    escaped = json.dumps(FLOW).replace("192.168.1.132", "192.168.1.\\u0031")
    dns = BASE | {"event_type": "dns", "dns": DNS_SHAPES[0]}
    text = (
        lines(FLOW, HTTP, ALERT, TLS, dns) + spaced + "\n" + escaped + "\nnot json\n" + lines(FLOW)
    )
    small = read(text)
    monkeypatch.setattr("beacon_detect.readers.jsonlines.WARM_BYTES", 0)
    monkeypatch.setattr("beacon_detect.readers.jsonlines.COLD_BYTES", 0)
    large = read(text)

    def order(row: dict[str, Any]) -> tuple:
        return row["kind"], row["src"]

    assert len(small.rows) == 5
    assert sorted(large.rows, key=order) == sorted(small.rows, key=order)
    assert large.names == small.names
    assert large.problems.counts == small.problems.counts
