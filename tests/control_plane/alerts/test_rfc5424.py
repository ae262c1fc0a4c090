"""Syslog messages follow the grammar, whatever a process calls itself."""

from __future__ import annotations

import json
import syslog
import unicodedata
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import NOW, alert, finding
from beacon_detect import __version__
from beacon_detect.config.schema import SyslogFacility
from beacon_detect.control_plane.alerts.message import SEVERITIES, AlertKind, make_alert
from beacon_detect.control_plane.alerts.rfc5424 import (
    FACILITIES,
    LEVELS,
    MAX_MESSAGE,
    SD_ID,
    escape_value,
    format_message,
)
from rfc5424_reader import Message, read_message

text = st.text(st.characters(exclude_categories=[]), max_size=400)


def formatted(fields: dict[str, Any], **changes: Any) -> bytes:
    how: dict[str, Any] = {"facility": "local0", "hostname": "gate", "process_id": 77}
    return format_message(fields, **how | changes)


def read(fields: dict[str, Any], **changes: Any) -> Message:
    return read_message(formatted(fields, **changes))


def fields_of(**changes: Any) -> dict[str, Any]:
    return json.loads(alert(**changes).document)


def test_facilities_have_the_codes_of_syslog_3() -> None:
    assert set(get_args(SyslogFacility)) == set(FACILITIES)
    for name in set(FACILITIES) - {"ftp"}:
        assert getattr(syslog, f"LOG_{name.upper()}") == FACILITIES[name] * 8
    assert FACILITIES["ftp"] == 11


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("facility", ["kern", "local7"])
def test_priority_carries_facility_and_severity(severity: str, facility: str) -> None:
    message = read(fields_of(severity=severity), facility=facility)

    assert message.facility == FACILITIES[facility]
    assert message.severity == LEVELS[severity]


def test_the_worse_the_finding_the_more_urgent_the_message() -> None:
    assert [LEVELS[severity] for severity in SEVERITIES] == [
        syslog.LOG_NOTICE,
        syslog.LOG_WARNING,
        syslog.LOG_ERR,
        syslog.LOG_CRIT,
    ]


def test_the_header_names_time_host_program_and_kind() -> None:
    message = read(fields_of())

    assert message.timestamp == "2026-09-21T14:13:20.000000Z"
    assert message.hostname == "gate"
    assert message.app_name == "beacon-detect"
    assert message.process_id == "77"
    assert message.message_id == "alert-new"
    assert message.elements["origin"] == {"software": "beacon-detect", "swVersion": __version__}


def test_the_structured_data_carries_what_a_rule_needs() -> None:
    told = alert()
    message = read(json.loads(told.document))

    assert message.elements[SD_ID] == {
        "id": told.id,
        "kind": "new",
        "technique": "T1071",
        "severity": "CRITICAL",
        "score": "0.942",
        "src": "10.0.0.100",
        "dst": "203.0.113.50",
        "dstPort": "443",
        "protocol": "TCP",
        "findingId": "00000000000000aa",
        "interval": "60",
        "jitter": "0.05",
        "connections": "157",
        "bytesOut": "40192",
        "bytesIn": "91001",
        "firstSeen": "2026-09-21T11:13:20.000000Z",
        "lastSeen": "2026-09-21T14:13:19.000000Z",
        "process": "curl",
        "pid": "4711",
        "container": "web-7f",
        "sensor": "web-1",
        "name": "cdn.example",
        "direction": "outbound",
        "executable": "/usr/bin/curl",
    }


def test_the_text_is_the_alert_in_one_sentence() -> None:
    fields = fields_of()

    assert read(fields).text == fields["message"]


def test_the_page_shows_the_message_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/channels/syslog.md").read_text("utf-8")
    shown = page[page.index("<130>1") :].partition("…")[0]
    fields = fields_of() | {"id": "01a0c450-6c00-790a-965d-c28bed2bfddc"}

    sent = formatted(fields, process_id=812).decode().replace("\ufeff", "")
    assert sent.replace(__version__, "0").startswith(shown.replace(__version__, "0"))


@pytest.mark.parametrize(
    ("hostname", "sent"), [("", "-"), ("a b", "ab"), ("größe", "gre"), ("h" * 300, "h" * 255)]
)
def test_the_host_name_is_printable_ascii(hostname: str, sent: str) -> None:
    assert read(fields_of(), hostname=hostname).hostname == sent


@given(text, text, text, st.sampled_from(SEVERITIES), st.sampled_from(AlertKind))
def test_any_names_make_a_valid_message_of_bounded_size(
    process: str, container: str, name: str, severity: str, kind: AlertKind
) -> None:
    told = make_alert(
        finding(severity, process=process, container=container, name=name, executable=process * 9),
        kind,
        NOW,
        before="LOW",
    )
    data = formatted(json.loads(told.document))

    message = read_message(data)
    params = message.elements[SD_ID]
    assert len(data) <= MAX_MESSAGE
    assert params["id"] == told.id
    assert params["src"] == "10.0.0.100"
    assert params["dstPort"] == "443"
    assert message.text


@given(text)
def test_no_value_can_forge_a_second_line(value: str) -> None:
    data = formatted(fields_of(process=value, name=value))

    assert not any(byte < 0x20 or byte == 0x7F for byte in data)
    assert not {"Cc", "Zl", "Zp"} & {unicodedata.category(char) for char in data.decode()}


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_reading_an_escaped_value_gives_it_back(value: str) -> None:
    message = read(fields_of(process=value))

    assert message.elements[SD_ID].get("process", "") == value


@given(text)
def test_an_escaped_value_is_short_and_every_special_character_escaped(value: str) -> None:
    escaped = escape_value(value)

    plain = escaped.replace(b"\\\\", b"").replace(b'\\"', b"").replace(b"\\]", b"")
    assert not set(plain) & set(b'\\"]')
    assert len(plain.decode()) <= 255


def test_a_long_text_is_cut_between_characters() -> None:
    data = formatted(fields_of(name="ü" * 2000))

    assert len(data) <= MAX_MESSAGE
    assert read_message(data).text.endswith("ü…")
