"""``python -m training.labelled_day FOLDER``: what a hunt says of labelled captures, by timing and by risk.

Runs the product's own path (``beacon_detect.hunt``) over ``conns.csv.gz`` and
counts by the labels beside it; see :mod:`training.captures` for the files.
Limit: only pairs with :data:`LEAST_CONNECTIONS` connections or more are counted,
and what is labelled ``unknown`` is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beacon_detect.context import ContextSettings
from beacon_detect.hunt.run import HuntOptions, hunt
from training import captures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beacon_detect.hunt.ranking import Row
    from training.captures import Key

LEAST_CONNECTIONS = 6
ALERT = 0.7
LABELS = ("beacon", "benign_periodic", "benign")


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair with its label; ``row`` is None where the hunt did not score it."""

    label: str
    source: str
    row: Row | None

    @property
    def score(self) -> float:
        """Timing score, 0 without one."""
        return self.row.score if self.row else 0.0

    @property
    def risk(self) -> float:
        """Risk, 0 without a score."""
        return self.row.risk if self.row else 0.0

    @property
    def base(self) -> float:
        """The documented base score, 0 without one."""
        return self.row.base_score if self.row else 0.0


def judged(folder: Path, context: ContextSettings | None = None) -> list[Judged]:
    """Hunt in one labelled capture.

    Parameters
    ----------
    folder
        Folder with ``conns.csv.gz`` and ``labels.csv``.
    context
        Which rules speak; all of them where it is not given.
    """
    options = HuntOptions(context=context or ContextSettings())
    rows: dict[Key, Row] = {
        (row.src, row.dst, str(row.dport), row.proto): row
        for row in hunt([str(folder / captures.CONNECTIONS)], options).rows
    }
    capture = captures.read(folder)
    return [
        Judged(str(label), str(source), rows.get(key))
        for key, label, source, count in zip(
            capture.keys, capture.label, capture.source, capture.connections, strict=True
        )
        if count >= LEAST_CONNECTIONS and label in LABELS
    ]


def table(pairs: Iterable[Judged]) -> list[str]:
    """Return the counts by label, beacons by their family, as lines of Markdown."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for pair in pairs:
        groups[pair.label, pair.source if pair.label == "beacon" else "all"].append(pair)
    lines = [
        "| label | set | pairs | best score | best risk | score >= 0.7 | risk >= 0.7 | base >= 0.7 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, source in sorted(groups, key=lambda key: (LABELS.index(key[0]), key[1])):
        members = groups[label, source]
        lines.append(
            f"| {label} | {source} | {len(members)} | {max(m.score for m in members):.2f} | "
            f"{max(m.risk for m in members):.2f} | {sum(m.score >= ALERT for m in members)} | "
            f"{sum(m.risk >= ALERT for m in members)} | {sum(m.base >= ALERT for m in members)} |"
        )
    return lines


def moved(pairs: Iterable[Judged]) -> list[str]:
    """Return what context did to the pairs that timing alone would alert on, one a line."""
    shown = [pair for pair in pairs if pair.row and max(pair.score, pair.risk) >= ALERT]
    shown.sort(key=lambda pair: (LABELS.index(pair.label), pair.source, -pair.risk))
    return [
        f"{pair.label:16s} {pair.source:28.28s} {row.src:>15s} {row.dst}:{row.dport}/{row.proto}"
        f" score {row.score:.3f} risk {row.risk:.3f} every {row.interval:.0f} s"
        f" {'; '.join(map(str, row.reasons))}"
        for pair in shown
        if (row := pair.row)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of every labelled capture below the folders."""
    parser = argparse.ArgumentParser(prog="python -m training.labelled_day", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[os.environ.get("BEACON_DATA", ".")])  # fmt: skip
    parser.add_argument("--pairs", action="store_true", help="name every pair at 0.7 or above")
    parser.add_argument("--without", action="append", default=[], metavar="RULE", help="switch a rule off")  # fmt: skip
    options = parser.parse_args(arguments)
    context = ContextSettings(disabled=frozenset(options.without))
    for folder in map(Path, options.folders):
        for name, path in captures.captures(folder).items():
            pairs = judged(path, context)
            lines = [
                "",
                path.name if name == "." else name,
                "",
                *table(pairs),
                *(moved(pairs) if options.pairs else ()),
            ]
            sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
