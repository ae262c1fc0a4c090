"""``beacons`` shows the documented screen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

SCREEN = """\
  SCORE   SEVERITY    SOURCE IP           DEST IP             PORT   PROTO  CONNS     INTERVAL   PROCESS
  -----   --------    ---------           -------             ----   -----  -----     --------   -------
  94.2%   CRITICAL    10.0.0.100          203.0.113.50        443    TCP    156       60.0s      implantd
  85.3%   HIGH        10.0.0.101          198.51.100.25       8080   TCP    1,189     30.0s      curl
"""


def test_the_table_is_the_documented_one_with_the_process(ask: Callable[..., Any]) -> None:
    done = ask("beacons")

    assert (done.code, done.out, done.err) == (0, SCREEN, "")


def test_columns_grow_for_ipv6(ask: Callable[..., Any], api: Any) -> None:
    address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
    api.rows["beacons"][1] = api.rows["beacons"][1] | {"dst_ip": address}
    heads, _, first, second = ask("beacons").out.splitlines()
    start = heads.index("PORT")

    assert (first[start : start + 3], second[start : start + 4]) == ("443", "8080")
    assert f"{address}  8080" in second


def test_a_rotating_destination_is_shown_by_name_with_its_addresses(
    ask: Callable[..., Any], api: Any
) -> None:
    rotating = {"series": "name", "name": "cdn.example", "addresses": 8}
    api.rows["beacons"][0] = api.rows["beacons"][0] | rotating
    shown = ask("beacons").out
    rows = list(csv.DictReader(io.StringIO(ask("beacons", "--csv").out)))

    assert "cdn.example (8 addresses)  443" in shown
    assert (rows[0]["dst_ip"], rows[0]["name"], rows[0]["addresses"]) == (
        "203.0.113.50",
        "cdn.example",
        "8",
    )


def test_the_documented_columns_come_first_in_csv(ask: Callable[..., Any]) -> None:
    head = ask("beacons", "--csv").out.splitlines()[0]

    assert head.startswith(
        "score,severity,src_ip,dst_ip,dst_port,protocol,connections,interval_seconds,process,"
    )


def test_filters_are_sent_to_the_api(ask: Callable[..., Any], api: Any) -> None:
    ask("beacons", "--min-score", "0.8", "--limit", "7")
    ask("beacons")
    ask("beacons", "--include-whitelisted")

    assert api.asked == [
        ("/api/v1/beacons", {"min_score": ["0.8"], "limit": ["7"]}),
        ("/api/v1/beacons", {"limit": ["100"]}),
        ("/api/v1/beacons", {"include_whitelisted": ["true"], "limit": ["100"]}),
    ]
    assert ask("beacons", "--min-score", "80").code == 2


def test_csv_holds_every_field_of_the_api(ask: Callable[..., Any], api: Any) -> None:
    done = ask("beacons", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))

    assert set(rows[0]) == set(api.rows["beacons"][0])
    assert (rows[0]["score"], rows[0]["interval_seconds"]) == ("0.942", "60.0")
    assert ask("beacons", "-o").out == done.out


def test_names_from_outside_cannot_drive_the_terminal(ask: Callable[..., Any], api: Any) -> None:
    api.rows["beacons"][0] = api.rows["beacons"][0] | {"process": "\x1b]0;owned\x07\n=cmd()"}

    assert "�]0;owned��=cmd()" in ask("beacons").out
    assert "\x1b" not in ask("beacons", "--csv").out
