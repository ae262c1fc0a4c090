"""A progress line on stderr: share, bytes, rate, time left; nothing when stderr is no terminal.

Drawn at most five times a second, so that it costs nothing. Limit: without a
known total (standard input) it shows bytes and rate only.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Self

from beacon_detect.cli.formats import clean, count, duration, size

CLEAR = "\x1b[K"
"""Empties the line behind the cursor."""
_EVERY = 0.2
_BAR = 24


class ProgressLine:
    """Shows how far the reading is; a context that removes its line at the end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = 0.0
        self._told: set[str] = set()

    def __call__(self, label: str, taken: int, total: int, records: int) -> None:
        """Show bytes read of all, and records so far."""
        now = time.monotonic()
        if not self._shown or now - self._drawn < _EVERY:
            return
        self._drawn = now
        text = progress_text(label, taken, total, records, now - self._started)
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{CLEAR}{text[:width]}")
        sys.stderr.flush()

    def tell(self, text: str) -> None:
        """Say something that stays, once; also where no progress is shown."""
        text = clean(text)
        if text not in self._told:
            self._told.add(text)
            sys.stderr.write(f"\r{CLEAR}{text}\n" if self._shown else f"{text}\n")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write(f"\r{CLEAR}")
            sys.stderr.flush()


def progress_text(label: str, taken: int, total: int, records: int, passed: float) -> str:
    """Return the line.

    Parameters
    ----------
    label
        The file being read.
    taken, total
        Bytes read and to read; 0 where the total is not known.
    records
        Records so far.
    passed
        Seconds since the start.
    """
    rate = taken / passed if passed > 0 else 0.0
    parts = [f"{size(taken)}", f"{size(rate)}/s", f"{count(records)} records", clean(label)]
    if not total:
        return "  ".join(parts)
    share = min(taken / total, 1.0)
    done = round(share * _BAR)
    left = duration((total - taken) / rate) if rate and taken < total else "0s"
    bar = "█" * done + "░" * (_BAR - done)
    parts[0] = f"{bar} {share:4.0%}  {size(taken)} of {size(total)}"
    parts.insert(2, f"{left} left")
    return "  ".join(parts)
