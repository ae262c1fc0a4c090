"""Export: the same rows in every format, and shapes that stay."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from beacon_detect.hunt.export import (
    COLUMNS,
    SCHEMA,
    iso_time,
    write_csv,
    write_json,
    write_jsonl,
)
from beacon_detect.hunt.run import Hunt, HuntOptions, hunt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def found(tmp_path: Path) -> Hunt:
    lines = "".join(f"{1_700_000_000 + 60 * i},10.0.0.5,192.0.2.7,443,tcp,9\n" for i in range(20))
    (tmp_path / "a.csv").write_text("ts,src,dst,dport,proto,orig_bytes\n" + lines)
    return hunt([str(tmp_path / "a.csv")], HuntOptions())


def test_json_has_a_row_for_each_pair_with_the_promised_keys(found: Hunt) -> None:
    text = io.StringIO()
    write_json(found, found.rows, text)
    answer = json.loads(text.getvalue())

    assert answer["schema"] == SCHEMA
    assert tuple(answer["pairs"][0]) == COLUMNS
    assert COLUMNS[:12] == (
        "rank", "src", "dst", "name", "dport", "proto", "score", "base_score", "risk",
        "severity", "interval", "jitter",
    )  # fmt: skip
    assert COLUMNS[-3:] == ("evidence", "addresses", "covered")
    assert answer["pairs"][0]["first_seen"] == "2023-11-14T22:13:20Z"
    assert answer["summary"]["records"] == 20
    assert answer["summary"]["dropped_check_ins"] == answer["summary"]["dropped_names"] == 0


def test_json_lines_and_csv_hold_the_same_rows(found: Hunt) -> None:
    lines, table = io.StringIO(), io.StringIO()
    write_jsonl(found.rows, lines)
    write_csv(found.rows, table)
    objects = [json.loads(line) for line in lines.getvalue().splitlines()]
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))

    for row in objects:
        row["reasons"] = "; ".join(f"{r['rule']} {r['delta']:+.2f}: {r['reason']}" for r in row["reasons"])  # fmt: skip
    assert [{k: str(v) for k, v in o.items()} for o in objects] == rows
    assert "size_regularity +0.05" in rows[0]["reasons"]


def test_a_name_from_the_network_cannot_become_a_formula(found: Hunt) -> None:
    table = io.StringIO()
    write_csv([replace(found.rows[0], name="=cmd()")], table)

    assert "'=cmd()" in table.getvalue()


def test_times_before_the_epoch_have_a_text() -> None:
    assert iso_time(-1) == "1969-12-31T23:59:59.999999Z"
