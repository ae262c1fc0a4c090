"""``python -m training.evaluate``: the tables of the documentation, peers in the same run.

The final world holds implants and chance traffic that no tree has seen.
``--world holdout`` takes one that was written blind: measure it once, after all
changes.  With ``--captures`` (or ``BEACON_DATA``) real captures are measured too.
Limit: the peers are slow, so they score every n-th series (``--every``).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from beacon_detect.analysis import Results, SeriesBatch, Settings, analyze
from training import beacons, captures, holdout, labelled_day, peers, worlds

BANDS = ((0.0, 0.05), (0.05, 0.2), (0.2, 0.35), (0.35, 0.5), (0.5, 0.7), (0.7, 0.9))
RATES = (0.01, 0.001)
LENGTHS = (6, 8, 10, 15, 20, 30, 50)
TRIES = 200
LOWEST = -30.0
FOUND = 0.7
"""Score from which a beacon alerts."""
STEADY = 0.2
"""Jitter up to which the interval is compared."""
WORLDS = {"final": worlds.FINAL, "holdout": holdout.HOLDOUT}


def say(text: str = "") -> None:
    """Write one line of a table."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def log_odds(results: Results) -> np.ndarray:
    """Return what series are ranked by; series that were not scored come last."""
    return np.where(results.abstained == 0, results.log_odds, LOWEST)


def thresholds(score: np.ndarray, label: np.ndarray) -> list[float]:
    """Return the scores that 1 % and 0.1 % of the chance series exceed."""
    chance = score[label == worlds.CHANCE]
    return [float(np.quantile(chance, 1 - rate)) for rate in RATES]


def recalls(score: np.ndarray, limits: list[float]) -> str:
    """Return the shares above each threshold as text."""
    return " | ".join(f"{(score > limit).mean():.3f}" for limit in limits)


