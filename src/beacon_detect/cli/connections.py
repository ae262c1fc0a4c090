"""``beacon-detect connections``: every tracked pair, most connections first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import ago, count, percent, size
from beacon_detect.cli.output import Column, Listing, Output, list_options, print_list

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session


def _score(score: float | None) -> str:
    return "-" if score is None else percent(score)


CONNECTIONS = Listing(
    "connections",
    (
        Column("src_ip", "SOURCE IP", 20),
        Column("dst_ip", "DEST IP", 20),
        Column("dst_port", "PORT", 7),
        Column("protocol", "PROTO", 7),
        Column("connections", "CONNS", 10, count),
        Column("bytes_out", "SENT", 11, size),
        Column("bytes_in", "RECEIVED", 11, size),
        Column("last_seen", "LAST SEEN", 12, ago),
        Column("score", "SCORE", 8, _score),
        Column("process", "PROCESS"),
        *map(Column, ("first_seen", "executable", "container", "sensor", "name", "direction")),
    ),
    "no connections (yet): is a sensor running? `beacon-detect status` shows the sensors",
)


@click.command("connections")
@click.option("--src-ip", metavar="ADDRESS", help="Only pairs with this source address.")
@click.option("--dst-ip", metavar="ADDRESS", help="Only pairs with this destination address.")
@list_options
@click.pass_obj
def command(
    session: Session,
    src_ip: str | None,
    dst_ip: str | None,
    output: Output,
) -> None:
    """Show all tracked pairs, most connections first.

    A pair is a source, a destination, its port and a protocol; SCORE is the
    highest score of its findings, if any.

    \b
    Example:
      beacon-detect connections --limit 50
      beacon-detect connections --dst-ip 203.0.113.50 -o json
    """
    with Client(session) as client:
        answer = client.get("connections", src_ip=src_ip, dst_ip=dst_ip, limit=output.limit)
    print_list(CONNECTIONS, answer, output)
