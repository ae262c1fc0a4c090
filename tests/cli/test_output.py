"""Lists come out as a table, CSV, JSON or JSON lines, and can be read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.cli.output import (
    MAX_LIMIT,
    Column,
    Listing,
    Output,
    csv_text,
    list_options,
    paint,
    table_lines,
    use_colour,
)

ROWS = Listing("rows", (Column("name", "NAME", 8), Column("number", "NUMBER")), "nothing")


@given(
    st.lists(
        st.fixed_dictionaries({"name": st.text(), "number": st.integers() | st.floats(0, 1)}),
        max_size=5,
    )
)
def test_csv_is_read_back_with_the_same_header_rows_and_numbers(rows: Any) -> None:
    read = list(csv.DictReader(io.StringIO(csv_text(ROWS, rows))))

    assert len(read) == len(rows)
    for line, row in zip(read, rows, strict=True):
        assert list(line) == ["name", "number"]
        assert line["number"] == str(row["number"])
        assert line["name"] in (row["name"], f"'{row['name']}") or not row["name"].isprintable()


@given(st.lists(st.fixed_dictionaries({"name": st.text(), "number": st.integers()}), min_size=1))
def test_every_column_of_a_table_starts_below_its_head(rows: Any) -> None:
    heads, rule, *lines = table_lines(ROWS.columns, rows, colour=False)
    start = heads.index("NUMBER")

    assert rule.index("------", start) == start
    for line, row in zip(lines, rows, strict=True):
        assert line[start:] == str(row["number"])


def test_colour_follows_the_severity_and_nothing_else_changes() -> None:
    rows = [{"name": "a", "number": 1, "severity": "HIGH"}, {"name": "b", "number": 2}]
    plain = table_lines(ROWS.columns, rows, colour=False)
    coloured = table_lines(ROWS.columns, rows, colour=True)

    assert coloured == [*plain[:2], f"\x1b[31m{plain[2]}\x1b[0m", plain[3]]
    assert paint("x", None) == "x"


def test_no_terminal_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())

    assert not use_colour()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_shows_colour_unless_told_not_to(
    environment: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert use_colour() is colour


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ([], Output("table", 100)),
        (["--csv"], Output("csv", MAX_LIMIT)),
        (["-o"], Output("csv", MAX_LIMIT)),
        (["-o", "--limit", "5"], Output("csv", 5)),
        (["--limit", "5"], Output("table", 5)),
        (["-o", "json"], Output("json", MAX_LIMIT)),
        (["-ojsonl"], Output("jsonl", MAX_LIMIT)),
        (["-o", "table"], Output("table", 100)),
        (["--output=csv"], Output("csv", MAX_LIMIT)),
        (["--output"], Output("csv", MAX_LIMIT)),
        (["--csv", "-o"], Output("csv", MAX_LIMIT)),
        (["--csv", "-o", "csv"], Output("csv", MAX_LIMIT)),
    ],
)
def test_the_options_choose_format_and_limit(words: list[str], output: Output) -> None:
    chosen = []

    @click.command()
    @list_options
    def verb(output: Output) -> None:
        chosen.append(output)

    verb.main(words, standalone_mode=False)

    assert chosen == [output]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--csv", "-o", "json"], "contradict"),
        (["-o", "yaml"], "is not one of"),
        (["--limit", "0"], "range"),
        (["--limit", "10001"], "range"),
        (["--limit", "many"], "not a valid integer"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    ask: Callable[..., Any], words: list[str], message: str
) -> None:
    done = ask("beacons", *words)

    assert done.code == 2
    assert message in done.err


def test_json_is_the_answer_unchanged_and_ascii(ask: Callable[..., Any], api: Any) -> None:
    api.rows["beacons"][0] = api.rows["beacons"][0] | {"process": "\x9b31m\u202eü"}
    done = ask("beacons", "-o", "json")

    assert done.out.isascii()
    assert json.loads(done.out) == api.answer("/api/v1/beacons", {"limit": ["10000"]})


def test_json_lines_are_the_rows_each_with_the_schema(ask: Callable[..., Any], api: Any) -> None:
    lines = [json.loads(line) for line in ask("beacons", "-o", "jsonl").out.splitlines()]

    assert lines == [{"schema": "beacon-detect.beacons/1", **row} for row in api.rows["beacons"]]


def test_more_than_shown_is_told_on_stderr_only(ask: Callable[..., Any]) -> None:
    cut = ask("beacons", "--limit", "1", "--csv")

    assert cut.err == "the first 1 of 2 are shown; --limit COUNT shows more\n"
    assert len(cut.out.splitlines()) == 2
    assert ask("beacons").err == ""
    assert "the first 1 are shown" in ask("alerts", "--limit", "1").err


@pytest.mark.parametrize("verb", ["beacons", "alerts", "connections", "long-conns"])
def test_an_empty_list_says_so_to_people_and_is_empty_for_programs(
    ask: Callable[..., Any], api: Any, verb: str
) -> None:
    api.rows.clear()
    table, sheet, document = (ask(verb, "-o", name) for name in ("table", "csv", "json"))

    assert (table.code, table.out, table.err != "") == (0, "", True)
    assert (len(sheet.out.splitlines()), sheet.err) == (1, "")
    assert (json.loads(document.out)["count"], document.err) == (0, "")
