"""Options of the verbs that read files: how to read them, what time, whose networks, what is known.

One definition, so that an option means the same wherever it is taken. What the
readers and the analysis need is imported when the options are used.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from beacon_detect.cli.options import since_moment

if TYPE_CHECKING:
    from beacon_detect.hunt.run import HuntOptions

F = TypeVar("F", bound=Callable[..., Any])


class _Moment(click.ParamType[int]):
    """A moment as nanoseconds: how long ago (``15m``), or a date or time."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the moment."""
        try:
            moment = since_moment(value, datetime.now(UTC))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither like 15m, 2h nor like 2026-01-31T08:00Z", param, ctx)
        return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


class _Network(click.ParamType[str]):
    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the network as it was written."""
        import ipaddress

        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            self.fail(f"{value!r} is no network like 10.0.0.0/8", param, ctx)
        return str(value)


class _Mapping(click.ParamType[tuple[str, str]]):
    name = "mapping"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return our column and the file's."""
        from beacon_detect.readers.csv_file import SYNONYMS

        ours, _, theirs = str(value).partition("=")
        if ours not in SYNONYMS or not theirs:
            self.fail(
                f"{value!r} is not like NAME=COLUMN; names: {', '.join(SYNONYMS)}", param, ctx
            )
        return ours, theirs


_TIME = (
    click.option("--since", type=_Moment(), metavar="WHEN", help="Leave out what was earlier."),
    click.option(
        "--until", type=_Moment(), metavar="WHEN", help="Leave out what was then or later."
    ),
)
_CONTEXT = (
    click.option("--no-context", is_flag=True, help="Use timing alone: the risk is the score."),
    click.option(
        "--internal", multiple=True, type=_Network(), metavar="NETWORK",
        help="A network of your own, for context and directions; may be repeated"
        "  [default: private ones]",
    ),
    click.option(
        "--allow", type=click.Path(path_type=Path), metavar="FILE",
        help="File of known traffic to leave out: addresses, ports, domains, pairs.",
    ),
)  # fmt: skip
_READING = (
    click.option(
        "--format", "form", metavar="NAME", default="",
        help="Take every file for this format instead of looking at its content.",
    ),
    click.option(
        "--map", "columns", multiple=True, type=_Mapping(), metavar="NAME=COLUMN",
        help="Column of a CSV file, for example ts=when; may be repeated.",
    ),
)  # fmt: skip


def reading_options(command: F) -> F:
    """Give a verb ``--format`` and ``--map``."""
    for option in reversed(_READING):
        command = option(command)
    return command


def file_options(command: F) -> F:
    """Give a verb every option about files that :func:`hunt_options` understands."""
    for option in reversed((*_TIME, *_CONTEXT)):
        command = option(command)
    return command


def hunt_options(options: dict[str, Any]) -> HuntOptions:
    """Return what the options of a verb ask for; those it does not take keep their default.

    Raises
    ------
    DataError
        The allow file cannot be read, or a line of it is no entry.
    """
    from beacon_detect.context import ContextSettings
    from beacon_detect.hunt.allow import read_allow_file
    from beacon_detect.hunt.ranking import INTERNAL
    from beacon_detect.hunt.run import HuntOptions

    allow = options.get("allow")
    return HuntOptions(
        format=options["form"],
        columns=dict(options["columns"]),
        since_ns=options.get("since"),
        until_ns=options.get("until"),
        context=ContextSettings(enabled=not options.get("no_context", False)),
        allow=read_allow_file(allow) if allow else None,
        internal=options.get("internal") or INTERNAL,
    )