def compare(world: worlds.World, score: np.ndarray, every: int) -> None:
    """Print our row and the peers' rows; the peers score every n-th series."""
    say("| scorer | series | AUC | average precision | recall at 1 % | at 0.1 % | us a series |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    used = world.label != worlds.SERVICE
    row("this method", score[used], world.label[used], float("nan"))
    some = np.flatnonzero(used)[::every]
    row("this method, the peers' series", score[some], world.label[some], float("nan"))
    for name, scorer in peers.PEERS.items():
        begin = time.perf_counter()
        theirs = np.array([run_peer(scorer, world, index) for index in some])
        row(name, theirs, world.label[some], (time.perf_counter() - begin) / len(some) * 1e6)


def run_peer(scorer: peers.Scorer, world: worlds.World, index: int) -> float:
    """Score one series of a world with a peer."""
    part = slice(int(world.batch.offsets[index]), int(world.batch.offsets[index + 1]))
    seconds = (world.batch.times[part] - world.batch.times[part.start]) * 1e-9
    return scorer(seconds, np.full(len(seconds), 500), float(world.window[index]))


def row(name: str, score: np.ndarray, label: np.ndarray, cost: float) -> None:
    """Print one row of the comparison."""
    beacon = label == worlds.BEACON
    limits = thresholds(score, label)
    text = "" if np.isnan(cost) else f"{cost:.0f}"
    say(
        f"| {name} | {len(score)} | {roc_auc_score(beacon, score):.4f} | "
        f"{average_precision_score(beacon, score):.3f} | {recalls(score[beacon], limits)} | {text} |"
    )


def by_group(world: worlds.World, score: np.ndarray, results: Results) -> None:
    """Print recall by jitter and impairment, false positives by family, and the interval's error."""
    limits = thresholds(score, world.label)
    beacon = world.label == worlds.BEACON
    say("\n| beacons | series | recall at 1 % | at 0.1 % |\n| --- | --- | --- | --- |")
    for low, high in BANDS:
        chosen = beacon & (world.jitter >= low) & (world.jitter < high)
        say(f"| jitter {low:.0%}-{high:.0%} | {chosen.sum()} | {recalls(score[chosen], limits)} |")
    whole = beacon & (world.impaired == "")
    strong = whole & (world.jitter <= 0.5) & (world.check_ins >= 20)
    say(f"| no impairment | {whole.sum()} | {recalls(score[whole], limits)} |")
    say(
        f"| and jitter <= 50 %, >= 20 check-ins | {strong.sum()} | {recalls(score[strong], limits)} |"
    )
    names = sorted({name for text in world.impaired for name in text.split(",") if name})
    for name in names:
        chosen = beacon & np.array([name in text.split(",") for text in world.impaired])
        say(f"| {name} | {chosen.sum()} | {recalls(score[chosen], limits)} |")
    for label, kind in (
        (worlds.BEACON, "beacon"),
        (worlds.CHANCE, "chance"),
        (worlds.SERVICE, "service"),
    ):
        for family in sorted(set(world.family[world.label == label])):
            chosen = (world.label == label) & (world.family == family)
            say(f"| {kind}: {family} | {chosen.sum()} | {recalls(score[chosen], limits)} |")
    with_interval = beacon & np.isfinite(world.interval)
    error = np.abs(results.interval / world.interval - 1)
    found = results.score >= FOUND
    drawn, configured = (with_interval & (x <= STEADY) for x in (world.spread, world.jitter))
    names = [model.__name__ for model in beacons.SEVERAL_SLEEPS + holdout.SEVERAL_SLEEPS]
    several = np.isin(world.family, names)
    say(
        "\n| beacons whose jitter is at most 20 % | series | interval within 10 % |\n| --- | --- | --- |"
    )
    for text, chosen in (
        ("as drawn: nine intervals in ten within 20 % of the usual one", drawn),
        ("the same and found (0.7)", drawn & found),
        ("as configured", configured),
        ("as configured, one sleep", configured & ~several),
    ):
        say(f"| {text} | {chosen.sum()} | {(error[chosen] < 0.1).mean():.3f} |")
    chance = results.score[world.label == worlds.CHANCE]
    shares = ", ".join(f"{cut:.1f}: {(chance >= cut).mean():.2%}" for cut in (0.5, 0.7, 0.8, 0.9))
    say(f"chance series of this world at a score of at least {shares}")


def by_length(limits: list[float]) -> None:
    """Print recall at 0.1 % of clean beacons with one-sided jitter by number of check-ins."""
    say("\n| jitter | " + " | ".join(f"{length} check-ins" for length in LENGTHS) + " |")
    say("| --- |" + " --- |" * len(LENGTHS))
    for jitter in (0.0, 0.3, 0.5, 0.7, 0.9):
        cells = []
        for length in LENGTHS:
            rng = np.random.default_rng((length, int(jitter * 100)))
            sleeps = [beacons.cobalt(rng, 60.0, jitter, length - 1) for _ in range(TRIES)]
            times = [np.rint(np.cumsum(np.append(0.0, x)) * 1e9).astype(np.int64) for x in sleeps]
            score = log_odds(analyze(SeriesBatch.from_lists(times), Settings()))
            cells.append(f"{(score > limits[1]).mean():.2f}")
        say(f"| {jitter:.0%} | " + " | ".join(cells) + " |")


def on_captures(folder: Path) -> None:
    """Print what real captures score: every family, and how many benign pairs with it."""
    for name, path in captures.captures(folder).items():
        say(f"\n{name}\n")
        for line in labelled_day.table(labelled_day.judged(path)):
            say(line)


def main(arguments: list[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the world's size")
    parser.add_argument("--world", choices=WORLDS, default="final", help="what is measured")
    parser.add_argument("--every", type=int, default=10, help="peers score every n-th series")
    parser.add_argument("--captures", type=Path, default=os.environ.get("BEACON_DATA"))
    options = parser.parse_args(arguments)
    world = worlds.make(WORLDS[options.world], options.scale)
    begin = time.perf_counter()
    results = analyze(world.batch, Settings())
    seconds = time.perf_counter() - begin
    events = len(world.batch.times)
    size = f"{len(world.batch)} series, {events} events"
    say(f"{options.world} world: {size}, analyzed in {seconds:.1f} s\n")
    score = log_odds(results)
    compare(world, score, options.every)
    by_group(world, score, results)
    by_length(thresholds(score, world.label))
    if options.captures:
        on_captures(Path(options.captures))


if __name__ == "__main__":
    main()
