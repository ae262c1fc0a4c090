"""One pair of a hunt, or one name behind several, explained: the server's answer, out of files.

The whole input is read, because the context of a pair is all the others; only what
is asked for is measured. A name is the row that the list has of it: every address
behind it together (:mod:`groups`). Limit: the newest :data:`MAX_EVENTS` of its events.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import evidence, preface
from beacon_detect.analysis.explanation import SeriesExplanation, explain_series
from beacon_detect.analysis.severity import CUT_OFFS
from beacon_detect.control_plane.alerts.message import rfc3339
from beacon_detect.control_plane.api.explanation_models import Explanation, Measurement
from beacon_detect.control_plane.pair_choice import PairQuery, choose
from beacon_detect.control_plane.verdict import Case, decide
from beacon_detect.control_plane.whitelist import Networks
from beacon_detect.errors import DataError, NotFoundError
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.groups import merged_events, name_codes
from beacon_detect.hunt.ranking import directions, sum_up
from beacon_detect.hunt.risk import Candidates, weigh
from beacon_detect.hunt.run import read_inputs, tell_unread
from beacon_detect.records import SECOND, pack_address, protocol_name, unpack_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from beacon_detect.context import Assessment
    from beacon_detect.control_plane.findings import SeriesName
    from beacon_detect.hunt.run import HuntOptions, Progress

MAX_EVENTS = 65_536
"""Newest events of the pair that are measured: three seconds at most."""
FLAGGED = CUT_OFFS[-1][0]
"""Risk from which a pair of a hunt counts as flagged: where MEDIUM begins."""
_KINDS: tuple[SeriesName, ...] = ("connections", "bursts")


@dataclass(frozen=True, slots=True)
class _Place:
    """A pair of the table."""

    row: int
    """Of a name, its busiest pair."""
    dst_port: int
    protocol: int
    members: tuple[int, ...] = ()
    """The pairs behind a name, if there are several."""

    @property
    def rows(self) -> tuple[int, ...]:
        """The pairs whose traffic it is."""
        return self.members or (self.row,)


@dataclass(frozen=True, slots=True)
class _Series:
    """The series of a pair that says most, measured."""

    name: SeriesName
    times: NDArray[np.int64]
    found: SeriesExplanation

    @property
    def weight(self) -> tuple[float, int]:
        """What series are compared by: score, then events."""
        score = float(self.found.episodes.score[0]) if self.found.scored else -1.0
        return score, self.found.events


def explain_in_files(
    paths: Sequence[str],
    query: PairQuery,
    options: HuntOptions,
    progress: Progress | None = None,
) -> Explanation:
    """Read the inputs and explain one pair of them, or one name of a source.

    Parameters
    ----------
    paths
        Files, folders, patterns or ``-``.
    query
        Which pair; its destination may be a name.
    options
        As for a hunt; lists and limits do not matter here. What the allow file covers is
        explained as hidden.
    progress
        Told how far the reading is.

    Raises
    ------
    DataError
        Nothing could be read.
    NotFoundError, SeveralPairsError
        The input has no such pair, or more than one.
    """
    collector = Collector(options.since_ns, options.until_ns)
    files, unknown, interrupted = read_inputs(paths, options, collector, progress)
    if interrupted:
        raise KeyboardInterrupt
    tell_unread(files, unknown, options.tell)
    collector.finish()
    if not collector.records:
        raise DataError(
            "no connection could be read from the input",
            hint="`analyze` says of each file why; --format forces a format",
        )
    if collector.forgotten:
        options.tell(f"{collector.forgotten:,} pairs were forgotten: too many pairs in the input")
    find = _find if is_address(query.dst) else _find_name
    place = find(collector, query, options)
    return _explanation(collector, place, query, options)


def _find(collector: Collector, query: PairQuery, options: HuntOptions) -> _Place:
    """Return the pair that is meant."""
    src, dst = (collector.pairs.column(name) for name in ("src", "dst"))
    one, other = (np.frombuffer(pack_address(a), np.uint8) for a in (query.src, query.dst))
    rows = np.flatnonzero((src == one).all(axis=1) & (dst == other).all(axis=1))
    backwards = bool(((src == other).all(axis=1) & (dst == one).all(axis=1)).any())
    ports, protocols = (collector.pairs.column(name)[rows] for name in ("dst_port", "protocol"))
    places = map(_Place, rows.tolist(), ports.tolist(), protocols.tolist())
    return _choose(query, list(places), options, backwards=backwards)


def _choose(
    query: PairQuery, between: Sequence[_Place], options: HuntOptions, *, backwards: bool = False
) -> _Place:
    try:
        return choose(query, between, backwards=backwards, where=_where(options))
    except NotFoundError as error:
        if between or backwards:
            raise
        hint = "source is the side that opens connections; `analyze -o csv` lists every pair with a score"  # fmt: skip
        raise NotFoundError(error.message, hint=hint) from error


def is_address(text: str) -> bool:
    """Say whether a destination is an address; else it is a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _find_name(collector: Collector, query: PairQuery, options: HuntOptions) -> _Place:
    """Return the pairs of the source behind the name, as one."""
    one = np.frombuffer(pack_address(query.src), np.uint8)
    named = name_codes(collector) == collector.names.code_of(query.dst)
    rows = np.flatnonzero((collector.pairs.column("src") == one).all(axis=1) & named)
    ports, protocols = (collector.pairs.column(name)[rows] for name in ("dst_port", "protocol"))
    places = list(map(_Place, rows.tolist(), ports.tolist(), protocols.tolist()))
    fitting = [place for place in places if query.fits(place)]
    if len(fitting) < 2:
        return _choose(query, places, options)
    members = tuple(place.row for place in fitting)
    busiest = sum_up(collector, members)["busiest"]
    [place] = [place for place in fitting if place.row == busiest]
    return replace(place, members=members)


