"""``beacon-detect long-conns``: single connections by duration, open ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import clean, duration, local_time, size
from beacon_detect.cli.options import Number
from beacon_detect.cli.output import Column, Listing, Output, list_options, print_list

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session


def _state(row: dict[str, Any]) -> str:
    """Return OPEN for a connection that lasts, else how it ended."""
    if row.get("lost_sight"):
        return "OPEN (unseen)"
    return "OPEN" if row["open"] else clean(row["outcome"])


LONG_CONNECTIONS = Listing(
    "connections",
    (
        Column("duration_seconds", "DURATION", 10, duration),
        Column("", "STATE", 13, _state),
        Column("src_ip", "SOURCE IP", 20),
        Column("dst_ip", "DEST IP", 20),
        Column("dst_port", "PORT", 7),
        Column("protocol", "PROTO", 7),
        Column("bytes_out", "SENT", 11, size),
        Column("bytes_in", "RECEIVED", 11, size),
        Column("started", "STARTED", 21, local_time),
        Column("process", "PROCESS"),
        *map(
            Column,
            ("src_port", "open", "lost_sight", "outcome", "last_seen", "container", "sensor"),
        ),
    ),
    "no connections of that duration",
)


@click.command("long-conns")
@click.option(
    "--min-duration", type=Number(min=0), default=3600, show_default=True,
    metavar="SECONDS", help="Least duration of a connection.",
)  # fmt: skip
@list_options
@click.pass_obj
def command(session: Session, min_duration: float, output: Output) -> None:
    """Show long single connections, longest first.

    A connection that still lasts is marked OPEN and counts with its duration
    so far; `OPEN (unseen)` means that its sensor reports it no more.

    \b
    Example:
      beacon-detect long-conns --min-duration 7200
    """
    with Client(session) as client:
        answer = client.get("long-connections", min_duration=min_duration, limit=output.limit)
    print_list(LONG_CONNECTIONS, answer, output)
