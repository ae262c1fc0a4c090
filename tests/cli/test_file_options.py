"""Options about files: one meaning, whichever verb takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from beacon_detect.cli.file_options import file_options, hunt_options, reading_options
from beacon_detect.hunt.ranking import INTERNAL
from beacon_detect.hunt.run import HuntOptions


def options_of(*words: str, whole: bool = True) -> HuntOptions:
    """Return what a verb with these options was asked for."""
    found: list[HuntOptions] = []

    def take(**options: Any) -> None:
        found.append(hunt_options(options))

    verb = click.command()(file_options(reading_options(take)) if whole else reading_options(take))
    done = CliRunner().invoke(verb, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return found[0]


@pytest.mark.parametrize("whole", [True, False])
def test_without_options_everything_keeps_its_default(whole: bool) -> None:
    made, usual = options_of(whole=whole), HuntOptions()

    assert (made.format, made.columns, made.allow) == ("", {}, None)
    assert (made.since_ns, made.until_ns, made.internal) == (None, None, INTERNAL)
    assert made.context == usual.context


def test_every_option_is_passed_on(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("port 53\n")
    made = options_of(
        "--since", "2026-01-31T08:00:00.5Z", "--until", "2026-02-01T08:00Z", "--no-context",
        "--internal", "192.0.2.0/24", "--internal", "2001:db8::/32", "--allow", str(known),
        "--format", "csv", "--map", "ts=born", "--map", "dport=a=b",
    )  # fmt: skip

    assert (made.since_ns, made.until_ns) == (1_769_846_400_500_000_000, 1_769_932_800_000_000_000)
    assert (made.context.enabled, made.format) == (False, "csv")
    assert made.internal == ("192.0.2.0/24", "2001:db8::/32")
    assert made.columns == {"ts": "born", "dport": "a=b"}
    assert made.allow is not None
    assert list(made.allow.entries("10.0.0.1", "192.0.2.1", 53, "")) == ["port 53"]


@pytest.mark.parametrize(
    "words", [["--since", "soon"], ["--internal", "10.0.0.0/40"], ["--map", "ts"], ["--map", "x=y"]]
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        options_of(*words)
