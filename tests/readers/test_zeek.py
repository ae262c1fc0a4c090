"""Zeek: every log that matters, both spellings, whatever columns there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.records import Kind, Origin, Outcome
from zeek_samples import CONN, DNS, HTTP, IDS, SSL, jsonl, nested, tsv, underscored

if TYPE_CHECKING:
    from collections.abc import Callable

SPELLINGS: list[Callable[[dict[str, Any]], str]] = [
    lambda row: tsv("conn", row),
    jsonl,
    lambda row: jsonl(underscored(row)),
    lambda row: jsonl(nested(row)),
    lambda row: jsonl(row | {"ts": "2022-06-12T21:59:58.444458Z"}),
    lambda row: jsonl(row | {"_path": "conn"}),
    lambda row: tsv("conn", row | {"ts": "2022-06-12T21:59:58.444458Z"}),
    lambda row: tsv("conn", row | {"ts": "2022-06-12T23:59:58.444458+0200"}),
]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_connection_is_the_same_in_every_spelling(read: Callable, spell: Callable) -> None:
    row = read(spell(CONN)).rows[0]

    assert (row["src"], row["src_port"]) == ("147.32.81.167", 62771)
    assert (row["dst"], row["dst_port"], row["protocol"]) == ("40.74.108.123", 443, 6)
    assert row["time"] == 1_655_071_198_444_458_000
    assert row["duration"] == 1_135_424_000
    assert (row["bytes_out"], row["bytes_in"]) == (1596, 4039)
    assert (row["packets_out"], row["packets_in"]) == (14, 16)
    assert (row["kind"], row["outcome"]) == (Kind.CONNECTION, Outcome.CLOSED)


@pytest.mark.parametrize("spell", [tsv, lambda _, row: jsonl(row)])
def test_names_come_from_tls_http_and_dns(read: Callable, spell: Callable) -> None:
    tls, http, dns = (read(spell(p, r)) for p, r in (("ssl", SSL), ("http", HTTP), ("dns", DNS)))

    assert [(n["dst"], n["dst_port"], n["name"]) for n in tls.names + http.names] == [
        ("40.74.108.123", 443, "c2.example.com")
    ] * 2
    assert [(n["src"], n["dst"], n["dst_port"], n["name"]) for n in dns.names] == [
        ("147.32.81.167", address, 0, "c2.example.com")
        for address in ("40.74.108.123", "40.74.108.124")
    ]
    assert not tls.rows
    assert not dns.rows


def test_each_http_request_is_a_burst(read: Callable) -> None:
    row = read(tsv("http", HTTP)).rows[0]

    assert (row["kind"], row["bytes_out"], row["bytes_in"]) == (Kind.BURST, 5, 7)


def test_open_connections_are_updates(read: Callable) -> None:
    assert read(tsv("open_conn", CONN)).rows[0]["kind"] == Kind.UPDATE


def test_only_tcp_without_a_syn_is_midstream(read: Callable) -> None:
    rows = read(tsv("conn", CONN | {"conn_state": "OTH"}, CONN | {"conn_state": "OTH", "proto": "udp"})).rows  # fmt: skip

    assert [row["origin"] for row in rows] == [Origin.MIDSTREAM, Origin.OPENED]


def test_unset_missing_and_extra_columns_do_not_matter(read: Callable) -> None:
    few = IDS | {"proto": "tcp", "duration": None, "orig_bytes": None, "label": "Benign"}
    row = read(tsv("conn", few)).rows[0]

    assert (row["duration"], row["bytes_out"], row["outcome"]) == (0, 0, Outcome.UNKNOWN)


def test_joined_logs_may_change_their_columns(read: Callable) -> None:
    reading = read(tsv("conn", CONN) + tsv("conn", IDS | {"proto": "udp"}) + tsv("ssl", SSL))

    assert [row["protocol"] for row in reading.rows] == [6, 17]
    assert len(reading.names) == 1


def test_streams_of_several_logs_in_one_file_are_told_apart(read: Callable) -> None:
    rows = [
        {"_path": p} | r for p, r in (("conn", CONN), ("ssl", SSL), ("dns", DNS), ("weird", IDS))
    ]
    reading = read(jsonl(*rows))

    assert len(reading.rows) == 1
    assert len(reading.names) == 3


def test_a_broken_row_is_shown_with_file_and_line(read: Callable) -> None:
    text = tsv("conn", CONN, CONN | {"id.orig_h": "nohost"}, CONN | {"ts": "never"}, CONN)
    reading = read(text)

    assert len(reading.rows) == 2
    assert reading.problems.total == 2
    assert any(":6: the source is no address" in text for text in reading.problems.examples)
    assert any(":7: ts is 'never'" in text for text in reading.problems.examples)


def test_a_log_of_another_kind_gives_nothing_and_says_so(read: Callable) -> None:
    reading = read(tsv("files", {"ts": 1.0, "fuid": "F"}))

    assert not reading.rows
    assert reading.problems.useless == {"rows of a log without connections (files)": 1}
    assert reading.problems.total == 0


def test_the_header_may_change_the_separator_and_the_marks_for_nothing(read: Callable) -> None:
    text = tsv("conn", CONN | {"duration": "none", "orig_bytes": "~"}).replace("\t", ",")
    text = text.replace("#separator \\x09", "#separator \\x2c").replace("#unset_field,-", "#unset_field,none\n#empty_field,~")  # fmt: skip
    reading = read(text)

    assert (reading.rows[0]["dst"], reading.rows[0]["dst_port"]) == ("40.74.108.123", 443)
    assert (reading.rows[0]["duration"], reading.rows[0]["bytes_out"]) == (0, 0)
    assert reading.problems.total == 0


@pytest.mark.parametrize("said", ["\\x00", "\\x0a", "\\xe9", ""])
def test_a_separator_that_cannot_be_one_is_not_obeyed(read: Callable, said: str) -> None:
    text = tsv("conn", CONN).replace("#separator \\x09", f"#separator {said}")

    assert len(read(text).rows) == 1


@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_connection_log_that_lost_its_header_is_read_in_zeeks_own_order(
    read: Callable, more: int
) -> None:
    standard = [
        *("1655071198.444458", "CHLXQF2OBY4onAR0Ug", "147.32.81.167", "62771", "40.74.108.123"),
        *("443", "tcp", "ssl", "1.135424", "1596", "4039", "SF", "T", "F", "0", "ShADadfF"),
        *("14", "2300", "16", "4700", "-"),
    ]
    columns = [*standard, *["6", "x"][:more]]
    reading = read("\t".join(columns) + "\n")

    assert reading.reader == "zeek"
    row = reading.rows[0]
    assert (row["bytes_out"], row["bytes_in"], row["packets_in"]) == (1596, 4039, 16)
    assert row["outcome"] == Outcome.CLOSED


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(junk=st.binary(max_size=300), as_json=st.booleans())
def test_any_bytes_in_a_log_are_rows_or_problems(
    read: Callable, junk: bytes, as_json: bool
) -> None:
    start = jsonl(CONN) if as_json else tsv("conn", CONN)

    assert len(read(start.encode() + junk).rows) >= 1
