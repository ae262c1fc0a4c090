"""``connections`` shows every pair with its traffic and, where there is one, its score."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any


def test_the_table_shows_traffic_and_score(ask: Callable[..., Any]) -> None:
    heads, _, first, second = ask("connections").out.splitlines()

    assert heads.split() == (
        [
            "SOURCE",
            "IP",
            "DEST",
            "IP",
            "PORT",
            "PROTO",
            "CONNS",
            "SENT",
            "RECEIVED",
            "LAST",
            "SEEN",
            "SCORE",
            "PROCESS",
        ]
    )
    assert "156       17.2 KiB   32.1 KiB" in first
    assert first.split()[-2:] == ["-", "implantd"]
    assert second.split()[-2:] == ["85.3%", "implantd"]


def test_csv_holds_every_field_and_an_unscored_pair_an_empty_one(
    ask: Callable[..., Any], api: Any
) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("connections", "--csv").out)))

    assert set(rows[0]) == set(api.rows["connections"][0])
    assert [row["score"] for row in rows] == ["", "0.853"]


def test_addresses_are_sent_to_the_api(ask: Callable[..., Any], api: Any) -> None:
    ask("connections", "--src-ip", "10.0.0.1", "--dst-ip", "2001:db8::1", "--limit", "9")

    assert api.asked[0][1] == {"src_ip": ["10.0.0.1"], "dst_ip": ["2001:db8::1"], "limit": ["9"]}
