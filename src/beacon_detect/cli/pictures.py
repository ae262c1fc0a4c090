"""Pictures made of characters: bars, a histogram, a raster, a sparkline.

Block characters where the output can carry them, ASCII where it cannot. All are
plain text without colour. Limit: a picture shows shape, not numbers; those
stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Palette:
    """The characters to draw with, each row from nothing to full."""

    levels: str
    """Heights of a column."""
    shades: str
    """Densities of a cell."""
    bar: str
    window: str
    arrow: str
    tick: str


BLOCKS = Palette(" ▁▂▃▄▅▆▇█", " ·░▒▓█", "█", "═", "→", "┴")
ASCII = Palette(" .:-=+*%#", " .:+*#", "#", "=", "->", "+")


def palette_for(encoding: str | None) -> Palette:
    """Return the characters that an output of this encoding can carry."""
    try:
        "".join((BLOCKS.levels, BLOCKS.shades, BLOCKS.window, BLOCKS.arrow, BLOCKS.tick)).encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def _step(value: float, most: float, steps: int) -> int:
    """Return the step of 0 to ``steps`` that a value reaches; anything above 0 is seen."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, min(steps, round(value / most * steps)))


def sparkline(values: Sequence[float], palette: Palette) -> str:
    """Return values as columns of one line."""
    most = max(values, default=0)
    steps = len(palette.levels) - 1
    return "".join(palette.levels[_step(value, most, steps)] for value in values)


def shaded(values: Sequence[float], most: float, palette: Palette) -> str:
    """Return values as cells of one line, each as dense as its share of ``most``."""
    steps = len(palette.shades) - 1
    return "".join(palette.shades[_step(value, most, steps)] for value in values)


def columns(values: Sequence[float], height: int, palette: Palette) -> list[str]:
    """Return values as columns, ``height`` lines high, the top line first."""
    most = max(values, default=0)
    steps = len(palette.levels) - 1
    reached = [_step(value, most, height * steps) for value in values]
    return [
        "".join(palette.levels[min(max(top - line * steps, 0), steps)] for top in reached)
        for line in range(height - 1, -1, -1)
    ]


def bar(value: float, most: float, width: int, palette: Palette) -> str:
    """Return a bar from the left, at most ``width`` characters for ``most``."""
    return palette.bar * _step(abs(value), most, width)


def merged(values: Sequence[int], by: int) -> list[int]:
    """Return the sums of every ``by`` neighbours."""
    return [sum(values[i : i + by]) for i in range(0, len(values), by)]


def counts_in(values: Sequence[float], low: float, high: float, cells: int) -> list[int]:
    """Count the values in equal cells of ``low`` to ``high``; those outside are left out."""
    counts = [0] * cells
    for value in values:
        if low <= value <= high and high > low:
            counts[min(int((value - low) / (high - low) * cells), cells - 1)] += 1
    return counts


def axis(ticks: Sequence[tuple[int, str]], width: int) -> str:
    """Return labels, each beginning at its place; those that would touch another are left out."""
    line = ""
    for place, label in sorted(ticks):
        if len(line) <= place and place + len(label) <= width:
            line = line.ljust(place) + label + " "
    return line.rstrip()
