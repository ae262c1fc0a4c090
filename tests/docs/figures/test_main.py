"""The pictures of the documents are what the code draws, and every page can be read without seeing them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

from docs.figures import PICTURES

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "explanation" / "detection.md"
SVG = "{http://www.w3.org/2000/svg}"
EMBEDDED = re.compile(r"!\[([^\]]*)\]\(\.\./figures/([^)]+)\)\n\n\*([^*]+)\*\n")

pictures = pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.NAME)


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
ROUNDING = 1.0
"""Pixels by which a point may move: processors add up sums in orders of their own."""


def is_same(one: str, other: str) -> bool:
    """Say whether two pictures are the same to the eye."""
    if NUMBER.split(one) != NUMBER.split(other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= ROUNDING for a, b in pairs)


def test_a_point_may_move_by_rounding_only() -> None:
    assert is_same('<path d="M58 61.3L65 7"/>', '<path d="M58 61L65 7"/>')
    assert not is_same('<path d="M58 61.3L65 7"/>', '<path d="M58 63L65 7"/>')
    assert not is_same('<path d="M58 61.3L65 7"/>', '<path d="M58 61.3L65 7Z"/>')


@pictures
def test_the_file_is_what_the_present_code_and_model_draw(picture: ModuleType) -> None:
    if not is_same((FOLDER / picture.NAME).read_text("utf-8"), picture.draw()):
        pytest.fail(
            f"docs/figures/{picture.NAME} is not what the present code and model draw:"
            " run `make figures`, look at the picture, commit it",
            pytrace=False,
        )


def test_no_picture_is_left_that_nothing_draws() -> None:
    drawn = {picture.NAME for picture in PICTURES}

    assert drawn == {path.name for path in FOLDER.glob("*.svg")}


@pictures
def test_every_label_lies_inside_the_picture(picture: ModuleType) -> None:
    root = ET.parse(FOLDER / picture.NAME).getroot()
    _, _, width, height = map(float, root.get("viewBox", "").split())
    texts = [text for text in root.iter(f"{SVG}text") if text.get("x")]
    for text in texts:
        words = "".join(text.itertext())
        # Letters of this size are 7 pixels wide on average.
        length = 7 * len(words)
        before = {"middle": length / 2, "end": length}.get(text.get("text-anchor", ""), 0.0)
        left = float(text.get("x", 0)) - before

        assert left >= 0, words
        assert left + length <= width, words
        assert 0 < float(text.get("y", 0)) < height, words
    assert texts


@pictures
def test_it_is_well_formed_without_nonsense(picture: ModuleType) -> None:
    text = (FOLDER / picture.NAME).read_text("utf-8")
    root = ET.fromstring(text)
    title = root.find(f"{SVG}title")

    assert title is not None
    assert title.text
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_the_page_shows_every_picture_with_words_in_its_place_and_a_caption() -> None:
    shown = {name: (words, caption) for words, name, caption in EMBEDDED.findall(PAGE.read_text("utf-8"))}  # fmt: skip

    assert set(shown) == {picture.NAME for picture in PICTURES}
    for words, caption in shown.values():
        assert len(words.split()) >= 8
        assert len(caption.split()) >= 8
