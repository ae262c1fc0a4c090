"""The demo: always the same day, with its implants first in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.hunt.allow import AllowList
from beacon_detect.hunt.demo import write_demo
from beacon_detect.hunt.run import HuntOptions, hunt

if TYPE_CHECKING:
    from pathlib import Path

IMPLANTS = {"203.0.113.50", "198.51.100.77", "203.0.113.99", "192.0.2.180"}


def test_the_day_is_the_same_every_time(tmp_path: Path) -> None:
    count = write_demo(tmp_path / "a")
    write_demo(tmp_path / "b")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert count == len((tmp_path / "a").read_text().splitlines()) - 1


def test_the_implants_lead_the_list(tmp_path: Path) -> None:
    write_demo(tmp_path / "a")
    allow = AllowList()
    allow.add("port 123")
    allow.add("domain mail.example")
    found = hunt([str(tmp_path / "a")], HuntOptions(allow=allow))

    assert not found.files[0].problems.total
    assert {row.dst for row in found.rows[:4]} == IMPLANTS
