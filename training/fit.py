"""``python -m training.fit``: draw the worlds, fit the trees, set the scores, write the model file.

The trees are fitted on the training and development worlds, on traffic more even
than chance, on young implants and on perfect beacons, twice: the first forest chooses, in every
series, the episode that looks most like a beacon, and the second learns from
those.  The score map is read off series that no tree was fitted on.  The result is the same bit for bit on one machine and one version of
NumPy and scikit-learn.  Limit: real traffic has no part in the fit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Sums over threads depend on their number; one thread is enough here.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sklearn

from beacon_detect.analysis import Settings, compiled_cache
from beacon_detect.analysis.features import FEATURE_NAMES
from beacon_detect.analysis.model import MODEL_FILE, SCHEMA
from beacon_detect.analysis.rows import ROW
from training import forest, worlds
from training.ceiling import ceiling

if TYPE_CHECKING:
    from beacon_detect.analysis.forest import Forest

VERSION = "5"
ROUNDS = 2
FOLDS = 4
MODEL_PATH = Path(__file__).parents[1] / "src/beacon_detect/analysis/model" / MODEL_FILE
WORLDS = (worlds.TRAINING, worlds.DEVELOPMENT, worlds.EVEN)
CLOCKS = 12_000
EARLY = 16_000
"""Young implants."""
CLOCK_WEIGHT = 5.0
"""Perfect beacons and what each counts: without them the trees are surer of a little jitter, and
the ceiling would be so low that most beacons stood at it."""
CUT_OFFS = ((0.5, 0.05), (0.7, 0.01), (0.8, 0.003), (0.9, 0.001))
"""Score and the share of chance series that reach it."""
TOP_SCORE = 0.97
"""The score above which no chance series of the reference set lies."""


def measure(world: worlds.World, trees: Forest) -> tuple[np.ndarray, np.ndarray]:
    """Return log odds (minus infinity where nothing was scored) and features of a world."""
    rows, features = compiled_cache.load_compiled().measure(world.batch, Settings(), trees, 1)
    scored = rows[:, ROW.check_ins] > 0
    return np.where(scored, rows[:, ROW.log_odds], -np.inf), features


def cross_fit(features: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the log odds of each row from trees fitted without it."""
    fold = np.random.default_rng(forest.SEED).integers(0, FOLDS, len(label))
    held_out = np.empty(len(label))
    for number in range(FOLDS):
        mine = fold == number
        trees = forest.fit(features[~mine], label[~mine], weight[~mine])
        held_out[mine] = forest.predict(trees, features[mine])
    return held_out


def score_map(chance: np.ndarray, most: float) -> list[list[float]]:
    """Return the knots from log odds to score.

    Parameters
    ----------
    chance
        Log odds of chance series.
    most
        Log odds that only a perfect beacon reaches; above all of ``chance``.
    """
    ordered = np.sort(chance)
    knots = [[float(ordered[0]) - 1.0, 0.0], [float(np.median(ordered)), 0.1]]
    for score, rate in CUT_OFFS:
        knots.append([float(np.quantile(ordered, 1 - rate)), score])
    knots.append([float(ordered[-1]), TOP_SCORE])
    knots.append([most, 1.0])
    return [[round(log_odds, 4), score] for log_odds, score in knots]


def to_document(
    trees: Forest,
    knots: list[list[float]],
    steps: list[list[float]],
    fitted_on: dict[str, Any],
) -> dict[str, Any]:
    """Return the model file's content; node numbers count from each root."""
    ends = [*trees.roots[1:].tolist(), len(trees.feature)]
    listed = []
    for root, end in zip(trees.roots.tolist(), ends, strict=True):
        leaf = trees.feature[root:end] < 0
        listed.append(
            {
                "feature": trees.feature[root:end].tolist(),
                # Exact: thresholds may equal a share such as 6/7, which rounding would move past.
                "threshold": trees.threshold[root:end].tolist(),
                "left": np.where(leaf, 0, trees.left[root:end] - root).tolist(),
                "right": np.where(leaf, 0, trees.right[root:end] - root).tolist(),
                "value": trees.value[root:end].tolist(),
            }
        )
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "fitted_on": fitted_on,
        "features": list(FEATURE_NAMES),
        "scores": knots,
        "ceiling": steps,
        "baseline": trees.baseline,
        "trees": listed,
    }


def write(document: dict[str, Any], path: Path) -> None:
    """Write a model file, one tree a line."""
    head = {key: value for key, value in document.items() if key != "trees"}
    text = json.dumps(head, indent=1)[:-2] + ',\n "trees": [\n'
    text += ",\n".join("  " + json.dumps(tree, separators=(",", ":")) for tree in document["trees"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n ]\n}\n", encoding="utf-8")


def fit(scale: float) -> dict[str, Any]:
    """Draw, fit and calibrate; return the model file's content.

    Parameters
    ----------
    scale
        Factor on the size of the worlds; 1 for the shipped model.
    """
    drawn = [worlds.make(plan, scale) for plan in WORLDS]
    drawn += [worlds.clocks(int(CLOCKS * scale)), worlds.early(int(EARLY * scale))]
    label = np.concatenate([world.label for world in drawn])
    family = np.concatenate([world.family for world in drawn])
    weight = np.where(family == worlds.CLOCK, CLOCK_WEIGHT, 1.0)
    trees = forest.by_evidence()
    for _ in range(ROUNDS):
        measured = [measure(world, trees) for world in drawn]
        features = np.concatenate([part[1] for part in measured])
        used = (label != worlds.SERVICE) & np.isfinite(np.concatenate([p[0] for p in measured]))
        trees = forest.fit(features[used], label[used] == worlds.BEACON, weight[used])
    held_out = cross_fit(features[used], label[used] == worlds.BEACON, weight[used])
    chance = held_out[label[used] == worlds.CHANCE]
    fitted_on = {
        "worlds": [plan.seed for plan in WORLDS],
        "beacons": int((label[used] == worlds.BEACON).sum()),
        "chance": len(chance),
        "scores": "held-out chance series of the same worlds",
        "scikit_learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    steps = ceiling(trees)
    return to_document(trees, score_map(chance, steps[-1][1]), steps, fitted_on)


def main(arguments: list[str] | None = None) -> None:
    """Fit and write the model file."""
    parser = argparse.ArgumentParser(prog="python -m training.fit", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the sizes (default 1)")
    parser.add_argument("--output", type=Path, default=MODEL_PATH, help="model file to write")
    options = parser.parse_args(arguments)
    write(fit(options.scale), options.output)
    sys.stdout.write(f"wrote {options.output}\n")


if __name__ == "__main__":
    main()
