"""How long ``beacon-detect --help`` takes to start, print and end.

    python benchmarks/cli_start.py [--runs N]

Whole processes are timed, as a user waits for them, warm (files in the page
cache). Baselines in the same run: an interpreter that does nothing, and one
that imports click. Runs of the three alternate, so that a busy machine slows
all alike; the median counts. Target: at most 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

TARGET_SECONDS = 0.3
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "beacon-detect --help": ["-m", "beacon_detect", "--help"],
    "beacon-detect beacons --help": ["-m", "beacon_detect", "beacons", "--help"],
}


def timed(arguments: list[str]) -> float:
    """Return the seconds that one process takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> int:
    """Print the table; return 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for arguments in COMMANDS.values():
        timed(arguments)  # fills the page cache
    for _ in range(options.runs):
        for name, arguments in COMMANDS.items():
            seconds[name].append(timed(arguments))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    baseline = medians["python -c 'import click'"]
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {options.runs} runs, medians")
    print(f"{'command':<32}{'seconds':>10}{'ratio to import click':>24}")
    for name, median in medians.items():
        print(f"{name:<32}{median:>10.3f}{median / baseline:>24.2f}")
    return 1 if medians["beacon-detect --help"] > TARGET_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
