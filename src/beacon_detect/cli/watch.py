"""``beacon-detect watch``: the beacons, live, with new and worsened ones marked.

On a terminal a screen that renews itself, elsewhere one plain report an
interval. A control plane that goes away is said so, and asked again.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.beacons import BEACONS
from beacon_detect.cli.client import Client
from beacon_detect.cli.formats import ago, count, duration
from beacon_detect.cli.options import SEVERITIES, Number
from beacon_detect.cli.output import MAX_LIMIT, TABLE_LIMIT, Column, paint, table_lines, use_colour
from beacon_detect.errors import BeaconError, PermissionMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.cli.session import Session

ANSWER_SECONDS = 10.0
MARK_SECONDS = 60.0
"""How long a mark stays: a look away from the screen should not miss it (taste)."""

WORSE_STEP = 0.02
"""Rise of the risk that counts as worse; smaller ones are noise of a growing series (taste)."""

_COLUMNS = (
    Column("mark", "MARK", 7),
    *(column for column in BEACONS.columns if column.title),
    Column("last_seen", "LAST SEEN", 12, ago),
)
_NARROW = tuple(replace(column, width=0) for column in _COLUMNS)
_LEFT_AWAY = ("last_seen", "protocol", "connections", "severity")
"""Columns that a narrow terminal goes without, one after the other."""

_ADDRESS = 18
"""Characters of an address where even that leaves no room for what it does."""


def _shortened(address: str) -> str:
    """Return an address without its middle where it is long; ``beacons`` shows it whole."""
    if len(address) <= _ADDRESS:
        return address
    half = _ADDRESS // 2
    return f"{address[: half - 1]}…{address[-half:]}"


def _short(column: Column) -> Column:
    """Return a column that shows its addresses shortened."""
    whole = column.show
    return replace(column, show=lambda value: _shortened(whole(value)))


_LAYOUTS = (
    _COLUMNS,
    *(
        tuple(column for column in _NARROW if column.key not in _LEFT_AWAY[:number])
        for number in range(len(_LEFT_AWAY) + 1)
    ),
    tuple(
        _short(column) if column.title in {"SOURCE IP", "DEST IP"} else column
        for column in _NARROW
        if column.key not in _LEFT_AWAY
    ),
)


class Marks:
    """Remembers findings between refreshes and tells which are new, worse or back."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] | None = None
        self._marks: dict[str, tuple[str, float]] = {}

    def of(self, beacons: Sequence[dict[str, Any]], now: float) -> dict[str, str]:
        """Return the mark of each finding that has one, by id; the first list has none.

        ``now`` is any clock in seconds that only rises.
        """
        known = self._known
        if known is None:
            self._known = {beacon["id"]: beacon for beacon in beacons}
            return {}
        for beacon in beacons:
            before = known.get(beacon["id"])
            mark = "NEW" if before is None else _change(before, beacon)
            if mark:
                self._marks[beacon["id"]] = (mark, now)
            # What crept up slowly is measured from where it was last marked.
            known[beacon["id"]] = beacon if mark or before is None else before | _state(beacon)
        self._marks = {
            key: (mark, since)
            for key, (mark, since) in self._marks.items()
            if now - since < MARK_SECONDS
        }
        return {key: mark for key, (mark, _) in self._marks.items()}


def _change(before: dict[str, Any], beacon: dict[str, Any]) -> str:
    rank = SEVERITIES.index
    if (
        rank(beacon["severity"]) < rank(before["severity"])
        or round(beacon["risk"] - before["risk"], 6) >= WORSE_STEP
    ):
        return "WORSE"
    return "BACK" if (before["state"], beacon["state"]) == ("silent", "active") else ""


def _state(beacon: dict[str, Any]) -> dict[str, Any]:
    return {"state": beacon["state"]}


