"""An explanation on the screen: verdict, numbers, reasons and pictures, eighty columns wide.

Made from the API's answer alone, so that a pair in files looks as a live one
does. Names from outside are shown without control characters.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from beacon_detect.cli.formats import (
    clean,
    count,
    local_time,
    parse_moment,
    percent,
    size,
    span,
)
from beacon_detect.cli.output import paint
from beacon_detect.cli.pictures import (
    ASCII,
    Palette,
    axis,
    bar,
    columns,
    counts_in,
    merged,
    shaded,
    sparkline,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Answer = Mapping[str, Any]

LEFT = 15
"""Where the pictures begin; their labels stand before."""
HISTOGRAM_LINES = 5
RASTER_LINES = 12
EPISODE_LINES = 8
SHARE_WIDTH = 12
LEAST_SHARE = 0.1
"""Shares of log odds that would round to nothing are left out."""
_LABEL = 20


def explanation_lines(answer: Answer, width: int, palette: Palette, *, colour: bool) -> list[str]:
    """Return the screen of an explanation.

    Parameters
    ----------
    answer
        What the API answers to ``/explain``.
    width
        Columns of the screen.
    palette
        Characters to draw with.
    colour
        Whether the verdict is painted.
    """
    measured = answer["measured"]
    parts = [
        _head(answer, palette),
        _verdict(answer, width, colour=colour),
        *([] if measured is None else _measured(measured, width, palette)),
    ]
    lines: list[str] = []
    for part in parts:
        lines += [*part, ""] if part else []
    lines.pop()
    return [line.replace("±", "+-") for line in lines] if palette is ASCII else lines


def _measured(measured: Answer, width: int, palette: Palette) -> list[list[str]]:
    rhythm = measured["rhythm"]
    numbers = [] if rhythm is None else [
        _numbers(rhythm, measured, width),
        _context(rhythm["reasons"], width),
        _shares(rhythm, palette),
    ]  # fmt: skip
    return [
        *numbers,
        _intervals(measured, width, palette),
        _episodes(measured, palette),
        _activity(measured, width, palette),
    ]


def _head(answer: Answer, palette: Palette) -> list[str]:
    dst = clean(answer["dst_ip"])
    at = f"[{dst}]:{answer['dst_port']}" if ":" in dst else f"{dst}:{answer['dst_port']}"
    name = f"  {clean(answer['name'])}" if answer["name"] else ""
    if answer["addresses"] > 1:
        name += f" ({count(answer['addresses'])} addresses)"
    lines = [f"{clean(answer['src_ip'])} {palette.arrow} {at}/{clean(answer['protocol'])}{name}"]
    process = clean(answer["process"])
    if process:
        place = f", {clean(answer['executable'])}" if answer["executable"] else ""
        lines.append(f"{process} (pid {answer['pid']}){place}")
    where = [("container", answer["container"]), ("sensor", answer["sensor"]), ("", answer["direction"]), ("id", answer["id"])]  # fmt: skip
    said = [f"{label} {clean(text)}".strip() for label, text in where if text]
    if said:
        lines.append(", ".join(said))
    sent, received = size(answer["bytes_out"]), size(answer["bytes_in"])
    lines += [
        f"{count(answer['connections'])} connections, {sent} sent, {received} received",
        f"from {local_time(answer['first_seen'])} to {local_time(answer['last_seen'])}",
    ]
    return [f"  {line}" for line in lines]


def _verdict(answer: Answer, width: int, *, colour: bool) -> list[str]:
    reasons, rhythm = answer["why_not"], (answer["measured"] or {}).get("rhythm")
    # Files have no finding; what was measured speaks for them.
    told = answer["finding"] or rhythm or {}
    lines = _wrapped(clean(answer["verdict"]), width, "  ")
    if colour:
        lines = [paint(line, told["severity"] if answer["flagged"] else "LOW") for line in lines]
    if answer["flagged"]:
        lines += _wrapped(clean(told["evidence"]), width, "  ")
    for reason in reasons:
        # The sentence gives the first reason already.
        if reason not in answer["verdict"]:
            lines += _wrapped(f"- {clean(reason)}", width, "    ", "  ")
    return lines


def _wrapped(text: str, width: int, indent: str, more: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + more, break_long_words=False
    )


def _numbers(rhythm: Answer, measured: Answer, width: int) -> list[str]:
    parts = [
        f"{name} {percent(rhythm[f'{name}_score'])}" for name in ("cv", "periodicity", "jitter")
    ]
    rows = [
        ("score, risk", f"{percent(rhythm['score'])}, {percent(rhythm['risk'])} ({rhythm['severity']})"),
        ("base score", f"{percent(rhythm['base_score'])}: {', '.join(parts)}"),
        ("interval", _interval(rhythm)),
        ("jitter", f"±{rhythm['jitter']:.0%}, cv {rhythm['cv']:.2f}"),
        ("check-ins", _check_ins(rhythm, measured)),
        ("densest window", _window(rhythm["window"])),
        ("dominant period", f"{span(rhythm['dominant_period_seconds'])}, by chance at most {rhythm['false_alarm']:.2g}"),
    ]  # fmt: skip
    if rhythm["second_window"] is not None:
        rows.append(("second window", _window(rhythm["second_window"])))
    if rhythm["size_regularity"] is not None:
        rows.append(("sizes", f"{rhythm['size_regularity']:.0%} alike"))
    lines = ["  MEASURED NOW"]
    for label, text in rows:
        lines += _wrapped(f"{label:<{_LABEL}}{text}", width, "  ", " " * _LABEL)
    return lines


def _interval(rhythm: Answer) -> str:
    interval, sleep = rhythm["interval_seconds"], rhythm["configured_sleep_seconds"]
    hint = "" if span(interval) == span(sleep) else f"; suggests a sleep of {span(sleep)}"
    return f"{span(interval)}{hint}"


def _check_ins(rhythm: Answer, measured: Answer) -> str:
    missed = f", {count(rhythm['missed_check_ins'])} missed" if rhythm["missed_check_ins"] else ""
    each = rhythm["connections_per_check_in"]
    several = f", {each:.1f} events each" if each >= 1.05 else ""
    return (
        f"{count(rhythm['check_ins'])}{missed}{several}, out of {count(measured['events'])} events"
    )


def _window(window: Answer) -> str:
    expected = window["expected"]
    chance = "" if expected is None else f" (a random source: at most {count(expected)})"
    low, high = span(window["low_seconds"]), span(window["high_seconds"])
    return f"{low} to {high}: {count(window['count'])} intervals{chance}"


def _context(reasons: Sequence[Answer], width: int) -> list[str]:
    if not reasons:
        return []
    lines = ["  CONTEXT"]
    for step in reasons:
        text = f"{step['delta']:+.2f} {clean(step['rule'])}: {clean(step['reason'])}"
        lines += _wrapped(text, width, "  ", "      ")
    return lines


def _shares(rhythm: Answer, palette: Palette) -> list[str]:
    """Return what speaks for a beacon and against it, as bars."""
    lines: list[str] = []
    for name, title in (
        ("compared_with_random", "MORE OF A BEACON THAN RANDOM TRAFFIC BY (log odds)"),
        ("compared_with_clock", "LESS OF A BEACON THAN A CLOCK BY (log odds)"),
    ):
        way = 1 if name == "compared_with_random" else -1
        groups = [g for g in rhythm[name]["groups"] if way * g["log_odds"] >= LEAST_SHARE]
        if not groups:
            continue
        most = max(abs(group["log_odds"]) for group in groups)
        lines += ["", f"  {title}"] if lines else [f"  {title}"]
        lines += [
            f"  {bar(group['log_odds'], most, SHARE_WIDTH, palette):<{SHARE_WIDTH}}"
            f" {group['log_odds']:+5.1f}  {clean(group['meaning'])}"
            for group in groups
        ]
    return lines


def _intervals(measured: Answer, width: int, palette: Palette) -> list[str]:
    """Return the histogram of the intervals and under it, to the same scale, when they were."""
    bars = measured["histogram"]
    if not sum(bars["counts"]):
        return []
    room = width - LEFT - 1
    by = -(-len(bars["counts"]) // room)
    counts = merged(bars["counts"], by)
    edges = [*bars["edges_seconds"][:-1:by], bars["edges_seconds"][-1]]
    beyond = f"; {count(bars['longer'])} too long to be drawn" if bars["longer"] else ""
    total = sum(bars["counts"]) + bars["longer"]
    lines = [f"  TIME BETWEEN CHECK-INS ({count(total)} intervals{beyond})"]
    labels = [count(max(counts)), *[""] * (HISTOGRAM_LINES - 1)]
    for label, line in zip(labels, columns(counts, HISTOGRAM_LINES, palette), strict=True):
        lines.append(_row(label, line))
    marks = _marks(bars["multiples"], by, palette)
    if marks.strip():
        lines.append(_row("", marks))
    lines.append(_row("", axis(_ticks(measured, edges), len(counts) + 8)))
    if marks.strip():
        several = "; digits: multiples of the interval" if marks.strip(f" {palette.window}") else ""
        lines.append(_row("", f"{palette.window} densest window{several}"))
    return lines + _raster(measured, edges, palette)


def _row(label: str, picture: str) -> str:
    return f"  {label:>{LEFT - 3}} {picture}".rstrip()


def _marks(multiples: Sequence[int], by: int, palette: Palette) -> str:
    """Return which columns lie in the window or at a multiple."""
    line = ""
    for i in range(0, len(multiples), by):
        known = [multiple for multiple in multiples[i : i + by] if multiple]
        line += " " if not known else palette.window if min(known) == 1 else str(min(known))
    return line


def _ticks(measured: Answer, edges: Sequence[float]) -> list[tuple[int, str]]:
    """Return labels at the interval and its multiples, or at both ends."""
    rhythm = measured["rhythm"]
    top = edges[-1]
    if rhythm is None:
        return [(0, "0s"), (len(edges) - 2, span(top))]
    interval = rhythm["interval_seconds"]
    wanted = [0.0, *(k * interval for k in range(1, int(top / interval) + 1))]
    return [(_cell(value, edges), span(value) if value else "0s") for value in wanted]


def _cell(value: float, edges: Sequence[float]) -> int:
    """Return the cell that a value lies in; the last for what lies beyond."""
    inside = sum(edge <= value for edge in edges) - 1
    return min(max(inside, 0), len(edges) - 2)


def _raster(measured: Answer, edges: Sequence[float], palette: Palette) -> list[str]:
    """Return a line for each span of time, with a mark at every interval in it."""
    times = list(_leading(measured))
    if len(times) < 3:
        return []
    start, end = times[0], times[-1]
    rows = min(RASTER_LINES, len(times) - 1)
    cells = [[0] * (len(edges) - 1) for _ in range(rows)]
    for before, after in pairwise(times):
        if after - before < edges[-1]:
            line = min(int((after - start) / (end - start) * rows), rows - 1)
            cells[line][_cell(after - before, edges)] += 1
    most = max(max(row) for row in cells)
    lines = [
        "",
        f"  AND WHEN (a line is {span((end - start) / rows)}; a beacon is a vertical line)",
    ]
    shape = "%d %b %H:%M" if (end - start) / rows >= 60 else "%H:%M:%S"
    for number, row in enumerate(cells):
        moment = datetime.fromtimestamp(start + number * (end - start) / rows, UTC).astimezone()
        lines.append(_row(moment.strftime(shape), shaded(row, most, palette)))
    return lines


def _leading(measured: Answer) -> Iterator[float]:
    """Yield the check-ins of the leading episode; all where there is none."""
    first, last = 0.0, float("inf")
    if measured["rhythm"] is not None:
        episode = measured["episodes"][0]
        # Moments have microseconds; a millisecond of room keeps the ends in.
        first = parse_moment(episode["start"]).timestamp() - 1e-3
        last = parse_moment(episode["end"]).timestamp() + 1e-3
    yield from (moment for moment in measured["check_in_times"] if first <= moment <= last)


def _episodes(measured: Answer, palette: Palette) -> list[str]:
    total = measured["episodes_total"]
    lines: list[str] = []
    if total > 1:
        lines.append(f"  EPISODES ({count(total)}; the first is the one scored)")
        lines += [_episode(episode) for episode in measured["episodes"][:EPISODE_LINES]]
        if total > EPISODE_LINES:
            lines.append(f"  and {count(total - EPISODE_LINES)} more")
    lines += [
        f"  {local_time(change['at'])}: the sleep changed, {span(change['before_seconds'])}"
        f" {palette.arrow} {span(change['after_seconds'])}"
        for change in measured["sleep_changes"][-EPISODE_LINES:]
    ]
    return lines


def _episode(episode: Answer) -> str:
    start, end = (local_time(episode[side])[:16] for side in ("start", "end"))
    return (
        f"  {start} to {end}  {percent(episode['score']):>6}  {count(episode['check_ins']):>6}"
        f" every {span(episode['interval_seconds'])} ±{episode['jitter']:.0%}"
    )


def _activity(measured: Answer, width: int, palette: Palette) -> list[str]:
    """Return when the pair was active over the whole record."""
    times = measured["check_in_times"]
    if len(times) < 2 or times[-1] <= times[0]:
        return []
    cells = width - LEFT - 1
    counts = counts_in(times, times[0], times[-1], cells)
    ends = [
        f"{datetime.fromtimestamp(moment, UTC).astimezone():%d %b %H:%M}"
        for moment in (times[0], times[-1])
    ]
    gap = " " * max(cells - len(ends[0]) - len(ends[1]), 1)
    return [
        f"  ALL CHECK-INS ({count(len(times))} over {span(times[-1] - times[0])})",
        _row("", sparkline(counts, palette)),
        _row("", f"{ends[0]}{gap}{ends[1]}"),
    ]
