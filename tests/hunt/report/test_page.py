"""The page: one file, nothing from anywhere, nothing from the network unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from beacon_detect.hunt.report.page import DETAILED, render, write_report
from beacon_detect.hunt.run import Hunt, HuntOptions, hunt

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def found(tmp_path: Path) -> Hunt:
    lines = [
        f"{1_700_000_000 + 60 * i},10.0.0.{5 + pair},192.0.2.7,443,tcp,c2.example.com\n"
        for i in range(20)
        for pair in range(DETAILED + 3)
    ]
    path = tmp_path / "a.csv"
    path.write_text("ts,src,dst,dport,proto,name\n" + "".join(lines) + "broken,1,2,3,4,5\n")
    return hunt([str(path)], HuntOptions())


def test_the_page_needs_nothing_else(found: Hunt) -> None:
    text = render(found, found.rows, NOW)

    assert "<script" not in text
    assert not re.search(r"https?://|src=|@import|url\(", text.replace("c2.example.com", ""))
    assert "default-src 'none'" in text
    assert text.count("<section class=finding") == DETAILED
    assert text.count("<svg") == 4 * DETAILED + 1


def test_the_page_says_what_was_found_read_and_lost(found: Hunt) -> None:
    text = render(found, found.rows[:3], NOW)

    assert f"{DETAILED + 3} pairs check in regularly" in text
    assert f"{DETAILED} more pairs are not listed" in text
    assert "c2.example.com" in text
    assert "1 not a number" in text
    assert "100% of the check-ins sent 0 B" in text


def test_only_pairs_with_a_score_are_said_to_be_regular(found: Hunt) -> None:
    few = [replace(row, score=0.1) for row in found.rows[2:]]
    found.rows[2:] = few

    assert "<p class=lead>2 pairs check in regularly, from 2 sources." in render(found, found.rows, NOW)  # fmt: skip
    found.rows[:] = few
    assert f"None of {DETAILED + 1} listed pairs checks in regularly" in render(found, few, NOW)


def test_names_cannot_become_markup(found: Hunt) -> None:
    evil = replace(found.rows[0], name='<img src=x onerror="alert(1)">')
    text = render(found, [evil], NOW)

    assert "<img" not in text
    assert "&lt;img" in text


def test_an_empty_hunt_has_a_page_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,src,dst\n")
    (tmp_path / "b").write_text("?")
    text = render(hunt([str(tmp_path)], HuntOptions()), [], NOW)

    assert "no connection in the input." in text
    assert "in no known format" in text


def test_a_report_is_replaced_as_a_whole(found: Hunt, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(found, found.rows, path)

    assert path.read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
