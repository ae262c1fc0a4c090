"""The pictures as inline SVG, drawn for screen and paper, with a text for those who cannot see them.

No script and no font of ours: shapes and short labels only. Limit: sizes are
fixed; the page scales the whole picture.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import SPECTRUM_CHECK_INS
from beacon_detect.analysis.periodogram import CHANCE, CLOCK_POWER, periodogram
from beacon_detect.hunt.report.views import Raster, View, raster

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from beacon_detect.hunt.ranking import Row

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 8, 30
_INNER_W, _INNER_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
_BARS = 60
_SHOWN_INTERVALS = 3.2
"""Width of the interval histogram, in intervals."""


def nice_time(seconds: float) -> str:
    """Return seconds as a short label: ``0.5 s``, ``90 s``, ``15 min``, ``6 h``, ``2 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def nice_bytes(count: float) -> str:
    """Return bytes as a short label."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def nice_steps(top: float, wanted: int = 4) -> list[float]:
    """Return round values from 0 to ``top`` for an axis."""
    if top <= 0:
        return [0.0]
    raw = top / wanted
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= raw)
    return [i * step for i in range(int(top / step + 1e-9) + 1)]


def _text(x: float, y: float, label: str, anchor: str = "middle", kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{escape(label)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _svg(title: str, parts: Iterable[str], height: int = HEIGHT) -> str:
    inner = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inner}</svg>"
    )


def _frame(bottom: float = TOP + _INNER_H) -> str:
    return _line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis") + _line(
        LEFT, TOP, LEFT, bottom, "axis"
    )


def _y_axis(top: float, label: str, steps: Sequence[float], names: Sequence[str]) -> list[str]:
    parts = []
    for value, name in zip(steps, names, strict=True):
        y = TOP + _INNER_H * (1 - value / top)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y, "grid"), _text(LEFT - 5, y + 3, name, "end")]
    middle = TOP + _INNER_H / 2
    parts.append(
        f'<text transform="translate(11 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>'
    )
    return parts


def raster_chart(view: View, row: Row) -> str:
    """Draw every check-in as a tick, a few intervals a row: regular ones stand in columns."""
    folded: Raster = raster(view.times, row.interval)
    step = min(14.0, 216 / folded.rows)
    bottom = TOP + step * folded.rows
    parts = [_frame(bottom)]
    shape = _clock(folded.length)
    for i in range(0, folded.rows, math.ceil(folded.rows / 9)):
        moment = datetime.fromtimestamp(folded.start + i * folded.length, UTC)
        parts.append(_text(LEFT - 5, TOP + step * (i + 0.5) + 3, moment.strftime(shape), "end"))
    for part in range(5):
        x = LEFT + _INNER_W * part / 4
        label = f"+{nice_time(folded.length * part / 4)}" if part else "0"
        parts += [_line(x, TOP, x, bottom, "grid"), _text(x, bottom + 13, label, "end" if part == 4 else "middle")]  # fmt: skip
    xs = LEFT + folded.place * _INNER_W
    ys = TOP + folded.row * step
    path = "".join(
        f"M{x:.1f} {y + 0.12 * step:.1f}v{0.76 * step:.1f}"
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True)
    )
    parts.append(f'<path d="{path}" class="tick"/>')
    note = f"each row {folded.intervals} intervals, {nice_time(folded.length)}; rows begin at (UTC)"
    parts.append(_text(LEFT + _INNER_W / 2, bottom + 25, note))
    title = f"{len(view.times)} check-ins, each row {folded.intervals} intervals"
    return _svg(title, parts, round(bottom + BOTTOM))


def _clock(length: float) -> str:
    """Return how the beginning of a row of some seconds is written."""
    if length >= 43_200:
        return "%d %b"
    return "%H:%M" if length >= 120 else "%H:%M:%S"


def histogram_chart(view: View, row: Row) -> str:
    """Draw how often each interval occurred, with the band of the interval and its jitter."""
    top_x = max(row.interval * _SHOWN_INTERVALS, 1e-9)
    counts, _ = np.histogram(view.intervals, bins=_BARS, range=(0.0, top_x))
    beyond = int((view.intervals > top_x).sum())
    top = max(int(counts.max()), 1)
    steps = [s for s in nice_steps(top) if s == int(s)]
    parts = _y_axis(top, "intervals", steps, [f"{s:.0f}" for s in steps])
    low, high = (LEFT + _INNER_W * row.interval * (1 + way * row.jitter) / top_x for way in (-1, 1))
    parts.append(f'<rect x="{low:.1f}" y="{TOP}" width="{max(high - low, 1.5):.1f}" height="{_INNER_H}" class="band"/>')  # fmt: skip
    width = _INNER_W / _BARS
    for i in np.flatnonzero(counts).tolist():
        size = _INNER_H * int(counts[i]) / top
        parts.append(f'<rect x="{LEFT + i * width:.1f}" y="{TOP + _INNER_H - size:.1f}" width="{width - 0.6:.1f}" height="{size:.1f}" class="bar"/>')  # fmt: skip
    for multiple in (1, 2, 3):
        x = LEFT + _INNER_W * multiple / _SHOWN_INTERVALS
        parts.append(_text(x, TOP + _INNER_H + 13, nice_time(row.interval * multiple)))
        parts.append(_line(x, TOP + _INNER_H, x, TOP + _INNER_H + 3, "axis"))
    note = f"time between check-ins{f'; {beyond} longer' if beyond else ''}"
    parts += [_frame(), _text(LEFT + _INNER_W / 2, TOP + _INNER_H + 25, note)]
    return _svg(
        f"Histogram of {len(view.intervals)} intervals around {nice_time(row.interval)}", parts
    )


def periodogram_chart(view: View, row: Row) -> str:
    """Draw power against period, with the interval that was found and the line of chance."""
    found = periodogram(view.leading, row.interval)
    shortest, longest = math.log(found.periods[-1]), math.log(found.periods[0])
    highest, line = float(found.power.max()), found.chance_line
    # Room above for the name of the interval, which stands where the peak is.
    top = max(highest * 1.2, line * 1.1)
    bottom = TOP + _INNER_H

    def across(period: float) -> float:
        return LEFT + _INNER_W * (math.log(period) - shortest) / (longest - shortest)

    def up(power: float) -> float:
        return bottom - _INNER_H * power / top

    steps = nice_steps(top)
    parts = _y_axis(top, "power (random visits: 1)", steps, [f"{step:g}" for step in steps])
    for share in (2 / 3, 1.0, 1.5, 2.0, 4.0):
        x = across(row.interval * share)
        anchor = "end" if share == 4.0 else "middle"
        parts += [_line(x, bottom, x, bottom + 3, "axis"), _text(x, bottom + 13, nice_time(row.interval * share), anchor)]  # fmt: skip
    x = across(row.interval)
    parts += [_line(x, TOP, x, bottom, "found"), _text(x + 5, TOP + 9, f"interval {nice_time(row.interval)}", "start", "found")]  # fmt: skip
    points = zip(found.periods[::-1].tolist(), found.power[::-1].tolist(), strict=True)
    curve = "L".join(f"{across(period):.1f} {up(power):.1f}" for period, power in points)
    parts.append(f'<path d="M{curve}" class="curve"/>')
    parts.append(_line(LEFT, up(line), WIDTH - RIGHT, up(line), "alarm"))
    words = f"at most {CHANCE * 100:.0f} of 100 random series is higher"
    if line > max(CLOCK_POWER, highest):
        words = "chance line: out of reach for so few check-ins"
    beside = up(line) + (-5 if line < highest else 13)
    parts.append(_text(WIDTH - RIGHT, beside, words, "end", "alarm"))
    count = min(len(view.leading), SPECTRUM_CHECK_INS)
    newest = "newest " if count < len(view.leading) else ""
    whole = len(view.leading) == len(view.intervals)
    note = f"period (log); {count} {newest}intervals{'' if whole else ' of the leading episode'}"
    parts += [_frame(), _text(LEFT + _INNER_W / 2, bottom + 25, note)]
    side = "above" if highest > line else "below"
    return _svg(
        f"Periodogram around {nice_time(row.interval)}; its peak, at"
        f" {nice_time(float(found.periods[found.power.argmax()]))}, is {side} the line of chance",
        parts,
    )


def sizes_chart(view: View) -> str:
    """Draw bytes sent and received with each check-in, in order."""
    biggest = int(max(view.bytes_out.max(), view.bytes_in.max(), 1))
    top = biggest * 1.06 + 1
    middle = np.median(np.concatenate([view.bytes_out, view.bytes_in])) + 1
    logarithmic = biggest > 30 * middle

    def place(values: NDArray[np.int64]) -> NDArray[np.float64]:
        share = np.log1p(values) / math.log1p(top) if logarithmic else values / top
        ys: NDArray[np.float64] = TOP + _INNER_H * (1 - share)
        return ys

    if logarithmic:
        steps = [10.0**i for i in range(1 + int(math.log10(biggest)))]
        shares = [math.log1p(s) / math.log1p(top) for s in steps]
    else:
        steps = nice_steps(biggest)
        shares = [s / top for s in steps]
    parts = _y_axis(
        1.0, "log bytes" if logarithmic else "bytes", shares, [nice_bytes(s) for s in steps]
    )
    count = len(view.bytes_out)
    xs = LEFT + _INNER_W * (np.arange(count) + 0.5) / count
    size = 2.0 if count < 150 else 1.3
    for values, kind in ((view.bytes_in, "received"), (view.bytes_out, "sent")):
        points = zip(xs.tolist(), place(values).tolist(), strict=True)
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        parts.append(f'<path d="{dots}" class="dot {kind}" stroke-width="{2 * size}"/>')
    parts += [_frame(), _text(LEFT, TOP + _INNER_H + 13, "first"), _text(WIDTH - RIGHT, TOP + _INNER_H + 13, "last", "end")]  # fmt: skip
    parts.append(_text(LEFT + _INNER_W / 2 - 34, TOP + _INNER_H + 25, "● sent", "middle", "sent"))
    parts.append(
        _text(LEFT + _INNER_W / 2 + 34, TOP + _INNER_H + 25, "● received", "middle", "received")
    )
    return _svg(f"Bytes of {count} check-ins, at most {nice_bytes(biggest)}", parts)


def timeline_chart(rows: Sequence[Row], start: int, end: int) -> str:
    """Draw when each listed pair was active within the whole input."""
    step = 16
    bottom = TOP + step * len(rows)
    span = max(end - start, 1)
    parts = [_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
    for i, row in enumerate(rows):
        low, high = (_INNER_W * (t - start) / span for t in (row.first_seen, row.last_seen))
        y = TOP + step * i
        parts.append(_text(LEFT - 5, y + 11, f"#{i + 1}", "end"))
        parts.append(f'<rect x="{LEFT + low:.1f}" y="{y + 3}" width="{max(high - low, 2):.1f}" height="9" class="sev {row.severity.lower()}"/>')  # fmt: skip
    for part in range(4):
        moment = datetime.fromtimestamp((start + span * part / 3) / 1e9, UTC)
        anchor = ("start", "middle", "middle", "end")[part]
        parts.append(_text(LEFT + _INNER_W * part / 3, bottom + 13, moment.strftime("%d %b %H:%M"), anchor))  # fmt: skip
    return _svg("When each pair was active", parts, bottom + 20)
