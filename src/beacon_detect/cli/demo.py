"""``beacon-detect demo``: a made-up day, its ranked list and its report, in a few seconds."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from beacon_detect.cli.formats import count

KNOWN = ("port 123", "domain mail.example")
"""The office's own regular services: entries as in the file of ``analyze --allow``."""


@click.command("demo")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), default="beacon-demo.html",
    show_default=True, metavar="FILE.html", help="Where to write the report.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
    help="Keep the made-up connections, too.",
)  # fmt: skip
@click.option("--open/--no-open", "show", default=True, help="Open the report in a browser.")
def command(report: Path, data: Path | None, show: bool) -> None:
    """Show what a hunt looks like, on made-up data.

    Makes a working day of a small office with four implants in it, prints the
    ranked list and writes the report. Nothing leaves this machine.

    \b
    Example:
      beacon-detect demo
      beacon-detect demo --data demo.csv --no-open && beacon-detect analyze demo.csv
    """
    from beacon_detect.cli.analyze import show_hunt
    from beacon_detect.hunt.allow import AllowList
    from beacon_detect.hunt.demo import write_demo
    from beacon_detect.hunt.run import HuntOptions, hunt

    with tempfile.TemporaryDirectory() as folder:
        path = data or Path(folder) / "office.csv"
        connections = write_demo(path)
        click.echo(f"a made-up day with {count(connections)} connections, {' and '.join(KNOWN)} allowed", err=True)  # fmt: skip
        allow = AllowList()
        for entry in KNOWN:
            allow.add(entry)
        found = hunt([str(path)], HuntOptions(least_score=0.5, allow=allow))
    show_hunt(found, report)
    if show and _has_browser():
        click.launch(report.resolve().as_uri())


def _has_browser() -> bool:
    """Tell whether there is a desktop; without one, opening prints a page of complaints."""
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
