"""Every benchmark still runs: what it measures moves, and nothing else would notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks"
PARTS = {"process_figures", "workload"}
"""Files that the benchmarks share."""

# The words make each of them small; what they print then is no figure.
QUICK = [
    ("analysis", "--pairs", "1000", "--events", "30"),
    ("analysis", "--pairs", "1000", "--events", "30", "--addresses", "8"),
    ("cli_start", "--runs", "1"),
    ("detection",),
    ("intake", "--records", "50000"),
    ("memory", "--records", "40000", "--hours", "2"),
    ("readers_logs", "rows", "20000"),
    ("readers_logs", "hunt", "20000", "500"),
    ("readers_logs", "stream", "20000", "500"),
    ("readers_pcap", "20000"),
    ("readers_pcap", "hunt", "20000"),
    ("readers_pcap", "stream", "20000"),
    ("readers_pcap", "scan", "20000"),
]
AS_ROOT = [
    ("kernel_packet",),
    ("ring_columns",),
    ("sensor_end_to_end", "--rate", "20000", "--seconds", "2"),
]

pytestmark = pytest.mark.slow


def run(name: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_a_benchmark_runs_and_prints_figures(words: tuple[str, ...]) -> None:
    assert any(character.isdigit() for character in run(*words))


@pytest.mark.root
@pytest.mark.parametrize("words", AS_ROOT, ids=" ".join)
def test_a_benchmark_of_the_kernel_side_runs_and_prints_figures(words: tuple[str, ...]) -> None:
    assert any(character.isdigit() for character in run(*words))


def test_no_benchmark_is_left_out() -> None:
    listed = {words[0] for words in (*QUICK, *AS_ROOT)}

    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == listed | PARTS
