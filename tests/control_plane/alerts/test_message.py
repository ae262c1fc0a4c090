"""The alert: one JSON document, the same fields as the API, safe whatever the kernel reported."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import HOUR, NOW, finding
from beacon_detect.config.schema import Severity
from beacon_detect.control_plane.alerts.message import (
    SEVERITIES,
    AlertKind,
    make_alert,
    new_alert_id,
    plain_duration,
    rfc3339,
)
from beacon_detect.control_plane.findings import Finding
from beacon_detect.records import SECOND

RENAMED = {
    "id": "finding_id",
    "src": "src_ip",
    "dst": "dst_ip",
    "interval": "interval_seconds",
    "dominant_period": "dominant_period_seconds",
    "missed": "missed_check_ins",
    "configured_sleep": "configured_sleep_seconds",
}
INTERNAL = {"last_check_in"}


def document(kind: AlertKind = AlertKind.NEW, **changes: Any) -> dict[str, Any]:
    return json.loads(make_alert(finding(**changes), kind, NOW).document)


def test_severities_are_those_of_the_configuration_least_first() -> None:
    assert get_args(Severity) == SEVERITIES


def test_every_field_of_the_finding_is_in_the_document() -> None:
    told = document()

    for name in {field.name for field in fields(Finding)} - INTERNAL:
        assert RENAMED.get(name, name) in told


def test_the_document_names_its_schema_its_time_and_the_attack_technique() -> None:
    told = document()

    assert told["schema"] == "beacon-detect.alert/1"
    assert told["time"] == "2026-09-21T14:13:20.000000Z"
    assert told["pair_id"] == str(0xFEDC_BA98_7654_3210)
    assert told["attack"]["technique"] == "T1071"
    assert told["attack"]["version"]


def test_title_and_sentence_say_who_calls_whom_how_often() -> None:
    told = document()

    assert told["title"] == (
        "CRITICAL beacon: curl on 10.0.0.100 calls 203.0.113.50:443/TCP (cdn.example) every 60 s"
    )
    assert told["message"] == (
        "curl (pid 4711) on 10.0.0.100 in container web-7f looks like a beacon: it calls "
        "203.0.113.50:443/TCP (cdn.example) every 60 s, 157 connections since "
        "2026-09-21T11:13:20Z, score 94.2% (CRITICAL), seen by sensor web-1."
    )


def test_the_sentence_of_a_worse_finding_names_both_levels() -> None:
    told = make_alert(finding("HIGH"), AlertKind.WORSE, NOW, before="MEDIUM")

    fields_ = json.loads(told.document)
    assert "rose from MEDIUM to HIGH" in fields_["message"]
    assert fields_["previous_severity"] == "MEDIUM"
    assert fields_["silence_seconds"] is None


def test_the_sentence_of_a_returned_finding_names_the_silence() -> None:
    told = make_alert(finding(), AlertKind.BACK, NOW, silence=3 * HOUR / SECOND)

    fields_ = json.loads(told.document)
    assert "returned after 3 h of silence" in fields_["message"]
    assert fields_["silence_seconds"] == 3 * 3600


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"dst": "2001:db8::7", "name": ""}, "calls [2001:db8::7]:443/TCP every"),
        ({"protocol": "ICMP", "dst_port": 0, "name": ""}, "calls 203.0.113.50 by ICMP every"),
        ({"process": ""}, "10.0.0.100 calls"),
        (
            {"addresses": 8, "dst": "203.0.113.50"},
            "curl on 10.0.0.100 calls cdn.example:443/TCP (8 addresses) every",
        ),
    ],
)
def test_titles_read_well_for_every_protocol(changes: dict[str, Any], place: str) -> None:
    assert place in document(**changes)["title"]


def test_bursts_are_not_called_connections() -> None:
    told = document(series="bursts", connections=1)["message"]

    assert "every 60 s, bursts inside 1 connection since 2026" in told


def test_the_page_shows_the_document_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/alerts.md").read_text("utf-8")
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])

    assert shown == document() | {"id": shown["id"]}


@given(
    st.text(st.characters(exclude_categories=[]), max_size=60),
    st.floats(),
    st.sampled_from(SEVERITIES),
    st.sampled_from(AlertKind),
)
def test_any_finding_becomes_one_line_of_strict_json(
    text: str, number: float, severity: str, kind: AlertKind
) -> None:
    told = make_alert(
        finding(severity, process=text, name=text, jitter=number, interval=number),
        kind,
        NOW,
        before="LOW",
    )

    assert "\n" not in told.document
    read = json.loads(told.document.encode(), parse_constant=pytest.fail)
    assert read["severity"] == told.severity
    assert read["kind"] == told.kind
    assert read["jitter"] == (number if math.isfinite(number) else None)


def test_ids_are_uuids_that_sort_by_time() -> None:
    ids = [new_alert_id(NOW + step * 1_000_000) for step in range(100)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert {uuid.UUID(alert_id).version for alert_id in ids} == {7}
    assert {uuid.UUID(alert_id).variant for alert_id in ids} == {uuid.RFC_4122}


def test_ids_raised_in_the_same_millisecond_differ() -> None:
    assert len({new_alert_id(NOW) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (60, "60 s"), (300, "5 min"), (5400, "90 min"), (9000, "2.5 h"), (259_200, "3 d")],
)  # fmt: skip
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert plain_duration(seconds) == text


def test_times_before_and_after_the_epoch_are_rfc_3339() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999Z"
    assert rfc3339(NOW + 123_456_789) == "2026-09-21T14:13:20.123456Z"
