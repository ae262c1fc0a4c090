"""Pictures stand alone: legible on light and dark, their coordinates as drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from docs.figures.svg import Picture, number, scale

from docs.figures import svg

READABLE = 4.5
"""Contrast that WCAG 2.2 wants of text (1.4.3)."""
VISIBLE = 3.0
"""Contrast that WCAG 2.2 wants of shapes (1.4.11)."""
PALETTES = {"light": svg._LIGHT, "dark": svg._DARK}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_words_and_shapes_stand_out_from_the_ground(palette: dict[str, str]) -> None:
    for name in ("ink", "soft", "beacon", "chance"):
        assert contrast(palette[name], palette["paper"]) >= READABLE, name
    for name in ("rest", "axis"):
        assert contrast(palette[name], palette["paper"]) >= VISIBLE, name


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_the_two_sides_differ_without_red_and_green(palette: dict[str, str]) -> None:
    # The blue part is what all but the rarest kind of colour blindness sees.
    blue = {name: int(palette[name][5:7], 16) for name in ("beacon", "chance")}

    assert blue["beacon"] - blue["chance"] > 100


def test_both_grounds_colour_the_same_things() -> None:
    assert svg._LIGHT.keys() == svg._DARK.keys()
    assert svg._LIGHT["paper"] in svg.STYLE.split("@media")[0]
    assert svg._DARK["paper"] in svg.STYLE.split("@media (prefers-color-scheme:dark)")[1]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (-0.04, "0"), (3.0, "3"), (2.345, "2.3"), (-1.26, "-1.3")]
)
def test_coordinates_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_a_scale_maps_its_ends() -> None:
    up = scale(0, 2, 100, 20)

    assert [up(0), up(1), up(2)] == [100, 60, 20]


def test_words_are_escaped_and_shapes_kept_in_order() -> None:
    picture = Picture(50, "a < b")
    picture.text(1, 2, [("x & y", "strong"), (" z", "")], anchor="end")
    picture.band([0, 10], [5, 6], [1, 2], "tint")
    picture.ticks([], 0, 5, 1, "rest")
    root = ET.fromstring(picture.render())
    shapes = [element.tag.rpartition("}")[2] for element in root]

    assert shapes == ["title", "style", "rect", "text", "path"]
    assert root[0].text == "a < b"
    assert "".join(root[3].itertext()) == "x & y z"
    assert root[4].get("d") == "M0 5L10 6L10 2L0 1Z"
