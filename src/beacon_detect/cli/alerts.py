"""``beacon-detect alerts``: the alerts that were raised, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import clean, csv_cell, local_time, percent, seconds
from beacon_detect.cli.options import severity_option, since_option
from beacon_detect.cli.output import Column, Listing, Output, list_options, print_list

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session


def _deliveries(deliveries: list[dict[str, Any]] | None) -> str:
    """Return ``syslog: delivered, webhook: pending (tried 3 times)``."""
    shown = []
    for delivery in deliveries or ():
        tried = delivery["attempts"] if delivery["state"] != "delivered" else 0
        shown.append(
            f"{delivery['channel']}: {delivery['state']}"
            + (f" (tried {tried} time{'s' if tried > 1 else ''})" if tried else "")
        )
    return clean(", ".join(shown))


ALERTS = Listing(
    "alerts",
    (
        Column("time", "TIME", 21, local_time),
        Column("kind", "KIND", 7),
        Column("score", "SCORE", 8, percent),
        Column("severity", "SEVERITY", 12),
        Column("src_ip", "SOURCE IP", 20),
        Column("dst_ip", "DEST IP", 20),
        Column("dst_port", "PORT", 7),
        Column("protocol", "PROTO", 7),
        Column("interval_seconds", "INTERVAL", 11, seconds),
        Column("process", "PROCESS"),
        *map(Column, ("risk", "container", "sensor", "title", "evidence", "finding_id", "id")),
        Column(
            "deliveries", "DELIVERED", 0, _deliveries, lambda value: csv_cell(_deliveries(value))
        ),
    ),
    "no alerts (yet)",
)


@click.command("alerts")
@severity_option
@since_option
@list_options
@click.pass_obj
def command(
    session: Session,
    severity: tuple[str, ...],
    since: str | None,
    output: Output,
) -> None:
    """Show the alerts that were raised, newest first.

    An alert is new (a finding crossed the threshold), worse (it rose to a
    higher severity) or back (it returned after a silence).

    \b
    Example:
      beacon-detect alerts --severity HIGH --severity CRITICAL --since 1d
    """
    with Client(session) as client:
        answer = client.get(
            "alerts", severity=list(severity) or None, since=since, limit=output.limit
        )
    print_list(ALERTS, answer, output)
