"""The page: summary, ranked list, and a section for each finding with its pictures and evidence.

One file, no script, no request to anywhere: it can be mailed, opened offline
and printed. Everything that came from the network is escaped. Limit: pictures
for the first :data:`DETAILED` findings; the list holds all that were asked for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect import __version__
from beacon_detect.analysis.severity import CUT_OFFS, SEVERITIES
from beacon_detect.hunt.report import charts
from beacon_detect.hunt.report.views import View, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.context import Adjustment
    from beacon_detect.hunt.ranking import Row
    from beacon_detect.hunt.run import Hunt

DETAILED = 25
TIMELINE_ROWS = 25
REGULAR = 0.5
"""Score from which a pair is said to check in regularly; below it, more often than not it does not."""
ALERT = CUT_OFFS[-1][0]
"""Risk from which a pair is more than LOW."""
SERIES_TEXTS = {
    "connections": "connections",
    "bursts": "bursts inside open connections",
    "name": "all connections of the source with the name, whatever the address",
}
_LONGEST_UNBROKEN = len("255.255.255.255:65535 icmpv6")
STYLE = Path(__file__).with_name("style.css")


def write_report(found: Hunt, rows: Sequence[Row], path: Path) -> None:
    """Write the report of a hunt.

    Parameters
    ----------
    found
        The hunt.
    rows
        The rows to list, best first.
    path
        Where to write; replaced only when the whole page was written.
    """
    text = render(found, rows, datetime.now(UTC))
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def render(found: Hunt, rows: Sequence[Row], now: datetime) -> str:
    """Return the page."""
    # Pairs that the row of their name explains would count twice.
    found = replace(found, rows=[row for row in found.rows if not row.covered])
    shown = rows[:DETAILED]
    sections = [
        _finding(rank, row, view)
        for rank, (row, view) in enumerate(
            zip(shown, views(found.collector, shown), strict=True), 1
        )
    ]
    body = "".join(
        [_header(found, now), _summary(found, rows), _table(found, rows), *sections, _method(), _inputs(found)]
    )  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Beacon report</title><style>{STYLE.read_text('utf-8')}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def moment(ns: int) -> str:
    """Return a time of the capture for people, in UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _header(found: Hunt, now: datetime) -> str:
    state = (
        " The reading was interrupted: this is what was read until then."
        if found.interrupted
        else ""
    )
    return (
        "<header><p class=brand>Beacon Detect</p><h1>Beacon report</h1>"
        f"<p class=meta>{now:%Y-%m-%d %H:%M} UTC, version {escape(__version__)}.{state}</p></header>"
    )


def _summary(found: Hunt, rows: Sequence[Row]) -> str:
    pairs = found.collector.pairs
    counts = {name: sum(row.severity == name for row in found.rows) for name in SEVERITIES}
    cards = "".join(
        f'<div class="card {name.lower()}"><b>{count}</b><span>{name.capitalize()}</span></div>'
        for name, count in counts.items()
    )
    facts = [
        ("Connections and bursts", f"{found.collector.records:,}"),
        ("Pairs", f"{len(pairs):,}"),
        ("Pairs scored", f"{found.scored:,}"),
        ("Left out by the allow file", f"{found.allowed:,}"),
    ]
    lead = "Nothing was found." if not rows else _lead(found)
    timeline = ""
    if len(pairs) and pairs.column("connections").any():
        first, last = int(pairs.column("first_seen").min()), int(pairs.column("last_seen").max())
        facts.insert(0, ("From", moment(first)))
        facts.insert(1, ("To (UTC)", moment(last)))
        if rows:
            drawn = rows[:TIMELINE_ROWS]
            begin, end = min(r.first_seen for r in drawn), max(r.last_seen for r in drawn)
            picture = charts.timeline_chart(drawn, begin, end)
            timeline = f"<figure><figcaption>When the listed pairs were active</figcaption>{picture}</figure>"
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return (
        f"<section class=summary><div><p class=lead>{lead}</p><div class=cards>{cards}</div>"
        f"<dl class=facts>{listed}</dl></div>{timeline}</section>"
    )


