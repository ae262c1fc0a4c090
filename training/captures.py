"""Labelled captures on disk, for measuring only: never fitted on, never part of the project.

A folder holds ``conns.csv.gz`` (ts, src, sport, dst, dport, proto, orig_bytes,
resp_bytes, duration) and ``labels.csv`` (a label for each src, dst, dport,
proto; unlisted pairs are benign).  Limit: one pair is one key; names and
processes are not known.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import SeriesBatch

if TYPE_CHECKING:
    from pathlib import Path

Key = tuple[str, str, str, str]
CONNECTIONS = "conns.csv.gz"


@dataclass(frozen=True)
class Capture:
    """The series of a capture with the label and the source set of each."""

    keys: list[Key]
    batch: SeriesBatch
    label: np.ndarray
    source: np.ndarray

    @property
    def connections(self) -> np.ndarray:
        """Connections of each pair."""
        return np.diff(self.batch.offsets)


def read(folder: Path) -> Capture:
    """Read one labelled capture.

    Parameters
    ----------
    folder
        Folder with ``conns.csv.gz`` and ``labels.csv``.
    """
    rows: dict[Key, list[tuple[int, int, int]]] = defaultdict(list)
    with gzip.open(folder / CONNECTIONS, "rt", newline="") as file:
        for line in csv.DictReader(file):
            key = (line["src"], line["dst"], line["dport"], line["proto"])
            sent, received = (int(float(line[name] or 0)) for name in ("orig_bytes", "resp_bytes"))
            rows[key].append((round(float(line["ts"]) * 1e9), sent, received))
    with (folder / "labels.csv").open(newline="") as file:
        labels = {
            (line["src"], line["dst"], line["dport"], line["proto"]): line
            for line in csv.DictReader(file)
        }
    keys = sorted(rows)
    series = [np.array(sorted(rows[key]), np.int64) for key in keys]
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in series]))).astype(np.int64)
    events = np.concatenate(series)
    return Capture(
        keys=keys,
        batch=SeriesBatch(offsets, *(np.ascontiguousarray(events[:, i]) for i in range(3))),
        label=np.array([labels.get(key, {}).get("label", "benign") for key in keys]),
        source=np.array([labels.get(key, {}).get("set", folder.name) for key in keys]),
    )


def captures(folder: Path) -> dict[str, Path]:
    """Return every labelled capture below a folder, by its path relative to it."""
    found = sorted(path.parent for path in folder.rglob("labels.csv"))
    return {str(path.relative_to(folder)): path for path in found}
