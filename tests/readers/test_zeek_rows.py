"""Rows of Zeek's logs: what joins them, and which log they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from beacon_detect.readers.zeek_rows import Log, log_of
from zeek_samples import CONN, DNS, HTTP, IDS, SSL, jsonl, tsv

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("path", "columns", "log"),
    [
        ("conn", (), Log("conn")), ("open_conn", (), Log("conn", True)), ("tls", (), Log("ssl")),
        ("http_red", (), Log("http")), ("files", ("conn_state",), None),
        ("", ("trans_depth", "host"), Log("http")), ("-", ("rcode",), Log("dns")),
        ("", ("fuid",), None), ("conn_long", (), Log("conn", True)),
    ],
)  # fmt: skip
def test_a_log_is_known_by_its_path_then_by_its_columns(
    path: str, columns: tuple[str, ...], log: Log | None
) -> None:
    assert log_of(path, set(columns)) == log


@pytest.mark.parametrize("spell", [tsv, lambda _, row: jsonl(row)])
def test_every_log_of_a_connection_carries_the_same_id_except_dns(
    read: Callable, spell: Callable
) -> None:
    conn = read(spell("conn", CONN)).rows[0]["connection_id"]
    named = [read(spell(p, r)).names[0]["connection_id"] for p, r in (("ssl", SSL), ("http", HTTP))]

    assert named == [conn, conn]
    assert read(spell("dns", DNS)).names[0]["connection_id"] == 0


def test_names_of_quic_are_of_udp(read: Callable) -> None:
    row = IDS | {"server_name": "h3.example", "client_scid": "ab"}

    assert read(tsv("quic", row)).names[0]["protocol"] == 17


@pytest.mark.parametrize("path", ["ssl", "http"])
def test_a_log_without_addresses_gives_names_by_uid(read: Callable, path: str) -> None:
    full = SSL if path == "ssl" else HTTP
    bare = {key: value for key, value in full.items() if not key.startswith("id.")}
    reading = read(tsv(path, bare))

    assert [name["name"] for name in reading.names] == ["c2.example.com"]
    assert not reading.rows
    assert reading.problems.total == 0


def test_a_connection_log_without_addresses_says_what_it_lacks(read: Callable) -> None:
    bare = {key: value for key, value in CONN.items() if not key.startswith("id.")}

    assert read(tsv("conn", bare, bare)).problems.counts == {"no column id.orig_h": 2}