@dataclass
class View:
    """What the last refreshes brought, ready to be drawn."""

    server: str
    interval: float
    status: dict[str, Any] | None = None
    beacons: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    offline: str = ""
    """Why the last refresh failed; empty when it did not."""
    offline_since: datetime | None = None
    marks: Marks = field(default_factory=Marks)

    def refresh(self, client: Client, limit: int) -> None:
        """Ask the control plane; keep what is known when it cannot be reached."""
        try:
            status = client.get("status")
            answer = client.get("beacons", limit=limit)
        except PermissionMissingError:
            raise
        except BeaconError as error:
            self.offline = error.message
            self.offline_since = self.offline_since or datetime.now().astimezone()
            return
        self.offline, self.offline_since = "", None
        marks = self.marks.of(answer["beacons"], time.monotonic())
        self.status, self.total = status, answer["total"]
        self.beacons = [
            beacon | {"mark": marks.get(beacon["id"], "")} for beacon in answer["beacons"]
        ]

    def lines(self, width: int, height: int, *, colour: bool) -> list[str]:
        """Return the screen, at most ``height`` lines of ``width`` characters."""
        head = [self._state_line(), *self._counter_lines(), ""]
        table = self._table(width)
        room = max(0, height - len(head) - 3)
        shown = table[: room if len(table) <= room else room - 1]
        hidden = self.total - max(0, len(shown) - 2)
        foot = [] if self.beacons else ["  no beacons (yet)"]
        if self.beacons and hidden > 0:
            foot = [f"  … and {count(hidden)} more"]
        lines = [line[:width] for line in (*head, *shown, *foot, "", self._foot())]
        if colour:
            first = len(head) + 2
            for index, beacon in enumerate(self.beacons[: max(0, len(shown) - 2)]):
                severity = "" if self.offline else beacon["severity"]
                lines[first + index] = paint(lines[first + index], severity)
        return lines

    def report(self) -> list[str]:
        """Return the same for a file or pipe: everything, without the hint on keys."""
        table = table_lines(_COLUMNS, self.beacons, colour=False) if self.beacons else []
        return [self._state_line(), *self._counter_lines(), "", *table, ""]

    def _table(self, width: int) -> list[str]:
        """Return the table in the widest layout that fits, else in the narrowest."""
        if not self.beacons:
            return []
        tables = (table_lines(layout, self.beacons, colour=False) for layout in _LAYOUTS)
        for table in tables:
            if max(map(len, table)) <= width:
                break
        return table

    def _state_line(self) -> str:
        clock = f"{datetime.now().astimezone():%H:%M:%S}"
        if self.offline_since:
            since = f"{self.offline_since:%H:%M:%S}"
            return f"  Beacon Detect  {self.server}  ✗ OFFLINE since {since}  {clock}"
        uptime = duration(self.status["uptime_seconds"]) if self.status else ""
        return f"  Beacon Detect  {self.server}  ✓ LIVE  up {uptime}  {clock}"

    def _counter_lines(self) -> list[str]:
        if self.offline:
            return [f"  {self.offline}; trying again"]
        if self.status is None:
            return []
        sensors = self.status["sensors"]
        counters = {
            "events": self.status["events_received"],
            "pairs": self.status["connection_pairs"],
            "beacons": self.status["beacons_detected"],
            "alerts": self.status["alerts_generated"],
            "sensors": len(sensors),
            "lost": sum(sensor["lost"] for sensor in sensors),
        }
        return ["  " + " · ".join(f"{name} {count(n)}" for name, n in counters.items())]

    def _foot(self) -> str:
        return f"  every {self.interval:g} s; Ctrl-C or q ends"


@click.command("watch")
@click.option(
    "--interval", type=Number(0.2, 86_400), default=5, show_default=True,
    metavar="SECONDS", help="Time between two refreshes.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=TABLE_LIMIT, show_default=True,
    metavar="COUNT", help="Most beacons to follow.",
)  # fmt: skip
@click.pass_obj
def command(session: Session, interval: float, limit: int) -> None:
    """Watch beacons live; Ctrl-C ends it.

    Findings that turned up since the start are marked NEW for a minute, those
    that rose WORSE, those that were silent and returned BACK. Where stdout is
    no terminal (or a dumb one), one plain report an interval is printed.

    \b
    Example:
      beacon-detect watch --interval 2
    """
    view = View(session.server, interval)
    try:
        with Client(session, answer_seconds=ANSWER_SECONDS) as client:
            if sys.stdout.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}:
                _live(view, client, limit)
            else:
                _plain(view, client, limit)
    except KeyboardInterrupt:
        return


def _live(view: View, client: Client, limit: int) -> None:
    from beacon_detect.cli.screen import Screen

    # Asked before the screen is taken: a wrong token is told where it can be read.
    view.refresh(client, limit)
    with Screen() as screen:
        while True:
            width, height = shutil.get_terminal_size()
            screen.show(view.lines(width, height, colour=use_colour()))
            if screen.wait(view.interval):
                return
            view.refresh(client, limit)


def _plain(view: View, client: Client, limit: int) -> None:
    while True:
        view.refresh(client, limit)
        click.echo("\n".join(view.report()))
        time.sleep(view.interval)