def _lead(found: Hunt) -> str:
    alerts = [row for row in found.rows if row.risk >= ALERT]
    if not alerts:
        regular = any(row.score >= REGULAR for row in found.rows)
        said = "is of medium risk or higher" if regular else "checks in regularly"
        return f"None of {len(found.rows):,} listed pairs {said}.{_explained(found.rows)}"
    top = alerts[0]
    from_sources = len({row.src for row in alerts})
    place = f"{top.addresses:,} addresses" if top.addresses > 1 else top.dst
    name = f" ({escape(top.name)})" if top.name else ""
    return (
        f"{len(alerts):,} {'pair is' if len(alerts) == 1 else 'pairs are'} of medium risk or higher,"
        f" from {from_sources:,} {'source' if from_sources == 1 else 'sources'}. First of them is"
        f" {escape(top.src)} to {escape(place)}{name}, every {charts.nice_time(top.interval)}."
        f"{_explained(found.rows)}"
    )


def _explained(rows: Sequence[Row]) -> str:
    """Say how many pairs are no finding because of what surrounds them."""
    count = sum(row.score >= ALERT > row.risk for row in rows)
    if not count:
        return ""
    return (
        f" Context explains {count:,} {'pair' if count == 1 else 'pairs'} that timing alone"
        " would have put among them."
    )


def _badge(row: Row) -> str:
    return f'<span class="badge {row.severity.lower()}">{row.severity.capitalize()}</span>'


def _destination(row: Row) -> str:
    if row.addresses > 1:
        several = f"<br><span class=name>{row.addresses:,} addresses</span>"
        return f"{_address(f'{row.name}:{row.dport} {row.proto}')}{several}"
    at = f"[{row.dst}]:{row.dport}" if ":" in row.dst else f"{row.dst}:{row.dport}"
    name = f"<br><span class=name>{escape(row.name)}</span>" if row.name else ""
    return f"{_address(f'{at} {row.proto}')}{name}"


def _address(text: str) -> str:
    """Return an address that is not broken over lines, unless it is as long as IPv6 may be."""
    kind = "" if len(text) > _LONGEST_UNBROKEN else " class=addr"
    return f"<span{kind}>{escape(text)}</span>"


def _table(found: Hunt, rows: Sequence[Row]) -> str:
    if not rows:
        return f"<section><h2>Ranked list</h2><p>{escape(found.why_empty)}.</p></section>"
    lines = "".join(
        f"<tr><td class=n>{_link(rank, rank)}</td><td class=n>{row.risk:.0%}</td><td class=n>{row.score:.0%}</td>"
        f"<td>{_badge(row)}</td><td>{_address(row.src)}</td><td>{_destination(row)}</td>"
        f"<td class=n>{row.check_ins:,}</td><td class=n>{charts.nice_time(row.interval)} ±{row.jitter:.0%}</td>"
        f"<td class=why>{_why(row)}</td></tr>"
        for rank, row in enumerate(rows, 1)
    )
    more = len(found.rows) - len(rows)
    note = f"<p class=note>{more:,} more pairs are not listed.</p>" if more > 0 else ""
    return (
        "<section><h2>Ranked list</h2><div class=wide><table><thead><tr><th class=n>#<th class=n>Risk<th class=n>Score<th>Severity<th>Source"
        f"<th>Destination<th class=n>Check-ins<th class=n>Interval<th>What moved the risk most</tr></thead><tbody>{lines}</tbody></table></div>{note}</section>"
    )


def _why(row: Row) -> str:
    """Return the strongest step from score to risk."""
    return _step(row.reasons[0]) if row.reasons else "nothing: the timing alone"


def _step(reason: Adjustment) -> str:
    kind = "down" if reason.delta < 0 else "up"
    return f"<span class={kind}>{reason.delta:+.2f}</span> {escape(reason.reason)}"


def _context(row: Row) -> str:
    """Return the way from score to risk, strongest step first."""
    if not row.reasons:
        return "<p class=context>No context moved it: the risk is the score.</p>"
    verb = "lowers" if row.risk < row.score else "raises"
    steps = "".join(f"<li>{_step(reason)}</li>" for reason in row.reasons)
    return (
        f"<div class=context><p>Context {verb} the risk from {row.score:.1%} (the score) to"
        f" <b>{row.risk:.1%}</b>:</p><ul>{steps}</ul></div>"
    )


def _link(rank: int, text: object) -> str:
    return f'<a href="#f{rank}">{text}</a>' if rank <= DETAILED else str(text)


