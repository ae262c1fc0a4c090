"""Scored series to a ranked list: one row a pair, its best series first.

Limit: rows are Python objects, so they are made only for pairs that were
scored, never for every pair of the input.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis import Settings, analyze, evidence, severity
from beacon_detect.context import ContextSettings
from beacon_detect.control_plane.whitelist import Networks
from beacon_detect.hunt.risk import Candidates, weigh
from beacon_detect.hunt.shortlist import until_stopped
from beacon_detect.records import protocol_name, unpack_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.analysis import Results
    from beacon_detect.context import Adjustment
    from beacon_detect.hunt.collector import Collector

MEASURES = (
    "score", "base_score", "cv_score", "periodicity_score", "jitter_score", "interval", "jitter",
    "cv", "dominant_period",
)  # fmt: skip
COUNTS = ("check_ins", "missed")
_COLUMNS = (*MEASURES, *COUNTS, "connections_per_check_in")


@dataclass(frozen=True, slots=True)
class Row:
    """One pair with its verdict; times in ns, durations in seconds, jitter a share of the interval."""

    src: str
    dst: str
    name: str
    dport: int
    proto: str
    score: float
    base_score: float
    risk: float
    severity: str
    """Of the risk."""
    interval: float
    jitter: float
    cv: float
    check_ins: int
    missed: int
    connections_per_check_in: float
    series: str
    cv_score: float
    periodicity_score: float
    jitter_score: float
    dominant_period: float
    size_regularity: float
    """Share of the check-ins whose sizes agree."""
    connections: int
    bytes_out: int
    bytes_in: int
    first_seen: int
    last_seen: int
    sources: int
    """Sources in the input that talk to this destination."""
    destinations: int
    """Destinations in the input that this source talks to."""
    direction: str
    """``outbound``, ``inbound``, ``internal`` or ``external``, by the internal networks."""
    reasons: tuple[Adjustment, ...]
    """The steps from score to risk, strongest first."""
    evidence: str
    pair: int
    """Row of the pair table, for drawing its series."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The best series of every pair that was scored, as columns."""

    pairs: NDArray[np.int64]
    """Rows of the pair table."""
    kinds: NDArray[np.int64]
    """Index into :data:`SERIES`."""
    measures: dict[str, NDArray[Any]]
    evidence: Sequence[str]


SERIES = ("connections", "bursts")


def score(
    collector: Collector,
    settings: Settings,
    least: float = 0.0,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Scored, int]:
    """Score every series; return the best series of each pair and how many were too short.

    Parameters
    ----------
    collector
        What was read.
    settings
        Thresholds and weights.
    least
        Series below this score get no evidence sentence, which costs most of the time.
    stopped
        Asked now and then; once true, only the strongest series of the rest are scored.
    """
    parts: list[tuple[NDArray[np.int64], int, Results, NDArray[np.int64]]] = []
    watching = 0
    for kind, name in enumerate(SERIES):
        for part in until_stopped(collector.logs[name].series(), stopped):
            results = analyze(part.batch, settings)
            measured = np.flatnonzero(results.abstained == 0)
            watching += len(results) - len(measured)
            parts.append((part.rows[measured], kind, results, measured))
    if not parts:
        return _nothing(), watching
    pairs = np.concatenate([rows for rows, *_ in parts])
    kinds = np.concatenate([np.full(len(rows), kind) for rows, kind, *_ in parts])
    columns = {
        name: np.concatenate([getattr(results, name)[kept] for _, _, results, kept in parts])
        for name in _COLUMNS
    }
    columns["size_regularity"] = np.concatenate(
        [np.minimum(results.size_out, results.size_in)[kept] for _, _, results, kept in parts]
    )
    sentences = [
        evidence(results, int(index)) if results.score[index] >= least else ""
        for _, _, results, kept in parts
        for index in kept
    ]
    order = np.lexsort((kinds, -columns["score"], pairs))
    best = order[np.append(True, np.diff(pairs[order]) != 0)] if len(order) else order
    chosen = {name: column[best] for name, column in columns.items()}
    return Scored(pairs[best], kinds[best], chosen, [sentences[i] for i in best]), watching


