"""Scored series to a ranked list: one row a pair, its best series first, and rows of names.

A name gets a row where the pairs behind it say less than all of them together
(:mod:`groups`). Limit: rows are Python objects, so they are made only for pairs that were
scored, never for every pair of the input.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis import Settings, analyze, evidence, preface, severity
from beacon_detect.context import ContextSettings
from beacon_detect.context.crowd import address_ids
from beacon_detect.control_plane.whitelist import Networks
from beacon_detect.hunt.groups import LEAST_SCORE, NameGroups, judge, name_codes
from beacon_detect.hunt.risk import Candidates, weigh
from beacon_detect.hunt.shortlist import until_stopped
from beacon_detect.records import protocol_name, unpack_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.context import Adjustment
    from beacon_detect.hunt.collector import Collector
    from beacon_detect.hunt.event_log import SeriesPart

MEASURES = (
    "score", "base_score", "cv_score", "periodicity_score", "jitter_score", "interval", "jitter",
    "cv", "dominant_period",
)  # fmt: skip
COUNTS = ("check_ins", "missed")
_COLUMNS = (*MEASURES, *COUNTS, "connections_per_check_in")
_ALL = (*_COLUMNS, "size_regularity")


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
    addresses: int
    """Destination addresses of the series; more than one where it is that of a name."""
    covered: bool
    """Whether the row of its name says the same, for all addresses at once."""
    pair: int
    """Row of the pair table; of a name, its busiest."""
    members: tuple[int, ...] = ()
    """Rows of the pair table that the series of a name is made of."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The best series of every pair that was scored, as columns, and those of names."""

    pairs: NDArray[np.int64]
    """Rows of the pair table."""
    kinds: NDArray[np.int64]
    """Index into :data:`SERIES`."""
    measures: dict[str, NDArray[Any]]
    evidence: Sequence[str]
    covered: NDArray[np.bool_]
    """Which pairs a name explains."""
    names: Names | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The names that are told, as columns."""

    members: list[tuple[int, ...]]
    """Rows of the pair table behind each name."""
    measures: dict[str, NDArray[Any]]
    evidence: Sequence[str]


SERIES = ("connections", "bursts", "name")


@dataclass(frozen=True, slots=True)
class _Measured:
    """Series with enough check-ins, as columns."""

    rows: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    evidence: list[str]
    watching: int
    """Series with too few check-ins."""


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
    found = [
        _measure(until_stopped(log.series(hurry=stopped), stopped), settings, least, name)
        for name, log in collector.logs.items()
    ]
    watching = sum(one.watching for one in found)
    pairs = np.concatenate([one.rows for one in found])
    if not len(pairs):
        return _with_names(_nothing(), collector, settings, least, stopped), watching
    kinds = np.concatenate([np.full(len(one.rows), SERIES.index(name)) for name, one in zip(collector.logs, found, strict=True)])  # fmt: skip
    columns = {name: np.concatenate([one.columns[name] for one in found]) for name in _ALL}
    sentences = [sentence for one in found for sentence in one.evidence]
    order = np.lexsort((kinds, -columns["score"], pairs))
    best = order[np.append(True, np.diff(pairs[order]) != 0)]
    chosen = {name: column[best] for name, column in columns.items()}
    scored = Scored(
        pairs[best], kinds[best], chosen, [sentences[i] for i in best], np.zeros(len(best), bool)
    )
    return _with_names(scored, collector, settings, least, stopped), watching


def _measure(
    parts: Iterator[SeriesPart], settings: Settings, least: float, series: str
) -> _Measured:
    """Measure series of one kind, and say why for those that score ``least`` or more."""
    said = "bursts" if series == "bursts" else "connections"
    before = preface(series) if series in {"connections", "bursts"} else ""
    rows, sentences, watching = [np.zeros(0, np.int64)], list[str](), 0
    columns: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0)] for name in _ALL}
    for part in parts:
        results = analyze(part.batch, settings)
        kept = np.flatnonzero(results.abstained == 0)
        watching += len(results) - len(kept)
        rows.append(part.rows[kept])
        for name in _COLUMNS:
            columns[name].append(getattr(results, name)[kept])
        columns["size_regularity"].append(np.minimum(results.size_out, results.size_in)[kept])
        sentences += [
            before + evidence(results, i, said) if results.score[i] >= least else ""
            for i in kept.tolist()
        ]
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    joined |= {name: joined[name].astype(np.int64) for name in COUNTS}
    return _Measured(np.concatenate(rows), joined, sentences, watching)


def _with_names(
    scored: Scored,
    collector: Collector,
    settings: Settings,
    least: float,
    stopped: Callable[[], bool],
) -> Scored:
    """Add the names that say more than the pairs behind them."""
    groups = NameGroups.of(collector)
    if not groups.count:
        return scored
    series = until_stopped(groups.series(collector, stopped), stopped)
    found = _measure(series, settings, max(least, LEAST_SCORE), "name")
    scores = np.zeros(groups.count)
    scores[found.rows] = found.columns["score"]
    verdicts = judge(
        groups, collector, scores, scored.pairs,
        scored.measures["score"], scored.measures["interval"],
    )  # fmt: skip
    told = np.flatnonzero(verdicts.told[found.rows])
    rows, owners = groups.members()
    order = np.argsort(owners, kind="stable")
    wanted = found.rows[told]
    begins, ends = (np.searchsorted(owners[order], wanted, side) for side in ("left", "right"))
    members = [
        tuple(rows[order[low:high]].tolist()) for low, high in zip(begins, ends, strict=True)
    ]
    return replace(
        scored,
        covered=verdicts.covered,
        names=Names(
            members,
            {name: column[told] for name, column in found.columns.items()},
            [found.evidence[i] for i in told.tolist()],
        ),
    )


def _nothing() -> Scored:
    empty = np.zeros(0, np.int64)
    return Scored(empty, empty, dict.fromkeys(_ALL, np.zeros(0)), [], np.zeros(0, np.bool_))


def prevalence(
    collector: Collector, names: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for every pair how many sources its destination has, and destinations its source.

    A destination is a name where one is known (``names``, -1 where not), else an address;
    the destinations of a source are addresses.
    """
    sources, destinations = (
        np.unique(address_ids(collector.pairs.column(side)), return_inverse=True)[1]
        for side in ("src", "dst")
    )
    addresses = int(destinations.max(initial=-1)) + 1
    places = np.where(names >= 0, addresses + names.astype(np.int64), destinations)
    return _partners(places, sources)[places], _partners(sources, destinations)[sources]


