"""A picture as SVG: shapes, labels and one style sheet for light and dark pages.

The report of a hunt draws for a page that brings its own style; these files stand alone
inside a forge's page.  Each has an opaque ground, because a forge's dark mode and the
browser's need not agree.  Blue against orange is told apart by the colour-blind too, and
no meaning rests on colour alone.  Limit: the width of text is guessed, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDTH = 800
"""Every picture is this many pixels wide: a forge shows a page at about that width."""
_LIGHT = {
    "paper": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "rule": "#dfe4e8", "mark": "#b4bcc6", "axis": "#818b98",
    "beacon": "#0b5f9e", "tint": "#cfe3f4", "faint": "#e9f2fa", "chance": "#b34700", "haze": "#fbe3d0", "rest": "#8c959f",
}  # fmt: skip
_DARK = {
    "paper": "#0d1117", "ink": "#f0f6fc", "soft": "#a5adb6", "rule": "#262c36", "mark": "#4a525d", "axis": "#7d8590",
    "beacon": "#5cb8f0", "tint": "#173f5f", "faint": "#11263a", "chance": "#f0a04b", "haze": "#4a2f14", "rest": "#7d8590",
}  # fmt: skip
_FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif'
_SHAPES = (
    f"text{{font:13px {_FONT}}}.strong{{font-weight:650}}.small{{font-size:12px}}"
    ".stroke,.ring,.dash{fill:none}.stroke{stroke-width:2;stroke-linejoin:round}"
    ".thin{stroke-width:1}.dash{stroke-width:1.5;stroke-dasharray:5 4}.ring{stroke-width:1.5}"
)
_SHAPE_KINDS = ("stroke", "ring", "dash", "thin")


def _colours(palette: dict[str, str]) -> str:
    """Return the rules that give every class its colour, as a fill or as a stroke."""
    strokes = ",".join(f".{{0}}.{kind}" for kind in _SHAPE_KINDS)
    rules = [f"text{{fill:{palette['ink']}}}"]
    for name, colour in palette.items():
        rules.append(f".{name}{{fill:{colour}}}")
        rules.append(f"{strokes.format(name)}{{fill:none;stroke:{colour}}}")
    return "".join(rules)


STYLE = _SHAPES + _colours(_LIGHT) + f"@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"


def number(value: float) -> str:
    """Return a coordinate with one digit at most, without a sign before zero."""
    return f"{round(value, 1) + 0.0:g}"


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the map from values ``low`` to ``high`` to pixels ``start`` to ``end``."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


@dataclass
class Picture:
    """Shapes on an opaque ground.

    Parameters
    ----------
    height
        Pixels.
    title
        One line that names the picture for those who cannot see it.
    """

    height: int
    title: str
    _parts: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        label: str | Iterable[tuple[str, str]],
        kind: str = "",
        anchor: str = "start",
    ) -> None:
        """Write a label; pairs of words and kind make pieces of different looks."""
        pieces = [(label, "")] if isinstance(label, str) else label
        inner = "".join(
            f'<tspan class="{look}">{escape(words)}</tspan>' if look else escape(words)
            for words, look in pieces
        )
        mark = f' class="{kind}"' if kind else ""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{number(x)}" y="{number(y)}"{where}{mark}>{inner}</text>')

    def upright(self, x: float, y: float, label: str, kind: str = "soft") -> None:
        """Write a label from bottom to top, its middle at a point."""
        self._parts.append(
            f'<text transform="translate({number(x)} {number(y)}) rotate(-90)"'
            f' text-anchor="middle" class="{kind}">{escape(label)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line."""
        self.path([(x1, y1), (x2, y2)], kind)

    def path(
        self, points: Iterable[tuple[float, float]], kind: str, *, close: bool = False
    ) -> None:
        """Draw a line through points, or the area inside them."""
        d = "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self._parts.append(f'<path d="M{d}{"Z" if close else ""}" class="{kind}"/>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a filled rectangle."""
        self._parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" class="{kind}"/>'
        )

    def ring(self, x: float, y: float, kind: str, radius: float = 3.0) -> None:
        """Draw a small circle."""
        self._parts.append(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="{kind}"/>'
        )

    def ticks(self, xs: Iterable[float], y: float, height: float, width: float, kind: str) -> None:
        """Draw upright strokes as one shape: one for each x, down from y."""
        half = width / 2
        d = "".join(
            f"M{number(x - half)} {number(y)}h{number(width)}v{number(height)}h-{number(width)}z"
            for x in xs
        )
        if d:
            self._parts.append(f'<path d="{d}" class="{kind}"/>')

    def band(
        self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], kind: str
    ) -> None:
        """Fill what lies between two curves."""
        edge = [*zip(xs, lows, strict=True), *reversed(list(zip(xs, highs, strict=True)))]
        self.path(edge, kind, close=True)

    def x_axis(
        self,
        marks: Iterable[float],
        across: Callable[[float], float],
        ends: tuple[float, float],
        bottom: float,
    ) -> None:
        """Draw a line from end to end with a named mark for each value."""
        for value in marks:
            x = across(value)
            self.line(x, bottom, x, bottom + 4, "axis thin")
            self.text(x, bottom + 18, f"{value:g}", "soft small", "middle")
        self.line(ends[0], bottom, ends[1], bottom, "axis thin")

    def y_axis(
        self, marks: Iterable[float], up: Callable[[float], float], ends: tuple[float, float]
    ) -> None:
        """Draw a pale line from end to end for each value, its name to the left."""
        for value in marks:
            self.line(ends[0], up(value), ends[1], up(value), "rule thin")
            self.text(ends[0] - 8, up(value) + 4, f"{value:g}", "soft small", "end")

    def render(self) -> str:
        """Return the file: one shape a line, so that a change shows what changed."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}"'
            f' viewBox="0 0 {WIDTH} {self.height}" role="img">'
        )
        ground = f'<rect width="{WIDTH}" height="{self.height}" rx="6" class="paper"/>'
        made = "<!-- Made by `make figures`; do not edit. -->"
        title = f"<title>{escape(self.title)}</title>"
        style = f"<style>{STYLE}</style>"
        return "\n".join([head, made, title, style, ground, *self._parts, "</svg>"]) + "\n"
