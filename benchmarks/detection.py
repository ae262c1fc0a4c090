"""``python -m benchmarks.detection``: what scoring costs, by size, growth and kind of traffic.

Baseline in the same run: sorting the same events with NumPy.  Limit: series are
generated; real ones mix these kinds.
"""

from __future__ import annotations

import time

import numpy as np

from beacon_detect.analysis import SeriesBatch, Settings
from beacon_detect.analysis.compiled_cache import load_compiled
from beacon_detect.analysis.model import load_model

KINDS = ("beacon", "poisson", "bursts")


def batch(kind: str, series: int, events: int) -> SeriesBatch:
    """Return ``series`` series of ``events`` events each."""
    rng = np.random.default_rng(1)
    shape = (series, events)
    if kind == "beacon":
        gaps = 60 * rng.uniform(0.8, 1.2, shape)
    elif kind == "poisson":
        gaps = rng.exponential(60, shape)
    else:
        gaps = np.where(np.arange(events) % 4 == 0, 60, 0.1) * rng.uniform(0.8, 1.2, shape)
    times = np.cumsum(gaps * 1e9, axis=1).astype(np.int64).ravel()
    offsets = np.arange(series + 1, dtype=np.int64) * events
    return SeriesBatch(offsets, times, np.full(len(times), 500), np.full(len(times), 900))


def seconds(work: SeriesBatch, threads: int) -> float:
    """Return the seconds that one analysis of a batch takes."""
    measure, trees = load_compiled().measure, load_model().forest
    begin = time.perf_counter()
    measure(work, Settings(), trees, threads)
    return time.perf_counter() - begin


def main() -> None:
    """Print the table."""
    seconds(batch("beacon", 10, 20), 1)
    print(
        "| what | threads | seconds | us a series | times a sort |\n| --- | --- | --- | --- | --- |"
    )
    cases = [(kind, 2_000, 1_000, 1) for kind in KINDS]
    cases += [
        ("beacon", 100_000, 100, 2),
        ("poisson", 100_000, 100, 2),
        ("beacon", 1_000_000, 30, 2),
    ]
    cases += [("beacon", 10**size // 100, 100, 1) for size in (4, 5, 6, 7)]
    for kind, series, events, threads in cases:
        work = batch(kind, series, events)
        begin = time.perf_counter()
        np.sort(work.times.reshape(series, events)[:, ::-1], axis=1)
        sort = time.perf_counter() - begin
        took = seconds(work, threads)
        print(
            f"| {series} x {events} {kind} | {threads} | {took:.2f} | {took / series * 1e6:.1f} | {took / sort:.1f} |"
        )


if __name__ == "__main__":
    main()