def _where(options: HuntOptions) -> str:
    cut = options.since_ns is not None or options.until_ns is not None
    return "the chosen time of the input" if cut else "the input"


def _measure(collector: Collector, place: _Place, options: HuntOptions) -> _Series | None:
    """Return the series of a pair that says most, or that of a name; None where it has no events."""
    made = []
    for name, columns in _events(collector, place):
        times, out, received = (column[-MAX_EVENTS:] for column in columns)
        found = explain_series(times, out, received, options.settings)
        made.append(_Series(name, times, found))
    return max(made, key=lambda series: series.weight) if made else None


def _events(
    collector: Collector, place: _Place
) -> Iterator[tuple[SeriesName, tuple[NDArray[np.int64], ...]]]:
    """Yield times, bytes out and bytes in of each series that has events."""
    if place.members:
        yield from (("name", one) for one in merged_events(collector, [place.members]).values())
        return
    for name in _KINDS:
        columns = collector.logs[name].of_pairs(np.array([place.row])).get(place.row)
        if columns is not None and len(columns[0]):
            yield name, columns


def _weighed(
    collector: Collector, place: _Place, query: PairQuery, series: _Series, options: HuntOptions
) -> Assessment | None:
    """Return risk and reasons; None without a score."""
    if not series.found.scored:
        return None
    results = series.found.episodes
    rows, own = np.array([place.row]), series.name == "connections"
    candidates = Candidates(
        places=rows,
        src=[query.src],
        dst=[_destination(collector, place)],
        names=_names(collector, place.row),
        size_regularity=np.minimum(results.size_out[:1], results.size_in[:1]),
        parallel=results.connections_per_check_in[:1] if own else np.ones(1),
        side_by_side=collector.pairs.side_by_side(rows) if own else np.full(1, np.nan),
    )
    internal = Networks(options.internal)
    names = name_codes(collector)
    found = weigh(candidates, results.score[:1], collector.pairs, internal, options.context, names)
    return found[0]


def _destination(collector: Collector, place: _Place) -> str:
    return unpack_address(collector.pairs.column("dst")[place.row].tobytes())


def _names(collector: Collector, row: int) -> Sequence[str]:
    keys = (collector.pairs.column(n)[row : row + 1] for n in ("src", "dst", "dst_port", "protocol"))  # fmt: skip
    return collector.names.of(*keys)


def _explanation(
    collector: Collector, place: _Place, query: PairQuery, options: HuntOptions
) -> Explanation:
    series = _measure(collector, place, options)
    assessment = None if series is None else _weighed(collector, place, query, series, options)
    name = _names(collector, place.row)[0]
    allow = options.allow
    dst = _destination(collector, place)
    allowed = list(allow.entries(query.src, dst, place.dst_port, name)) if allow else []
    verdict = decide(
        Case(
            found=None if series is None else series.found,
            settings=options.settings,
            threshold=FLAGGED,
            where=_where(options),
            assessment=assessment,
            flagged_risk=None if assessment is None else assessment.risk,
            whitelisted_by=allowed,
        )
    )
    totals = sum_up(collector, place.rows)
    src, to = (collector.pairs.column(n)[place.row : place.row + 1] for n in ("src", "dst"))
    kind = "connections" if series is None else series.name
    said = preface(kind, totals["addresses"], name) if kind == "name" else preface(kind)
    times = np.zeros(0, np.int64) if series is None else series.times
    return Explanation(
        id="",
        src_ip=query.src,
        dst_ip=dst,
        dst_port=place.dst_port,
        protocol=protocol_name(place.protocol),
        series=kind,
        addresses=totals["addresses"],
        connections=totals["connections"],
        first_seen=rfc3339(totals["first_seen"]),
        last_seen=rfc3339(totals["last_seen"]),
        bytes_out=totals["bytes_out"],
        bytes_in=totals["bytes_in"],
        process="",
        executable="",
        pid=0,
        container="",
        sensor="",
        name=name,
        direction=directions(src, to, Networks(options.internal))[0],
        flagged=verdict.flagged,
        verdict=verdict.text,
        why_not=list(verdict.why_not),
        whitelisted_by=allowed,
        alert_threshold=FLAGGED,
        finding=None,
        measured=None if series is None else _measurement(series, assessment, said),
        times=(times / SECOND).tolist(),
        intervals=(np.diff(times) / SECOND).tolist(),
    )


def _measurement(series: _Series, assessment: Assessment | None, before: str) -> Measurement:
    events = "bursts" if series.name == "bursts" else "connections"
    said = before + evidence(series.found.episodes, 0, events) if series.found.scored else ""
    return Measurement.of(series.found, series.times, series.name, assessment, said)
