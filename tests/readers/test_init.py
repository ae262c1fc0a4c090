"""The registry: formats are told by content, and everything has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from beacon_detect.readers import READERS, reader_named, recognise

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_reader_is_named_and_described(reader: object) -> None:
    name = getattr(reader, "name", "")

    assert reader_named(name) is reader
    assert getattr(reader, "title", "")
    page = (ROOT / "docs" / "reference" / "formats.md").read_text("utf-8")
    assert f"`{name}`" in page


@pytest.mark.parametrize("head", [b"", b"\0" * 100, b"hello, world\n", b"# readme\n", b"\x7fELF"])
def test_what_nobody_knows_is_not_guessed(head: bytes) -> None:
    assert recognise(head) is None