def _nothing() -> Scored:
    names = (*_COLUMNS, "size_regularity")
    empty = np.zeros(0, np.int64)
    return Scored(empty, empty, dict.fromkeys(names, np.zeros(0)), [])


def prevalence(collector: Collector) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for every pair how many sources its destination has, and destinations its source."""
    src = collector.pairs.column("src").view("V16").reshape(-1)
    dst = collector.pairs.column("dst").view("V16").reshape(-1)
    sources, destinations = (np.unique(side, return_inverse=True)[1] for side in (src, dst))
    both = np.unique(np.stack([sources, destinations], axis=1), axis=0) if len(src) else np.zeros((0, 2), np.int64)  # fmt: skip
    per_destination = np.bincount(both[:, 1])
    per_source = np.bincount(both[:, 0])
    return per_destination[destinations], per_source[sources]


INTERNAL = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip
"""Private, shared, loopback and link-local networks (RFC 1918, 6598, 1122, 3927, 4193, 4291)."""
_DIRECTIONS = ("external", "outbound", "inbound", "internal")


def directions(src: NDArray[np.uint8], dst: NDArray[np.uint8], internal: Networks) -> list[str]:
    """Return where each pair goes, seen from the internal networks."""
    codes = internal.contain(src).astype(np.int64) + 2 * internal.contain(dst)
    return [_DIRECTIONS[code] for code in codes.tolist()]


def rank(
    collector: Collector,
    scored: Scored,
    least: float,
    internal: Sequence[str] = INTERNAL,
    context: ContextSettings = ContextSettings(),  # noqa: B008 (immutable)
    least_risk: float = 0.0,
) -> list[Row]:
    """Return the rows at or above a score and a risk, highest risk first.

    Where the risk is equal to a tenth of a percent, by how few sources talk to the
    destination, then by check-ins.
    """
    networks = Networks(internal)
    sources, destinations = prevalence(collector)
    keep = np.flatnonzero(scored.measures["score"] >= least)
    places = scored.pairs[keep]
    table = {
        name: np.take(collector.pairs.column(name), places, axis=0)
        for name in ("src", "dst", "dst_port", "protocol", *_TOTALS)
    }
    columns = {name: column[keep] for name, column in scored.measures.items()}
    columns |= {name: table[name] for name in _TOTALS}
    columns |= {"sources": sources[places], "destinations": destinations[places], "pair": places}
    names = collector.names.of(table["src"], table["dst"], table["dst_port"], table["protocol"])
    with _no_cycle_search():
        src, dst = (_texts(table[side]) for side in ("src", "dst"))
        parallel = np.where(scored.kinds[keep] == 0, columns["connections_per_check_in"], 1.0)
        candidates = Candidates(places, src, dst, names, columns["size_regularity"], parallel)
        found = weigh(candidates, columns["score"], collector.pairs, networks, context)
        risk = np.array([one.risk for one in found])
        order = np.lexsort((-columns["check_ins"], columns["sources"], -np.round(risk, 3)))
        order = order[risk[order] >= least_risk]
        ways = directions(table["src"][order], table["dst"][order], networks)
        # Columns in the order of the list: walking them out of order costs twice the time.
        numbers = {name: column[order].tolist() for name, column in columns.items()}
        ports, protocols = table["dst_port"][order].tolist(), table["protocol"][order].tolist()
        return [
            Row(
                src=src[i], dst=dst[i], name=names[i], dport=ports[at],
                proto=protocol_name(protocols[at]).lower(),
                risk=found[i].risk, severity=severity(found[i].risk), reasons=found[i].reasons,
                series=SERIES[int(scored.kinds[keep[i]])], evidence=scored.evidence[keep[i]],
                direction=ways[at], **{name: column[at] for name, column in numbers.items()},
            )
            for at, i in enumerate(order.tolist())
        ]  # fmt: skip


def _texts(addresses: NDArray[np.uint8]) -> list[str]:
    return [unpack_address(item.tobytes()) for item in addresses]


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Keep the cycle collector away: it would walk every row made so far again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_TOTALS = ("connections", "bytes_out", "bytes_in", "first_seen", "last_seen")
