"""Batches are taken as a whole, once, in three forms; what is refused is explained record by record."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beacon_detect.wire import ARROW_CONTENT_TYPE, encode_batch
from live_server import Answer, LiveServer, beacon
from records_factory import make_header

NDJSON = "application/x-ndjson"


def record(**fields: Any) -> dict[str, Any]:
    known = {
        "time": time.time(),
        "src": "10.0.0.5",
        "dst": "203.0.113.7",
        "dst_port": 443,
        "protocol": "TCP",
    }
    return known | fields


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def post(server: LiveServer, body: bytes, kind: str, **headers: str) -> Answer:
    return server.ask("POST", "telemetry", body, Content_Type=kind, **headers)


def test_arrow_batches_are_acknowledged_with_their_id(server: LiveServer) -> None:
    answer = server.send(beacon(17), batch="batch-of-17")

    assert answer.status == 200
    assert answer.json == {
        "status": "accepted",
        "batch": "batch-of-17",
        "records": 17,
        "duplicate": False,
    }


def test_ndjson_and_json_make_the_same_finding_as_arrow(server: LiveServer) -> None:
    now = time.time()
    times = [now - 60.0 * n for n in reversed(range(31))]
    ndjson = lines(*(record(time=t, dst="203.0.113.21") for t in times))
    batch = {
        "sensor": "firewall-1",
        "batch": "one",
        "records": [record(time=t, dst="203.0.113.22") for t in times],
    }

    first = post(server, ndjson, NDJSON, Beacon_Sensor="firewall-1", Beacon_Batch="ndjson-1")
    second = server.post_json("telemetry", batch)

    assert (first.status, first.json["records"], first.json["batch"]) == (200, 31, "ndjson-1")
    assert (second.status, second.json["records"], second.json["batch"]) == (200, 31, "one")
    assert len(server.analyze()["new"]) >= 2
    found = {b["dst_ip"]: b for b in server.fetch("beacons")["beacons"]}
    for dst in ("203.0.113.21", "203.0.113.22"):
        assert found[dst]["score"] >= 0.9
        assert found[dst]["connections"] == 31
        assert found[dst]["sensor"] == "firewall-1"


def test_compressed_bodies_are_taken(server: LiveServer) -> None:
    body = gzip.compress(lines(record(dst="203.0.113.30")))

    assert post(server, body, NDJSON, Content_Encoding="gzip").status == 200


def test_a_batch_sent_again_is_counted_once(server: LiveServer) -> None:
    body = lines(record(dst="203.0.113.40"), record(dst="203.0.113.40"))
    answers = [post(server, body, NDJSON).json for _ in range(3)]

    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    shown = server.fetch("connections?dst_ip=203.0.113.40")["connections"]
    assert shown[0]["connections"] == 2


def test_what_is_acknowledged_is_visible_at_once(server: LiveServer) -> None:
    for count in range(1, 6):
        server.send(beacon(1, dst="203.0.113.50"))

        shown = server.fetch("connections?dst_ip=203.0.113.50")["connections"]
        assert shown[0]["connections"] == count


def test_bad_records_are_named_and_nothing_of_the_batch_is_stored(server: LiveServer) -> None:
    before = server.fetch("status")["events_received"]

    answer = post(server, lines(record(), record(dst="203.0.113"), record(dst_port=70_000)), NDJSON)

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == "urn:beacon-detect:problem:records-not-valid"
    assert any("records[1]" in fault and "dst" in fault for fault in answer.json["faults"])
    assert any("records[2]" in fault and "dst_port" in fault for fault in answer.json["faults"])
    assert server.fetch("status")["events_received"] == before


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"not arrow", ARROW_CONTENT_TYPE, 400),
        (b"{", "application/json", 422),
        (b"", NDJSON, 400),
        (b"a,b\n1,2\n", "text/csv", 415),
        (b"{}", "", 415),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(
    server: LiveServer, body: bytes, kind: str, status: int
) -> None:
    answer = post(server, body, kind)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["detail"]


def test_an_unknown_encoding_is_refused(server: LiveServer) -> None:
    assert post(server, b"{}", NDJSON, Content_Encoding="br").status == 415


def test_a_body_that_grows_too_large_when_decompressed_is_refused(server: LiveServer) -> None:
    bomb = gzip.compress(bytes(80 << 20))

    answer = post(server, bomb, NDJSON, Content_Encoding="gzip")

    assert answer.status == 413


def test_many_senders_at_once_are_all_stored(server: LiveServer) -> None:
    before = server.fetch("status")["events_received"]
    bodies = [encode_batch(beacon(50), make_header(sensor=f"s{n % 4}")) for n in range(40)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: post(server, body, ARROW_CONTENT_TYPE), bodies))

    assert {answer.status for answer in answers} == {200}
    assert server.fetch("status")["events_received"] == before + 40 * 50