def _partners(own: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return with how many different ``others`` each number of ``own`` comes together."""
    span = int(others.max(initial=0)) + 1
    # NumPy's own unique would build a table of hashes, which takes ten times as long.
    both = np.sort(own * span + others)
    return np.bincount(both[np.diff(both, prepend=-1) != 0] // span)


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
    codes = name_codes(collector)
    sources, destinations = prevalence(collector, codes)
    listed = _listed(collector, scored, least)
    places = listed.places
    table = {
        name: np.take(collector.pairs.column(name), places, axis=0)
        for name in ("src", "dst", "dst_port", "protocol")
    }
    columns = listed.columns
    columns |= {"sources": sources[places], "destinations": destinations[places], "pair": places}
    names = collector.names.of(table["src"], table["dst"], table["dst_port"], table["protocol"])
    with _no_cycle_search():
        src, dst = (_texts(table[side]) for side in ("src", "dst"))
        own = listed.kinds == SERIES.index("connections")
        candidates = Candidates(
            places, src, dst, names, columns["size_regularity"],
            parallel=np.where(own, columns["connections_per_check_in"], 1.0),
            side_by_side=np.where(own, collector.pairs.side_by_side(places), np.nan),
        )  # fmt: skip
        found = weigh(candidates, columns["score"], collector.pairs, networks, context, codes)
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
                series=SERIES[int(listed.kinds[i])], direction=ways[at],
                evidence=listed.said(i, names[i]), members=listed.members.get(i, ()),
                **{name: column[at] for name, column in numbers.items()},
            )
            for at, i in enumerate(order.tolist())
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Listed:
    """What is to be listed, pairs first, then names, as columns."""

    places: NDArray[np.int64]
    """Rows of the pair table; of a name, its busiest pair."""
    kinds: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    evidence: list[str]
    members: dict[int, tuple[int, ...]]
    """Pairs of those that are names, by position."""

    def said(self, i: int, name: str) -> str:
        """Return the evidence of one of them."""
        if i not in self.members or not self.evidence[i]:
            return self.evidence[i]
        return preface("name", int(self.columns["addresses"][i]), name) + self.evidence[i]


def _listed(collector: Collector, scored: Scored, least: float) -> _Listed:
    """Return the pairs and names at or above a score."""
    keep = np.flatnonzero(scored.measures["score"] >= least)
    pairs = scored.pairs[keep]
    columns = {name: column[keep] for name, column in scored.measures.items()}
    columns |= {name: np.take(collector.pairs.column(name), pairs) for name in _TOTALS}
    columns |= {"addresses": np.ones(len(keep), np.int64), "covered": scored.covered[keep]}
    listed = _Listed(
        pairs, scored.kinds[keep], columns, [scored.evidence[i] for i in keep.tolist()], {}
    )
    if scored.names is None:
        return listed
    also = np.flatnonzero(scored.names.measures["score"] >= least)
    members = [scored.names.members[i] for i in also.tolist()]
    sums = [sum_up(collector, rows) for rows in members]
    extra = {name: column[also] for name, column in scored.names.measures.items()}
    extra |= {name: np.array([one[name] for one in sums], columns[name].dtype) for name in (*_TOTALS, "addresses", "covered")}  # fmt: skip
    return _Listed(
        np.concatenate([pairs, np.array([one["busiest"] for one in sums], np.int64)]),
        np.concatenate([listed.kinds, np.full(len(also), SERIES.index("name"))]),
        {name: np.concatenate([column, extra[name]]) for name, column in columns.items()},
        listed.evidence + [scored.names.evidence[i] for i in also.tolist()],
        dict(enumerate(members, len(keep))),
    )


def sum_up(collector: Collector, rows: tuple[int, ...]) -> dict[str, int]:
    """Return the totals of some pairs, how many addresses they go to, and which is the busiest."""
    column = {name: collector.pairs.column(name)[list(rows)] for name in _TOTALS}
    dst = collector.pairs.column("dst")[list(rows)]
    return {
        "connections": int(column["connections"].sum()),
        "bytes_out": int(column["bytes_out"].sum()),
        "bytes_in": int(column["bytes_in"].sum()),
        "first_seen": int(column["first_seen"].min()),
        "last_seen": int(column["last_seen"].max()),
        "addresses": len(np.unique(dst, axis=0)),
        "covered": 0,
        "busiest": rows[int(np.argmax(column["connections"]))],
    }


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
