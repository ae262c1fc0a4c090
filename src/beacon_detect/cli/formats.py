"""Values as people read them: percent, durations, counts, times; and text made safe to show.

Names of processes, containers and sensors come from outside. What is not
printable in them is replaced, so that they cannot drive a terminal, and a cell
of a CSV file cannot become a formula.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_STEPS = ((60.0, "s"), (60.0, "m"), (24.0, "h"))
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def clean(text: object) -> str:
    """Return text without characters that move a cursor, colour, or hide."""
    shown = "" if text is None else str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "�" for c in shown)


def csv_cell(value: object) -> object:
    """Return a value for a CSV file; text that a spreadsheet would calculate is quoted with '."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    text = "'" + text if text.startswith(_FORMULA) else text
    return clean(text)


def percent(share: float) -> str:
    """Return 0.942 as ``94.2%``."""
    return f"{share * 100:.1f}%"


def seconds(value: float) -> str:
    """Return an interval as ``60.0s``."""
    return f"{value:.1f}s"


def duration(value: float) -> str:
    """Return seconds as the largest unit that fits: ``42s``, ``12.5m``, ``2.5h``, ``3.2d``."""
    for size, unit in _STEPS:
        if value < size:
            return f"{value:.0f}s" if unit == "s" else f"{value:.1f}{unit}"
        value /= size
    return f"{value:.1f}d"


def span(value: float) -> str:
    """Return a length of time to a few digits: ``0.52s``, ``60s``, ``2.5m``, ``12.0h``."""
    return f"{value:.3g}s" if value < 120 else duration(value)


def count(value: int) -> str:
    """Return a number with separators: ``15,432``."""
    return f"{value:,}"


def size(value: float) -> str:
    """Return bytes as the largest unit that fits: ``512 B``, ``1.2 MiB``."""
    for unit in _BYTES[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_BYTES[-1]}"


def parse_moment(text: str) -> datetime:
    """Return a moment of the API (RFC 3339, UTC); ValueError when it is none."""
    return datetime.fromisoformat(text)


def local_time(text: str | None) -> str:
    """Return a moment of the API in this machine's time zone: ``2026-01-31 09:00:00``."""
    return f"{parse_moment(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else "never"


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago a moment of the API was: ``3s ago``."""
    if not text:
        return "never"
    passed = ((now or datetime.now(UTC)) - parse_moment(text)).total_seconds()
    return f"{duration(max(0.0, passed))} ago"


def reasons(steps: Any) -> str:
    """Return the steps from score to risk: ``prevalence -0.30: 40 of 50 hosts …; …``."""
    return clean("; ".join(f"{s['rule']} {s['delta']:+.2f}: {s['reason']}" for s in steps or ()))


def plain(value: Any) -> str:
    """Return any value as safe text; nothing for None."""
    return clean(value)
