"""Any pair is explained by a real server: flagged ones, and the others with the reasons."""

from __future__ import annotations

import re
from typing import Any

import pytest

from beacon_detect.analysis.features import FEATURES
from beacon_detect.records import Kind
from live_server import LiveServer, beacon, noise
from records_factory import make_records

SRC = "10.0.0.5"


@pytest.fixture(scope="module")
def filled(server: LiveServer) -> LiveServer:
    """Give the server with a beacon and pairs that are none, each for another reason."""
    server.send(beacon(dst="203.0.113.1", process="implant", executable="/tmp/implant", pid=99))
    server.send(noise(60, dst="203.0.113.2"))
    server.send(beacon(4, dst="203.0.113.3"))
    server.send(beacon(8, dst="203.0.113.4"))
    server.send(beacon(dst="10.0.0.1", dst_port=53, protocol=17))
    server.send(beacon(dst="203.0.113.6", dst_port=123, protocol=17))
    server.send(noise(30, dst="203.0.113.7", dst_port=80))
    server.send(noise(30, dst="203.0.113.7", dst_port=81))
    server.send(beacon(30, kind=Kind.BURST, connection_id=[5] * 30, dst="203.0.113.9"))
    server.analyze()
    return server


def explained(server: LiveServer, **query: object) -> dict[str, Any]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return dict(server.fetch(f"explain?{text}"))


def of_pair(server: LiveServer, dst: str, **query: object) -> dict[str, Any]:
    return explained(server, src=SRC, dst=dst, **query)


def refused(server: LiveServer, query: str) -> tuple[int, str]:
    answer = server.get(f"explain?{query}")
    return answer.status, answer.json["detail"]


def test_a_flagged_beacon_is_explained_in_full(filled: LiveServer) -> None:
    answer = of_pair(filled, "203.0.113.1", dst_port=443)
    rhythm = answer["measured"]["rhythm"]

    assert answer["schema"] == "beacon-detect.explanation/1"
    assert (answer["flagged"], answer["why_not"], answer["whitelisted_by"]) == (True, [], [])
    assert answer["verdict"].startswith("flagged: CRITICAL, risk ")
    assert (answer["process"], answer["pid"], answer["series"]) == ("implant", 99, "connections")
    assert answer["finding"]["id"] == answer["id"]
    assert rhythm["score"] == pytest.approx(answer["finding"]["score"])
    assert rhythm["risk"] == pytest.approx(answer["finding"]["risk"])
    assert rhythm["reasons"] == answer["finding"]["reasons"]
    assert rhythm["evidence"] == answer["finding"]["evidence"]
    assert (rhythm["check_ins"], rhythm["missed_check_ins"]) == (40, 0)
    assert rhythm["interval_seconds"] == pytest.approx(60.0, rel=1e-3)
    assert rhythm["configured_sleep_seconds"] == pytest.approx(60.0, rel=1e-3)
    assert rhythm["size_regularity"] == 1.0
    assert rhythm["false_alarm"] < 1e-3
    assert (rhythm["window"]["count"], rhythm["window"]["expected"] < 10) == (39, True)


def test_parts_of_the_score_add_up(filled: LiveServer) -> None:
    rhythm = of_pair(filled, "203.0.113.1")["measured"]["rhythm"]

    for name in ("compared_with_random", "compared_with_clock"):
        parts = rhythm[name]
        total = parts["reference"] + sum(one["log_odds"] for one in parts["groups"])
        assert total == pytest.approx(rhythm["log_odds"])
    assert len(rhythm["features"]) == len(FEATURES)


def test_the_series_is_shown_as_times_intervals_histogram_and_episodes(filled: LiveServer) -> None:
    answer = of_pair(filled, "203.0.113.1")
    measured = answer["measured"]
    bars = measured["histogram"]

    assert len(answer["times"]) == measured["events"] == 40
    assert answer["intervals"] == pytest.approx([60.0] * 39)
    assert measured["check_in_times"] == pytest.approx(answer["times"])
    assert sum(bars["counts"]) + bars["longer"] == 39
    assert sum(bars["explained"]) == 39
    [episode] = measured["episodes"]
    assert (episode["leading"], episode["check_ins"]) == (True, 40)
    assert answer["first_seen"] == episode["start"] < episode["end"] <= answer["last_seen"]
    assert (measured["episodes_total"], measured["sleep_changes"]) == (1, [])


def test_the_same_is_found_by_the_id_of_finding_series_and_pair(filled: LiveServer) -> None:
    answer = of_pair(filled, "203.0.113.1")
    chance = of_pair(filled, "203.0.113.2")

    assert explained(filled, id=answer["id"])["dst_ip"] == "203.0.113.1"
    assert chance["finding"] is None
    assert explained(filled, id=chance["id"])["dst_ip"] == "203.0.113.2"


