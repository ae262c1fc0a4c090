"""The list of findings and one finding in full, filtered and whitelisted at query time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beacon_detect.records import Kind
from live_server import LiveServer, beacon, noise


@pytest.fixture(scope="module")
def filled(server: LiveServer) -> LiveServer:
    """Give the server with three beacons and noise, analyzed."""
    server.send(beacon(dst="203.0.113.1", process="implant", executable="/tmp/implant", pid=99))
    server.send(beacon(interval=30.0, jitter=0.1, dst="2001:db8::2", dst_port=8443))
    server.send(beacon(jitter=0.05, dst="203.0.113.3", ended=86_000.0 / 2))
    server.send(noise(dst="203.0.113.4"))
    server.analyze()
    return server


def listed(server: LiveServer, query: str = "") -> list[dict[str, Any]]:
    answer = server.fetch(f"beacons{query}")
    assert answer["count"] == len(answer["beacons"])
    return list(answer["beacons"])


def destinations(server: LiveServer, query: str = "") -> list[str]:
    return sorted(found["dst_ip"] for found in listed(server, query))


def test_beacons_are_listed_highest_score_first(filled: LiveServer) -> None:
    scores = [found["score"] for found in listed(filled)]

    assert scores == sorted(scores, reverse=True)
    assert destinations(filled) == ["2001:db8::2", "203.0.113.1", "203.0.113.3"]


def test_a_beacon_carries_everything_that_is_known(filled: LiveServer) -> None:
    found = next(b for b in listed(filled) if b["dst_ip"] == "203.0.113.1")

    assert found["score"] == found["current_score"] >= 0.9
    assert found["severity"] == "CRITICAL"
    assert (found["src_ip"], found["dst_port"], found["protocol"]) == ("10.0.0.5", 443, "TCP")
    assert (found["series"], found["connections"], found["check_ins"]) == ("connections", 40, 40)
    assert found["interval_seconds"] == pytest.approx(60.0, rel=1e-3)
    assert found["dominant_period_seconds"] == pytest.approx(60.0, rel=0.05)
    assert found["jitter"] == pytest.approx(0.0, abs=0.01)
    assert all(found[f"{name}_score"] >= 0.99 for name in ("base", "cv", "periodicity", "jitter"))
    assert (found["bytes_out"], found["bytes_in"]) == (40 * 100, 40 * 200)
    assert (found["process"], found["executable"], found["pid"]) == ("implant", "/tmp/implant", 99)
    assert (found["sensor"], found["missed_check_ins"]) == ("sensor-1", 0)
    assert found["connections_per_check_in"] == 1
    assert found["evidence"]
    assert found["first_seen"].endswith("Z")
    assert found["first_seen"] < found["last_seen"] <= found["detected_at"]


def test_a_beacon_that_paused_is_still_there_and_silent(filled: LiveServer) -> None:
    states = {found["dst_ip"]: found["state"] for found in listed(filled)}

    assert states == {"203.0.113.1": "active", "2001:db8::2": "active", "203.0.113.3": "silent"}


def test_the_least_score_is_the_alert_threshold_unless_given(filled: LiveServer) -> None:
    lowest = min(found["score"] for found in listed(filled))

    assert len(listed(filled, "?min_score=0")) >= 3
    assert lowest < 1.0
    assert len(listed(filled, "?min_score=1.0")) < 3


def test_a_limit_shortens_the_list_but_not_the_total(filled: LiveServer) -> None:
    answer = filled.fetch("beacons?limit=1")

    assert (answer["count"], answer["total"]) == (1, 3)


def test_severities_can_be_chosen(filled: LiveServer) -> None:
    critical = listed(filled, "?severity=critical")

    assert {found["severity"] for found in critical} == {"CRITICAL"}
    assert len(critical) + sum(
        len(listed(filled, f"?severity={name}")) for name in ("HIGH", "MEDIUM", "LOW")
    ) == len(listed(filled))
    assert listed(filled, "?severity=critical&severity=low") == critical
    assert filled.get("beacons?severity=WORST").status == 400


def test_since_leaves_out_what_was_not_seen_since(filled: LiveServer) -> None:
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert destinations(filled, f"?since={hour_ago}") == ["2001:db8::2", "203.0.113.1"]
    assert destinations(filled, "?since=9999-01-01T00:00:00Z") == []


@pytest.mark.parametrize("since", ["2026", "yesterday", "2026-01-01T00:00:00", "1e9"])
def test_a_time_without_zone_or_date_is_refused(filled: LiveServer, since: str) -> None:
    assert filled.get(f"beacons?since={since}").status == 400


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "min_score=1.1", "min_score=nan", "min_score=-1"])  # fmt: skip
def test_parameters_out_of_range_are_refused(filled: LiveServer, query: str) -> None:
    answer = filled.get(f"beacons?{query}")

    assert answer.status == 400
    assert query.partition("=")[0] in answer.json["detail"]


def test_one_beacon_comes_with_its_series(filled: LiveServer) -> None:
    found = next(b for b in listed(filled) if b["dst_ip"] == "203.0.113.1")

    detail = filled.fetch(f"beacons/{found['id']}")

    assert {name: detail[name] for name in found} == found
    assert len(detail["times"]) == 40
    assert detail["times"] == sorted(detail["times"])
    assert detail["intervals"] == pytest.approx([60.0] * 39)


def test_a_new_whitelist_entry_hides_old_results_and_its_removal_brings_them_back(
    filled: LiveServer,
) -> None:
    before = destinations(filled)
    hidden = next(b for b in listed(filled) if b["dst_ip"] == "203.0.113.1")
    entry = {"whitelist": {"pairs": ["10.0.0.5:203.0.113.1:443"]}}

    assert filled.post_json("config", entry).status == 200
    try:
        assert destinations(filled) == [ip for ip in before if ip != "203.0.113.1"]
        assert filled.fetch("status")["beacons_detected"] == len(before) - 1
        everything = listed(filled, "?include_whitelisted=true")
        assert {b["dst_ip"]: b["whitelisted"] for b in everything}["203.0.113.1"] is True
        assert filled.fetch(f"beacons/{hidden['id']}")["whitelisted"] is True
        shown = filled.fetch("connections")["connections"]
        assert "203.0.113.1" not in {c["dst_ip"] for c in shown}
        told = filled.fetch("alerts")["alerts"]
        assert "203.0.113.1" not in {a["dst_ip"] for a in told}
    finally:
        filled.post_json("config", {"whitelist": {"pairs": None}})

    assert destinations(filled) == before


def test_bursts_are_shown_with_their_own_series(own_server: LiveServer) -> None:
    own_server.start()
    own_server.send(beacon(30, kind=Kind.BURST, connection_id=[5] * 30, dst="203.0.113.9"))

    [identifier] = own_server.analyze()["new"]

    detail = own_server.fetch(f"beacons/{identifier}")
    assert (detail["series"], detail["connections"], len(detail["times"])) == ("bursts", 0, 30)
