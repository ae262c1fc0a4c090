"""Zeek's JSON: every spelling that its packages and shippers produce."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from beacon_detect.records import Kind
from zeek_samples import CONN, DNS, HTTP, IDS, SSL, jsonl, nested, underscored

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "row",
    [
        {"ts": 1.0, "fuid": "F1", "source": "SSL"}, {"ts": 1.0, "peer": "zeek", "mem": 5},
        {"ts": 1.0, "fingerprint": "ab"}, {"ts": 1.0, "note": "X", "suppress_for": 3600.0},
        IDS | {"name": "odd", "peer": "zeek"},
    ],
)  # fmt: skip
def test_json_logs_of_other_kinds_are_known_and_counted(read: Callable, row: dict[str, Any]) -> None:  # fmt: skip
    reading = read(jsonl(row, row))

    assert (reading.reader, reading.rows) == ("zeek-json", [])
    assert reading.problems.useless == {"rows of a log without connections (JSON)": 2}
    assert reading.problems.total == 0


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def test_fields_that_are_unset_in_the_first_rows_are_read_in_the_later_ones(read: Callable) -> None:
    silent = without(CONN, "duration", "orig_bytes", "resp_bytes", "service")
    reading = read(jsonl(*[silent] * 400, CONN))

    assert len(jsonl(*[silent] * 400)) > 65_536
    assert [row["bytes_out"] for row in reading.rows[-2:]] == [0, 1596]


@pytest.mark.parametrize("spell", [dict, underscored, nested])
def test_logs_that_were_put_together_without_a_path_are_told_apart(
    read: Callable, spell: Callable
) -> None:
    weird = IDS | {"name": "odd", "notice": False}
    reading = read(jsonl(*map(spell, (CONN, SSL, HTTP, DNS, weird))))

    assert sorted(row["kind"] for row in reading.rows) == [Kind.BURST, Kind.CONNECTION]
    assert sorted(name["name"] for name in reading.names) == ["c2.example.com"] * 4
    assert reading.problems.useless == {"rows of a log without connections (JSON)": 1}
    assert reading.problems.total == 0


def test_streams_of_several_paths_are_told_apart_and_the_useless_ones_counted(
    read: Callable,
) -> None:
    rows = [
        {"_path": path} | row
        for path, row in (("conn_red", CONN), ("ssl", SSL), ("files", {"ts": 1.0, "fuid": "F"}))
    ]
    reading = read(jsonl(*rows))

    assert (len(reading.rows), len(reading.names)) == (1, 1)
    assert reading.problems.useless == {"rows of a log without connections (files)": 1}


def test_milliseconds_of_the_epoch_are_told_by_their_size(read: Callable) -> None:
    row = read(jsonl(CONN | {"ts": 1655071198444})).rows[0]

    assert row["time"] == 1_655_071_198_444_000_000


def test_a_time_with_a_zone_is_that_moment(read: Callable) -> None:
    row = read(jsonl(CONN | {"ts": "2022-06-12T23:59:58.444458+0200"})).rows[0]

    assert row["time"] == 1_655_071_198_444_458_000


def test_names_of_a_log_without_addresses_carry_their_uid_only(read: Callable) -> None:
    bare = {"ts": 1655071198.5, "uid": CONN["uid"], "server_name": "c2.example.com"}
    reading = read(jsonl(bare) + json.dumps(without(bare, "uid")) + "\n")
    conn = read(jsonl(CONN)).rows[0]

    assert [(n["dst_port"], n["name"]) for n in reading.names] == [(0, "c2.example.com")]
    assert reading.names[0]["connection_id"] == conn["connection_id"] != 0
    assert reading.problems.counts == {"no uid": 1}


def test_lines_that_are_no_objects_are_not_counted_as_rows_of_another_log(read: Callable) -> None:
    reading = read('no object\n{"ts": 1, "other": 2}\nnor this\n', form="zeek-json")

    assert reading.problems.counts == {"no JSON object": 2}
    assert sum(reading.problems.useless.values()) == 1