def test_random_traffic_is_told_its_score_window_and_what_lowers_it(filled: LiveServer) -> None:
    answer = of_pair(filled, "203.0.113.2")
    below, window, against, *lowered = answer["why_not"]
    rhythm = answer["measured"]["rhythm"]

    assert answer["flagged"] is False
    assert below == f"score {rhythm['score']:.1%} is below 70.0%"
    assert f"{rhythm['window']['count']} of " in window
    assert against.startswith("what lowers it most, compared with a clock: ")
    assert all(words.startswith("risk lowered") for words in lowered)
    assert answer["verdict"] == f"not flagged: {below}"


def test_a_short_series_is_told_how_many_check_ins_it_lacks(filled: LiveServer) -> None:
    few, fewer = of_pair(filled, "203.0.113.4"), of_pair(filled, "203.0.113.3")

    assert few["why_not"][0].startswith("only 8 events in the last 24.0 h; detection.min_conn")
    assert few["measured"]["rhythm"]["score"] < 0.8
    assert "only 4 check-ins; at least 6 are needed for a score" in fewer["why_not"]
    assert fewer["measured"]["rhythm"] is None
    assert sum(fewer["measured"]["histogram"]["counts"]) == 3


def test_a_whitelisted_pair_is_told_the_entry_that_hides_it(filled: LiveServer) -> None:
    answer = of_pair(filled, "10.0.0.1", dst_port=53, protocol="udp")

    assert answer["whitelisted_by"] == ["destination_ports 53"]
    assert answer["why_not"][0] == "whitelisted by destination_ports 53"
    assert answer["finding"]["whitelisted"] is True


def test_context_that_lowers_the_risk_is_told(filled: LiveServer) -> None:
    filled.post_json("config", {"whitelist": {"destination_ports": [53]}})
    try:
        answer = of_pair(filled, "203.0.113.6")
    finally:
        filled.post_json("config", {"whitelist": {"destination_ports": None}})

    [lowered] = answer["why_not"]
    assert lowered.startswith("risk lowered from 9")
    assert "time (NTP)" in lowered
    assert answer["finding"]["risk"] < 0.7 < answer["finding"]["score"]


def test_bursts_are_explained_where_the_rhythm_is_theirs(filled: LiveServer) -> None:
    answer = of_pair(filled, "203.0.113.9")

    assert (answer["series"], answer["flagged"]) == ("bursts", True)
    assert answer["measured"]["events"] == 30


def test_what_no_pass_has_seen_is_measured_all_the_same(own_server: LiveServer) -> None:
    own_server.start().send(beacon(dst="203.0.113.20"))

    answer = of_pair(own_server, "203.0.113.20")

    assert answer["finding"] is None
    reached = re.match(r"measured now it reaches risk ([\d.]+)%", answer["why_not"][0])
    assert reached
    assert float(reached[1]) >= 90


def test_an_unknown_pair_is_answered_with_what_is_near(filled: LiveServer) -> None:
    status, nowhere = refused(filled, f"src={SRC}&dst=192.0.2.1")
    assert (status, "no connection from 10.0.0.5 to 192.0.2.1" in nowhere) == (404, True)
    assert "in the last 24.0 h" in nowhere

    status, port = refused(filled, f"src={SRC}&dst=203.0.113.1&dst_port=8443")
    assert (status, "there is 443/TCP" in port) == (404, True)

    status, backwards = refused(filled, f"src=203.0.113.1&dst={SRC}")
    assert (status, "the other way" in backwards) == (404, True)

    status, unknown = refused(filled, "id=00000000deadbeef")
    assert (status, "there is no beacon or pair '00000000deadbeef'" in unknown) == (404, True)


def test_a_question_that_several_pairs_answer_is_refused_with_their_names(
    filled: LiveServer,
) -> None:
    status, detail = refused(filled, f"src={SRC}&dst=203.0.113.7")

    assert status == 400
    assert "80/TCP" in detail
    assert "81/TCP" in detail
    assert of_pair(filled, "203.0.113.7", dst_port=81)["dst_port"] == 81


@pytest.mark.parametrize(
    "query",
    ["", "src=10.0.0.5", "id=a&src=10.0.0.5&dst=10.0.0.6", "src=a&dst=b", "src=10.0.0.5&dst=10.0.0.6&dst_port=65536", "src=10.0.0.5&dst=10.0.0.6&protocol=tpc", "id=a&limit=5"],
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused(filled: LiveServer, query: str) -> None:
    assert refused(filled, query)[0] == 400


def test_an_address_may_be_written_in_any_way(own_server: LiveServer) -> None:
    own_server.start().send(make_records(7, src="2001:db8::5", dst="2001:db8::1", dst_port=22))

    answer = explained(own_server, src="2001:DB8:0::5", dst="2001:db8:0:0::1")

    assert (answer["src_ip"], answer["dst_ip"]) == ("2001:db8::5", "2001:db8::1")


def test_a_restarted_server_explains_the_same(own_server: LiveServer) -> None:
    own_server.start()
    own_server.send(beacon(dst="203.0.113.1"))
    own_server.analyze()
    before = of_pair(own_server, "203.0.113.1")
    own_server.stop()
    own_server.start()

    after = of_pair(own_server, "203.0.113.1")

    assert after["measured"] == before["measured"]
    assert after["flagged"] is True