def _finding(rank: int, row: Row, view: View) -> str:
    pictures = (
        ("Check-ins, folded at the interval", charts.raster_chart(view, row)),
        ("Intervals", charts.histogram_chart(view, row)),
        ("Periodogram of the check-ins", charts.periodogram_chart(view, row)),
        ("Bytes per check-in", charts.sizes_chart(view)),
    )
    figures = "".join(f"<figure><figcaption>{t}</figcaption>{p}</figure>" for t, p in pictures)
    facts = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _facts(row, view))
    name = f" <span class=name>{escape(row.name)}</span>" if row.name else ""
    place = f"{row.addresses:,} addresses" if row.addresses > 1 else f"{row.dst}:{row.dport}"
    return (
        f'<section class=finding id="f{rank}"><h2><span class=rank>{rank}</span>{escape(row.src)}'
        f" <span class=arrow>to</span> {escape(place)} <small>{escape(row.proto)}</small>{name}{_badge(row)}</h2>"
        f"<p class=evidence>{escape(row.evidence)}.</p>{_context(row)}<div class=figures>{figures}</div>"
        f"<dl class=facts>{facts}</dl></section>"
    )


def _facts(row: Row, view: View) -> list[tuple[str, str]]:
    hours = (row.last_seen - row.first_seen) / 1e9
    return [
        ("Risk, score", f"{row.risk:.0%}, {row.score:.0%} (base {row.base_score:.0%})"),
        ("Parts of the base score", f"variation {row.cv_score:.0%}, periodicity {row.periodicity_score:.0%}, jitter {row.jitter_score:.0%}"),
        ("Interval", f"{charts.nice_time(row.interval)} ±{row.jitter:.0%}, cv {row.cv:.2f}"),
        ("Check-ins", f"{row.check_ins:,}, {row.missed:,} more explained as missed"),
        ("Series", SERIES_TEXTS[row.series]),
        ("Connections", f"{row.connections:,}, {row.connections_per_check_in:.1f} per check-in"),
        ("Active", f"{moment(row.first_seen)} to {moment(row.last_seen)} ({charts.nice_time(hours)})"),
        ("Bytes", f"{charts.nice_bytes(row.bytes_out)} sent, {charts.nice_bytes(row.bytes_in)} received; {_size_note(view)}"),
        ("Prevalence", (f"{row.sources:,} {'source talks' if row.sources == 1 else 'sources talk'} to this destination;"
         f" this source talks to {row.destinations:,} {'destination' if row.destinations == 1 else 'destinations'}")),
        ("Direction", row.direction),
    ]  # fmt: skip


def _size_note(view: View) -> str:
    """Say how alike the sizes of the check-ins are: implants send the same again and again."""
    values, counts = np.unique(view.bytes_out, return_counts=True)
    share = int(counts.max()) / len(view.bytes_out)
    if share >= 0.5:
        return (
            f"{share:.0%} of the check-ins sent {charts.nice_bytes(int(values[counts.argmax()]))}"
        )
    return f"{len(values):,} different sizes sent"


def _method() -> str:
    return (
        "<section class=method><h2>How to read this</h2><p>A check-in is one wake-up of a program: one connection, or several"
        " close together. The score says how regular the check-ins of a pair are; it does not say whether the program is wanted."
        " Updates, time services, telemetry and monitoring are regular, too. The risk is the score after what surrounds a pair"
        " was weighed: each rule adds a step below or above 0 and says why. Steps below 0 take that share of the score away;"
        " steps above 0 go part of the way to 100 %. Severity and order follow the risk. Nothing is hidden: what is explained"
        " stands further down. Look at the destination, at how many sources talk to it, and at what the sizes do. In the first picture of a finding each tick is a check-in and each row a few intervals:"
        " regular ones stand in columns. The band in the second is the interval with its jitter. In the third the curve shows how"
        " strongly the check-ins follow each period: about 1 in random visits, and a peak above the dashed line is hardly chance. A curve"
        " below it says nothing: jitter beyond about 30 % flattens the peak, fewer than some 25 check-ins cannot reach the"
        " line, and the score weighs the intervals, too. Missed check-ins are gaps that are a multiple of the interval.</p></section>"
    )


def _inputs(found: Hunt) -> str:
    lines = "".join(
        f"<tr><td>{escape(account.label)}</td><td>{escape(account.format)}</td><td class=n>{account.records:,}</td>"
        f"<td>{escape('; '.join(f'{count:,} {reason}' for reason, count in account.problems.counts.items()) or 'none')}</td></tr>"
        for account in found.files
    )
    unknown = (
        f"<p class=note>Not read: {escape('; '.join(f'{label}: {what}' for label, what in found.unknown.items()))}.</p>"
        if found.unknown
        else ""
    )
    return (
        "<section><h2>What was read</h2><div class=wide><table><thead><tr><th>File<th>Format<th class=n>Records<th>Not used</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>{unknown}</section>"
    )
