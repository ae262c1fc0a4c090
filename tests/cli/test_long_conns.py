"""``long-conns`` shows single connections, those that still last marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any


def test_open_connections_are_marked_and_ended_ones_say_how(
    ask: Callable[..., Any], api: Any
) -> None:
    api.rows["long-connections"].append(api.rows["long-connections"][0] | {"lost_sight": True})
    heads, _, first, second, third = ask("long-conns").out.splitlines()

    assert heads.split()[:2] == ["DURATION", "STATE"]
    assert first.startswith("  2.5h      OPEN           10.0.0.100 ")
    assert second.startswith("  2.5h      closed         10.0.0.100 ")
    assert third.startswith("  2.5h      OPEN (unseen)  10.0.0.100 ")


def test_the_documented_default_is_an_hour(ask: Callable[..., Any], api: Any) -> None:
    ask("long-conns")
    ask("long-conns", "--min-duration", "60", "--limit", "3")

    assert [query for _, query in api.asked] == [
        {"min_duration": ["3600.0"], "limit": ["100"]},
        {"min_duration": ["60.0"], "limit": ["3"]},
    ]
    assert api.asked[0][0] == "/api/v1/long-connections"
    assert ask("long-conns", "--min-duration", "-1").code == 2


def test_csv_holds_every_field_of_the_api(ask: Callable[..., Any], api: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("long-conns", "--csv").out)))

    assert set(rows[0]) == set(api.rows["long-connections"][0])
    assert (rows[0]["open"], rows[1]["open"]) == ("true", "false")
