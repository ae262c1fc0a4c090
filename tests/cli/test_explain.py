"""``explain`` asks for the pair that was typed, live or in files, and prints what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from beacon_detect.cli.explain import Pair, parse_pair
from beacon_detect.errors import ExitCode
from live_server import LiveServer, beacon, noise

SRC, DST = "10.0.0.5", "203.0.113.1"
HEADER = "ts,src,dst,dport,proto,orig_bytes,resp_bytes,duration\n"


@pytest.mark.parametrize(
    ("words", "protocol", "pair"),
    [
        ([SRC, DST], None, Pair(SRC, DST, None, None)),
        ([SRC, f"{DST}:443"], None, Pair(SRC, DST, 443, None)),
        ([SRC, DST, "443"], None, Pair(SRC, DST, 443, None)),
        ([SRC, DST, "443", "TCP"], None, Pair(SRC, DST, 443, "TCP")),
        ([SRC, DST, "udp"], None, Pair(SRC, DST, None, "udp")),
        ([SRC, f"{DST}:53"], "17", Pair(SRC, DST, 53, "17")),
        (["::1", "2001:db8::7"], None, Pair("::1", "2001:db8::7", None, None)),
        (["::1", "[2001:db8::7]:443"], None, Pair("::1", "2001:db8::7", 443, None)),
        (["::1", "[2001:db8::7]", "0", "ICMPV6"], None, Pair("::1", "2001:db8::7", 0, "ICMPV6")),
    ],
)
def test_a_pair_may_be_typed_as_lists_show_it(
    words: list[str], protocol: str | None, pair: Pair
) -> None:
    assert parse_pair(tuple(words), protocol) == pair


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", DST], "'a' is no IP address"),
        ([SRC, "host:443"], "'host' is no IP address"),
        ([SRC, f"{DST}:99999"], "99999 is no port"),
        ([SRC, DST, "443", "tpc"], "'tpc' is no protocol"),
        ([SRC, DST, "443", "tcp", "x"], "'x' is more than"),
    ],
)
def test_what_is_no_pair_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        parse_pair(tuple(words), None)


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        ([SRC, "c2.example"], Pair(SRC, "c2.example", None, None)),
        ([SRC, "c2.example:443", "tcp"], Pair(SRC, "c2.example", 443, "tcp")),
        (["::1", "localhost", "53"], Pair("::1", "localhost", 53, None)),
    ],
)
def test_a_destination_in_files_may_be_a_name(words: list[str], pair: Pair) -> None:
    assert parse_pair(tuple(words), None, names=True) == pair


@pytest.mark.parametrize("dst", ["10.0.0", "a b", "http://c2.example", "[::g]", ""])
def test_what_is_neither_address_nor_name_is_refused(dst: str) -> None:
    with pytest.raises(click.UsageError, match="is no IP address"):
        parse_pair((SRC, dst), None, names=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    live = LiveServer(tmp_path_factory.mktemp("explain"))
    try:
        live.start()
        live.send(beacon(dst=DST))
        live.send(noise(60, dst="203.0.113.2"))
        live.analyze()
        yield live
    finally:
        live.stop()


@pytest.fixture
def live(filled: LiveServer, cli: Callable[..., Any]) -> Callable[..., Any]:
    """Run the verb against a real control plane."""
    return lambda *words: cli("--host", "127.0.0.1", "--port", filled.port, "explain", *words)


def test_a_live_beacon_is_explained_by_its_pair_and_by_its_id(live: Callable[..., Any]) -> None:
    done = live(SRC, f"{DST}:443")
    answer = json.loads(live(SRC, DST, "443", "TCP", "-o", "json").out)

    assert (done.code, done.err) == (0, "")
    assert "flagged: CRITICAL" in done.out
    assert answer["schema"] == "beacon-detect.explanation/1"
    assert json.loads(live(answer["id"], "-o", "json").out)["dst_ip"] == DST


def test_a_live_pair_that_is_not_flagged_is_told_why(live: Callable[..., Any]) -> None:
    done = live(SRC, "203.0.113.2")

    assert done.code == ExitCode.OK
    assert "not flagged: score" in done.out
    assert "densest window" in done.out


def test_what_is_not_there_ends_with_not_found(live: Callable[..., Any]) -> None:
    done = live(SRC, "192.0.2.1")

    assert done.code == ExitCode.NOT_FOUND
    assert "no connection from 10.0.0.5 to 192.0.2.1 is on record" in done.err
    assert live("0" * 16).code == ExitCode.NOT_FOUND


def test_without_a_control_plane_it_cannot_be_reached(
    cli: Callable[..., Any], closed_port: int
) -> None:
    assert cli("--port", closed_port, "explain", SRC, DST).code == ExitCode.UNREACHABLE


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    file = tmp_path / "flows.csv"
    times = 1_700_000_000 + np.arange(40) * 60
    rows = "".join(f"{t},{SRC},{DST},443,tcp,300,900,0.2\n" for t in times)
    file.write_text(HEADER + rows, "utf-8")
    return file


def test_files_are_explained_without_a_control_plane(
    cli: Callable[..., Any], flows: Path, closed_port: int
) -> None:
    done = cli("--port", closed_port, "explain", "--file", flows, SRC, DST)
    answer = json.loads(cli("explain", "--file", flows, SRC, DST, "-o", "json").out)

    assert done.code == 0
    assert "flagged: CRITICAL" in done.out
    assert (answer["schema"], answer["measured"]["events"]) == ("beacon-detect.explanation/1", 40)


def test_a_pair_that_the_file_has_not_ends_with_not_found(
    cli: Callable[..., Any], flows: Path, tmp_path: Path
) -> None:
    assert cli("explain", "--file", flows, SRC, "192.0.2.9").code == ExitCode.NOT_FOUND
    assert cli("explain", "--file", tmp_path / "none", SRC, DST).code == ExitCode.DATA


@pytest.fixture
def asked(cli: Callable[..., Any], flows: Path) -> Callable[..., Any]:
    """Ask for the pair of the file with more options; return the answer."""

    def ask(*words: object) -> Any:
        done = cli("explain", "--file", flows, SRC, DST, "-o", "json", *words)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return ask


def test_the_options_of_a_hunt_mean_the_same(
    asked: Callable[..., Any], cli: Callable[..., Any], flows: Path, tmp_path: Path
) -> None:
    allow = tmp_path / "known.txt"
    allow.write_text("port 443 # ours\n192.0.2.0/24\n")
    half = asked("--until", "2023-11-14T22:33:20Z", "--since", "2023-11-14T22:18:20Z")
    hidden = asked("--allow", allow)
    other = asked("--internal", "203.0.113.0/24")
    timing = asked("--no-context")

    assert half["measured"]["events"] == 15
    assert (hidden["flagged"], hidden["whitelisted_by"]) == (False, ["port 443"])
    assert hidden["verdict"].startswith("hidden: it is whitelisted; else it would be CRITICAL")
    assert (asked()["direction"], other["direction"]) == ("outbound", "inbound")
    assert timing["measured"]["rhythm"]["reasons"] == []
    outside = cli("explain", "--file", flows, SRC, DST, "--since", "1d")
    assert outside.code == ExitCode.NOT_FOUND
    assert "is on record in the chosen time of the input" in outside.err


def test_the_row_of_a_name_is_explained(cli: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "named.csv"
    rows = (
        f"{1_700_000_000 + 60 * i},{SRC},192.0.2.{i % 8},443,tcp,c2.example\n" for i in range(80)
    )
    file.write_text("ts,src,dst,dport,proto,name\n" + "".join(rows))
    done = cli("explain", "--file", file, SRC, "C2.example:443")

    assert done.code == 0
    assert "c2.example (8 addresses)" in done.out
    assert "rotates over 8 addresses of c2.example" in done.out


def test_a_file_with_columns_of_its_own_is_explained(
    asked: Callable[..., Any], flows: Path
) -> None:
    flows.write_text(flows.read_text().replace("ts,src", "born,from"))

    assert asked("--map", "ts=born", "--map", "src=from")["connections"] == 40


@pytest.mark.parametrize(
    "words", [["--allow", "x"], ["--no-context"], ["--since", "1d"], ["--map", "ts=t"]]
)
def test_options_about_files_are_refused_for_a_live_pair(
    cli: Callable[..., Any], words: list[str]
) -> None:
    done = cli("explain", SRC, DST, *words)

    assert done.code == ExitCode.USAGE
    assert f"{words[0]} is about the files of --file" in done.err


@pytest.mark.parametrize(
    "words",
    [[], ["--format", "csv", SRC, DST], ["abc", "--protocol", "tcp"], ["--file", "x.pcap", "abc"]],
)
def test_questions_that_make_no_sense_are_refused(
    cli: Callable[..., Any], words: list[str]
) -> None:
    assert cli("explain", *words).code == ExitCode.USAGE


def test_an_output_that_carries_no_blocks_gets_ascii(
    shell: Callable[..., Any], flows: Path
) -> None:
    done = shell("explain", "--file", flows, SRC, DST, PYTHONIOENCODING="ascii", COLUMNS="80")
    blocks = shell("explain", "--file", flows, SRC, DST, PYTHONIOENCODING="utf-8", COLUMNS="80")

    assert done.returncode == blocks.returncode == 0
    assert done.stdout.isascii()
    assert "?" not in done.stdout
    assert "█" in blocks.stdout
    assert "\x1b" not in blocks.stdout
