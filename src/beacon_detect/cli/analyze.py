"""``beacon-detect analyze``: captures and logs to a ranked, explained list.

No server, no root, no configuration. What the readers and the analysis need is
imported when the verb runs.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.file_options import file_options, hunt_options, reading_options
from beacon_detect.cli.formats import clean, count, percent
from beacon_detect.cli.options import SEVERITIES
from beacon_detect.cli.output import Column, table_lines, use_colour
from beacon_detect.cli.progress import ProgressLine
from beacon_detect.errors import BeaconError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.hunt.ranking import Row
    from beacon_detect.hunt.run import Hunt, HuntOptions

TABLE_ROWS = 25
SHOWN_UNKNOWN = 3
TABLE_SCORE = 0.5
"""What the table shows unless told otherwise; programs get everything that was scored."""


@click.command("analyze")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "-o",
    "--output",
    "output",
    default="table",
    show_default=True,
    type=click.Choice(("table", "json", "jsonl", "csv")),
    help="Format of the list.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a report, too: one self-contained page with pictures.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    metavar="SCORE",
    help=f"Least score listed  [default: {TABLE_SCORE} in a table, else 0]",
)
@click.option(
    "--min-risk",
    type=click.FloatRange(0, 1),
    metavar="RISK",
    default=0.0,
    help="Least risk listed  [default: 0, so context orders the list and hides nothing]",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="COUNT",
    help=f"Most pairs listed  [default: {TABLE_ROWS} in a table, else all]",
)
@file_options
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES, case_sensitive=False),
    metavar="SEVERITY",
    help="Exit with code 10 when a pair of this severity or worse is listed.",
)
@reading_options
def command(paths: tuple[str, ...], **options: Any) -> None:  # fmt: skip
    """Find beacons in captures and logs.

    PATH is a file, a folder, a pattern or - (standard input); compressed files
    are read as they are, and formats are told by content.

    \b
    Example:
      beacon-detect analyze capture.pcap
      beacon-detect analyze /opt/zeek/logs/2026-01-* --report report.html
      beacon-detect analyze flows.csv.gz -o json --min-score 0.7 > beacons.json
    """
    found = _hunt(paths, options)
    table = options["output"] == "table"
    limit = options["limit"] or (TABLE_ROWS if table else None)
    rows = _plain(found) if table else found.rows
    _print(found, rows[:limit], options["output"])
    if options["report"] is not None:
        _write_report(found, _plain(found)[:limit], options["report"])
    if table:
        _tell_covered(found)
    _tell(found, left=len(rows) - len(rows[:limit]))
    code = _exit_code(found, paths, options["fail_on"])
    if code:
        click.get_current_context().exit(code)


def _hunt(paths: Sequence[str], options: dict[str, Any]) -> Hunt:
    from beacon_detect.hunt.run import hunt

    with ProgressLine() as progress:
        return hunt(paths, replace(_options(options), tell=progress.tell), progress)


def _options(options: dict[str, Any]) -> HuntOptions:
    least = options["min_score"]
    if least is None:
        least = TABLE_SCORE if options["output"] == "table" else 0.0
    return replace(hunt_options(options), least_score=least, least_risk=options["min_risk"])


def _print(found: Hunt, rows: Sequence[Row], output: str) -> None:
    from beacon_detect.hunt import export

    match output:
        case "json":
            export.write_json(found, rows, sys.stdout)
        case "jsonl":
            export.write_jsonl(rows, sys.stdout)
        case "csv":
            export.write_csv(rows, sys.stdout)
        case _ if rows:
            shown = [export.row_object(rank, row) for rank, row in enumerate(rows, 1)]
            click.echo("\n".join(table_lines(COLUMNS, shown, colour=use_colour())))


def _plain(found: Hunt) -> list[Row]:
    """Return the rows for people: without the pairs that the row of their name explains."""
    return [row for row in found.rows if not row.covered]


def show_hunt(found: Hunt, report: Path) -> None:
    """Print the first rows of a hunt as a table and write its report."""
    rows = _plain(found)
    shown = rows[:TABLE_ROWS]
    _print(found, shown, "table")
    _write_report(found, shown, report)
    _tell(found, left=len(rows) - len(shown))


def _interval(row: dict[str, Any]) -> str:
    from beacon_detect.analysis.evidence import duration

    return f"{duration(row['interval'])} ±{row['jitter']:.0%}"


def _destination(row: dict[str, Any]) -> str:
    if row["addresses"] > 1:
        return clean(f"{row['name']}:{row['dport']} ({row['addresses']} addresses)")
    at = f"[{row['dst']}]:{row['dport']}" if ":" in row["dst"] else f"{row['dst']}:{row['dport']}"
    return f"{at} {clean(row['name'])}" if row["name"] else at


def _reason(row: dict[str, Any]) -> str:
    """Return what the other columns do not say already, what moved the risk most first."""
    told = row["reasons"][0]["rule"] if row["reasons"] else ""
    parts = [clean(row["reasons"][0]["reason"])] if told else []
    if row["missed"]:
        parts.append(f"{row['missed']} missed")
    if row["connections_per_check_in"] >= 1.5 and told != "parallel_connections":
        parts.append(f"{row['connections_per_check_in']:.1f} connections each")
    if row["series"] == "bursts":
        parts.append("inside open connections")
    if row["series"] == "name":
        parts.append("the addresses of one name together")
    parts.append(f"cv {row['cv']:.2f}")
    if told != "prevalence":
        parts.append("1 source" if row["sources"] == 1 else f"{count(row['sources'])} sources")
    return ", ".join(parts)


COLUMNS = (
    Column("rank", "#"),
    Column("risk", "RISK", show=percent),
    Column("score", "SCORE", show=percent),
    Column("severity", "SEVERITY"),
    Column("src", "SOURCE"),
    Column("", "DESTINATION", show=_destination),
    Column("proto", "PROTO"),
    Column("check_ins", "CHECK-INS", show=count),
    Column("", "INTERVAL", show=_interval),
    Column("", "REASON", show=_reason),
)


def _tell(found: Hunt, *, left: int) -> None:
    """Say on stderr what the list does not: what was read, what was lost, why it is empty.

    ``left`` rows were more than the limit.
    """
    collector = found.collector
    for account in found.files:
        for what, rows in account.problems.useless.items():
            click.echo(f"{clean(account.label)}: {count(rows)} {clean(what)}", err=True)
        for reason, lost in account.problems.counts.items():
            click.echo(f"{clean(account.label)}: {count(lost)} not used: {reason}", err=True)
        said = {f"{account.label}: {reason}" for reason in account.problems.counts}
        for example in account.problems.examples:
            if example not in said:
                click.echo(f"  {clean(example)}", err=True)
    for label, what in list(found.unknown.items())[:SHOWN_UNKNOWN]:
        click.echo(f"{clean(label)}: {what}", err=True)
    if len(found.unknown) > SHOWN_UNKNOWN:
        more = count(len(found.unknown) - SHOWN_UNKNOWN)
        click.echo(f"{more} more files are in no format that is read", err=True)
    kept = f"the newest {count(collector.kept_check_ins)} of a pair are kept"
    for dropped, what in (
        (
            collector.dropped_check_ins,
            f"oldest check-ins of very long series were left out: {kept}",
        ),
        (
            collector.forgotten,
            "pairs with few connections and long silent were forgotten: too many pairs",
        ),
        (collector.names.dropped, "names were left out: too many"),
        (collector.names.unplaced, "names were left out: their connections are not in the input"),
    ):
        if dropped:
            click.echo(f"{count(dropped)} {what}", err=True)
    if found.interrupted:
        click.echo("interrupted: this is what was read until then", err=True)
    if not found.rows:
        click.echo(f"nothing to list: {found.why_empty}", err=True)
        return
    click.echo(
        f"{count(collector.records)} records, {count(len(collector.pairs))}"
        f" {'pair' if len(collector.pairs) == 1 else 'pairs'},"
        f" {count(found.scored)} scored, {count(len(found.rows))} listed"
        + (f", {count(found.allowed)} allowed" if found.allowed else "")
        + (f"; the last {count(left)} not shown (--limit)" if left else ""),
        err=True,
    )


def _tell_covered(found: Hunt) -> None:
    """Say how many pairs the table leaves out for the row of their name."""
    covered = sum(row.covered for row in found.rows)
    if covered:
        click.echo(
            f"{count(covered)} {'pair is' if covered == 1 else 'pairs are'} not in the table: the row"
            " of their name says the same; -o json lists them too",
            err=True,
        )


def _exit_code(found: Hunt, paths: Sequence[str], fail_on: str | None) -> int:
    """Return how the command ends; files of a folder may be anything, named ones may not."""
    from beacon_detect.hunt.run import UNREADABLE

    if found.interrupted:
        return ExitCode.INTERRUPTED
    if fail_on is not None:
        wanted = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
        if any(row.severity in wanted for row in found.rows):
            return ExitCode.FOUND
    named = {str(Path(path)) for path in paths} | {"standard input"}
    unusable = not named.isdisjoint(found.unknown) or (found.unknown and not found.files)
    if any(a.format == UNREADABLE and a.label in named for a in found.files):
        return ExitCode.PERMISSION
    broken = any(account.problems.total for account in found.files)
    if unusable or (broken and not found.collector.records):
        return ExitCode.DATA
    return ExitCode.OK


def _write_report(found: Hunt, rows: Sequence[Row], path: Path) -> None:
    from beacon_detect.hunt.report.page import write_report

    try:
        write_report(found, rows, path)
    except OSError as error:
        raise BeaconError(f"{path}: the report cannot be written: {error.strerror}") from error
    click.echo(f"report written: {path}", err=True)
