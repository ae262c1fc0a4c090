"""The allow file: each kind of entry covers what it says and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from beacon_detect.analysis import Settings
from beacon_detect.errors import DataError
from beacon_detect.hunt.allow import read_allow_file
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.ranking import Row, rank, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def row(make_chunk: Callable) -> Row:
    some = Collector()
    some.add(make_chunk(np.arange(20) * 60.0))
    return replace(rank(some, score(some, Settings())[0], 0.0)[0], name="a.cdn.example.com")


@pytest.mark.parametrize(
    ("line", "covers"),
    [
        ("192.0.2.7", True), ("192.0.2.0/24", True), ("dst 192.0.2.8", False), ("10.0.0.5", False),
        ("src 10.0.0.0/8", True), ("port 443", True), ("port 44", False),
        ("domain example.com", True), ("domain *.example.com", True), ("domain ample.com", False),
        ("domain a.cdn.example.com # why", True), ("pair 10.0.0.5:192.0.2.7:443", True),
        ("pair 10.0.0.5:192.0.2.7:80", False), ("# 192.0.2.7", False), ("2001:db8::/32", False),
    ],
)  # fmt: skip
def test_an_entry_covers_what_it_says(tmp_path: Path, row: Row, line: str, covers: bool) -> None:
    path = tmp_path / "allow"
    path.write_text(line + "\n\n")

    assert read_allow_file(path).covers(row) is covers
    assert read_allow_file(path).split([row]) == (([], 1) if covers else ([row], 0))


def test_every_entry_that_covers_a_pair_is_named_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "allow"
    path.write_text("port  443 # web\nsrc 10.0.0.0/8\n192.0.2.7\n192.0.2.8\ndomain example.com\n")
    allowed = read_allow_file(path).entries("10.0.0.5", "192.0.2.7", 443, "a.example.com")

    assert sorted(allowed) == ["192.0.2.7", "domain example.com", "port 443", "src 10.0.0.0/8"]


@pytest.mark.parametrize("line", ["port x", "port 70000", "host", "src a b", "nonsense 1.2.3.4"])
def test_a_line_that_is_no_entry_is_named_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "allow"
    path.write_text("# first\n" + line)

    with pytest.raises(DataError, match="allow:2:"):
        read_allow_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_allow_file(tmp_path / "none")
