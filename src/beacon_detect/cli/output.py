"""Prints lists: a table for people, CSV, JSON or JSON lines for programs.

A list is declared once, as columns; every format derives from them. Data goes
to stdout and talk to stderr, colour only to a terminal. JSON is the API's
answer unchanged and pure ASCII; CSV headers are the API's field names.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.formats import csv_cell, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORMATS = ("table", "csv", "json", "jsonl")
TABLE_LIMIT = 100
MAX_LIMIT = 10_000
"""Most entries the API gives in one answer."""

_COLOURS = {"CRITICAL": "1;31", "HIGH": "31", "MEDIUM": "33", "LOW": "2"}


@dataclass(frozen=True)
class Column:
    """One field of a list.

    Parameters
    ----------
    key
        Name in the API and in the CSV header; empty for a column of the table only.
    title
        Head of the column in the table; empty where the table leaves it away.
    width
        Least width in the table, with the space behind it.
    show
        Turns the value (of ``key``, or the whole row where it is empty) into text.
    cell
        Turns the value into what CSV holds.
    """

    key: str
    title: str = ""
    width: int = 0
    show: Callable[[Any], str] = plain
    cell: Callable[[Any], object] = csv_cell


@dataclass(frozen=True)
class Listing:
    """A list of the API: the field with its rows, its columns, and what to say when it is empty."""

    name: str
    columns: tuple[Column, ...]
    empty: str


@dataclass(frozen=True)
class Output:
    """The chosen format and limit."""

    format: str
    limit: int


def list_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb ``--limit``, ``--csv`` and ``-o``; it gets them as one argument ``output``."""

    @click.option(
        "--limit",
        type=click.IntRange(1, MAX_LIMIT),
        metavar="COUNT",
        help=f"Most results to show  [default: {TABLE_LIMIT} in a table, else {MAX_LIMIT}]",
    )
    @click.option("--csv", "as_csv", is_flag=True, help="Print CSV; the same as -o csv.")
    @click.option(
        "-o", "--output", "name", type=click.Choice(FORMATS), is_flag=False, flag_value="csv",
        help="Format: table, csv, json (the API's answer) or jsonl (one object a line);"
        " -o alone means csv  [default: table]",
    )  # fmt: skip
    @wraps(command)
    def with_output(
        *arguments: Any, limit: int | None, as_csv: bool, name: str | None, **options: Any
    ) -> None:
        if as_csv and name not in {None, "csv"}:
            raise click.UsageError(f"--csv and -o {name} contradict each other")
        shown = "csv" if as_csv else name or "table"
        most = limit or (TABLE_LIMIT if shown == "table" else MAX_LIMIT)
        command(*arguments, output=Output(shown, most), **options)

    return with_output


def print_list(listing: Listing, answer: Mapping[str, Any], output: Output) -> None:
    """Print the rows of an answer in the chosen format; tell on stderr when there are more."""
    rows: list[dict[str, Any]] = answer[listing.name]
    total = answer.get("total", len(rows))
    match output.format:
        case "json":
            click.echo(json.dumps(answer, indent=2))
        case "jsonl":
            for row in rows:
                click.echo(json.dumps({"schema": answer["schema"], **row}))
        case "csv":
            click.echo(csv_text(listing, rows), nl=False)
        case _ if rows:
            click.echo("\n".join(table_lines(listing.columns, rows, colour=use_colour())))
    if not rows and output.format == "table":
        click.echo(listing.empty, err=True)
    elif total > len(rows) or (len(rows) == output.limit and "total" not in answer):
        of = f" of {total:,}" if total > len(rows) else ""
        click.echo(f"the first {len(rows):,}{of} are shown; --limit COUNT shows more", err=True)


def csv_text(listing: Listing, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header line, lines ended by a newline alone."""
    columns = [column for column in listing.columns if column.key]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in columns)
    writer.writerows([column.cell(row.get(column.key)) for column in columns] for row in rows)
    return text.getvalue()


def table_lines(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, colour: bool
) -> list[str]:
    """Return a table: heads, a rule under each, and the rows, two spaces from the left."""
    shown = [column for column in columns if column.title]
    cells = [[_cell(column, row) for column in shown] for row in rows]
    widths = [
        max(column.width, len(column.title) + 2, *(len(line[i]) + 2 for line in cells), 0)
        for i, column in enumerate(shown)
    ]

    def line(texts: Sequence[str]) -> str:
        return "  " + "".join(map(str.ljust, texts, widths)).rstrip()

    lines = [line([c.title for c in shown]), line(["-" * len(c.title) for c in shown])]
    for row, texts in zip(rows, cells, strict=True):
        text = line(texts)
        lines.append(paint(text, row.get("severity")) if colour else text)
    return lines


def paint(text: str, severity: str | None) -> str:
    """Return text in the colour of a severity."""
    colour = _COLOURS.get(severity or "")
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _cell(column: Column, row: Mapping[str, Any]) -> str:
    return column.show(row.get(column.key) if column.key else row)


def use_colour() -> bool:
    """Return whether stdout is a terminal that shows colour (https://no-color.org)."""
    plain_terminal = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain_terminal
