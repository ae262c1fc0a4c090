"""``alerts`` shows what was raised and where it went."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any


def test_the_table_tells_when_what_and_where_it_went(ask: Callable[..., Any]) -> None:
    done = ask("alerts")
    heads, _, row = done.out.splitlines()

    assert heads.split() == (
        [
            "TIME",
            "KIND",
            "SCORE",
            "SEVERITY",
            "SOURCE",
            "IP",
            "DEST",
            "IP",
            "PORT",
            "PROTO",
            "INTERVAL",
            "PROCESS",
            "DELIVERED",
        ]
    )
    assert row.startswith("  2026-01-31 06:10:04  new    94.2%   CRITICAL    10.0.0.100 ")
    assert row.endswith("implantd  syslog: delivered, webhook: pending (tried 3 times)")


def test_csv_holds_the_deliveries_in_one_cell(ask: Callable[..., Any], api: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("alerts", "--csv").out)))

    assert set(rows[0]) == set(api.rows["alerts"][0])
    assert rows[0]["deliveries"] == "syslog: delivered, webhook: pending (tried 3 times)"
    assert rows[0]["time"] == "2026-01-31T06:10:04.000000Z"


def test_an_alert_without_channel_is_shown(ask: Callable[..., Any], api: Any) -> None:
    api.rows["alerts"] = [api.rows["alerts"][0] | {"deliveries": []}]

    assert ask("alerts").out.splitlines()[2].endswith("implantd")


def test_filters_are_sent_to_the_api(ask: Callable[..., Any], api: Any) -> None:
    ask("alerts", "--severity", "HIGH", "--limit", "3")

    assert api.asked == [("/api/v1/alerts", {"severity": ["HIGH"], "limit": ["3"]})]
