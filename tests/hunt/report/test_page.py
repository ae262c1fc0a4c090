"""The page: one file, nothing from anywhere, nothing from the network unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from beacon_detect.context import Adjustment, ContextSettings
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
    return hunt([str(path)], HuntOptions(context=ContextSettings(enabled=False)))


def test_the_page_needs_nothing_else(found: Hunt) -> None:
    text = render(found, found.rows, NOW)

    assert "<script" not in text
    assert not re.search(r"https?://|src=|@import|url\(", text.replace("c2.example.com", ""))
    assert "default-src 'none'" in text
    assert text.count("<section class=finding") == DETAILED
    assert text.count("<svg") == 4 * DETAILED + 1


def test_the_page_says_what_was_found_read_and_lost(found: Hunt) -> None:
    text = render(found, found.rows[:3], NOW)

    assert f"{DETAILED + 3} pairs are of medium risk or higher" in text
    assert f"{DETAILED} more pairs are not listed" in text
    assert "c2.example.com" in text
    assert "1 not a number" in text
    assert "100% of the check-ins sent 0 B" in text


def test_the_lead_counts_by_risk_and_tells_what_context_explains(found: Hunt) -> None:
    found.rows[2:] = [replace(row, score=0.9, risk=0.2) for row in found.rows[2:]]
    text = render(found, found.rows, NOW)
    assert "<p class=lead>2 pairs are of medium risk or higher, from 2 sources." in text
    assert f"Context explains {DETAILED + 1} pairs that timing alone" in text

    found.rows[:2] = []
    assert f"None of {DETAILED + 1} listed pairs is of medium risk or higher." in render(found, found.rows, NOW)  # fmt: skip
    found.rows[:] = [replace(row, score=0.1, risk=0.1) for row in found.rows]
    assert f"None of {DETAILED + 1} listed pairs checks in regularly.<" in render(found, found.rows, NOW)  # fmt: skip


def test_every_step_from_score_to_risk_is_told_with_its_size(found: Hunt) -> None:
    steps = (
        Adjustment("infrastructure", -0.6, "polls <time>"),
        Adjustment("size_regularity", 0.05, "of one size"),
    )
    row = replace(found.rows[0], score=0.9, risk=0.405, reasons=steps)
    text = render(found, [row], NOW)

    assert "Context lowers the risk from 90.0% (the score) to <b>40.5%</b>:" in text
    assert "<li><span class=down>-0.60</span> polls &lt;time&gt;</li>" in text
    assert "<li><span class=up>+0.05</span> of one size</li>" in text
    assert "<td class=why><span class=down>-0.60</span>" in text
    plain = render(found, [replace(row, risk=0.9, reasons=())], NOW)
    assert "No context moved it: the risk is the score." in plain


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
    assert "b: in no format known here" in text


def test_a_report_is_replaced_as_a_whole(found: Hunt, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(found, found.rows, path)

    assert path.read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
