"""``beacon-detect replay``: feeds files through a running control plane, as a sensor would."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.file_options import hunt_options, reading_options
from beacon_detect.cli.formats import count
from beacon_detect.cli.progress import ProgressLine

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session


@click.command("replay")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--speed", type=click.FloatRange(0), default=60.0, show_default=True, metavar="FACTOR",
    help="How many times as fast as it happened; 0: as fast as it goes.",
)  # fmt: skip
@click.option(
    "--now", "to_now", is_flag=True,
    help="Shift the times so that the last is now; without it old records fall to the retention.",
)  # fmt: skip
@reading_options
@click.pass_obj
def command(
    session: Session, /, paths: tuple[str, ...], speed: float, to_now: bool, **options: Any
) -> None:
    """Feed captures and logs through a control plane.

    The records arrive as from a sensor called "replay": starts, bursts and
    ends, in the order of time, so that alerting and the console can be tried
    on a known case. Ctrl-C ends it.

    \b
    Example:
      beacon-detect server                                (in one terminal)
      beacon-detect replay capture.pcap --now --speed 600 (in another)
    """
    from beacon_detect.hunt.replay import Pace, Sender, record, shifted

    with ProgressLine() as progress:
        reading = replace(hunt_options(options), tell=progress.tell)
        events, moments = record(paths, reading, progress).events()
    if not len(moments):
        click.echo("nothing to replay: no connection in the input", err=True)
        return
    if to_now:
        by = time.time_ns() - int(moments[-1])
        events, moments = shifted(events, by), moments + by
    seconds = (int(moments[-1]) - int(moments[0])) / 1e9
    if speed:
        click.echo(f"{count(len(moments))} events of {seconds / 3600:.1f} h, {seconds / speed:.0f} s to go", err=True)  # fmt: skip
    sent = 0
    with Sender(session.url, session.token()) as sender:
        for low, high in Pace(speed).batches(moments):
            sender.send(events.slice(low, high - low))
            sent = high
    click.echo(f"{count(sent)} events sent to {session.server}", err=True)
