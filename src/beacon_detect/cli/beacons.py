"""``beacon-detect beacons``: the findings, highest risk first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import clean, count, percent, reasons, seconds
from beacon_detect.cli.options import Number, severity_option, since_option
from beacon_detect.cli.output import Column, Listing, Output, list_options, print_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from beacon_detect.cli.session import Session


def destination(row: Mapping[str, Any]) -> str:
    """Return where a finding goes: the address; of many, their name and how many there are."""
    addresses = row.get("addresses", 1)
    return clean(f"{row['name']} ({addresses} addresses)" if addresses > 1 else row["dst_ip"])


BEACONS = Listing(
    "beacons",
    (
        Column("score", "SCORE", 8, percent),
        Column("severity", "SEVERITY", 12),
        Column("src_ip", "SOURCE IP", 20),
        Column("", "DEST IP", 20, destination),
        Column("dst_ip"),
        Column("dst_port", "PORT", 7),
        Column("protocol", "PROTO", 7),
        Column("connections", "CONNS", 10, count),
        Column("interval_seconds", "INTERVAL", 11, seconds),
        Column("process", "PROCESS"),
        Column("risk"),
        Column("reasons", cell=reasons),
        *map(
            Column,
            (
                "jitter", "series", "check_ins", "missed_check_ins", "connections_per_check_in",
                "current_score", "base_score", "cv_score", "periodicity_score", "jitter_score",
                "dominant_period_seconds", "configured_sleep_seconds", "false_alarm", "episodes",
                "size_regularity", "cv", "first_seen", "last_seen", "detected_at", "state",
                "executable", "pid", "container", "sensor", "name", "direction", "bytes_out",
                "bytes_in", "whitelisted", "evidence", "id", "addresses",
            ),
        ),
    ),
    "no beacons (yet): a pair is scored from its tenth check-in on",
)  # fmt: skip


@click.command("beacons")
@click.option(
    "--min-score", type=Number(0, 1), metavar="SCORE",
    help="Least timing score  [default: none; the least risk decides]",
)  # fmt: skip
@click.option(
    "--min-risk", type=Number(0, 1), metavar="RISK",
    help="Least risk  [default: detection.alert_threshold; none with --min-score]",
)  # fmt: skip
@severity_option
@since_option
@click.option(
    "--include-whitelisted", is_flag=True, help="Show what the whitelist hides, too."
)  # fmt: skip
@list_options
@click.pass_obj
def command(
    session: Session,
    min_score: float | None,
    min_risk: float | None,
    severity: tuple[str, ...],
    since: str | None,
    include_whitelisted: bool,
    output: Output,
) -> None:
    """Show detected beacons, highest risk first.

    \b
    Example:
      beacon-detect beacons --min-score 0.8
      beacon-detect beacons --csv > beacons.csv
    """
    wanted: dict[str, Any] = {"min_score": min_score, "severity": list(severity) or None}
    wanted["min_risk"] = min_risk
    if include_whitelisted:
        wanted["include_whitelisted"] = "true"
    with Client(session) as client:
        answer = client.get("beacons", since=since, limit=output.limit, **wanted)
    print_list(BEACONS, answer, output)
