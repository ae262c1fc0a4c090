"""The series clock is one per boot, across restarts of the sensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from beacon_detect.data_plane.state import (
    ANCHOR_FILE,
    read_boot_id,
    series_clock,
    write_durably,
)

BOOT = "6761378e-ff99-443c-aeac-fdbd7d52bf55"
OTHER_BOOT = "7761378e-ff99-443c-aeac-fdbd7d52bf55"


def test_a_restart_within_a_boot_keeps_the_anchor(tmp_path: Path) -> None:
    first = series_clock(tmp_path, BOOT, 1000)

    assert series_clock(tmp_path, BOOT, 9999) == first
    assert first.anchor == 1000


def test_a_new_boot_gets_a_new_anchor(tmp_path: Path) -> None:
    series_clock(tmp_path, BOOT, 1000)

    assert series_clock(tmp_path, OTHER_BOOT, 2000).anchor == 2000


def test_boots_differ_in_their_word() -> None:
    assert read_boot_id() == read_boot_id()
    words = {series_clock_word(boot) for boot in (BOOT, OTHER_BOOT)}

    assert len(words) == 2
    assert all(0 <= word < 1 << 64 for word in words)


def series_clock_word(boot: str) -> int:
    from beacon_detect.data_plane.state import SeriesClock

    return SeriesClock(boot, 0).boot_word


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"anchor": 1}', b'{"anchor": "x"}'])
def test_a_damaged_anchor_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ANCHOR_FILE).write_bytes(content)

    assert series_clock(tmp_path, BOOT, 7).anchor == 7
    assert series_clock(tmp_path, BOOT, 8).anchor == 7


def test_a_durable_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"long old content")
    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
