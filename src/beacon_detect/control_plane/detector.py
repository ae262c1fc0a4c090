"""The detector: turns the numbers of a pass into findings, new and updated.

Pure: columns and summaries in, findings out, no clock and no store. A finding
keeps the highest score it ever reached and never disappears by itself; what
was measured (interval, sub-scores, evidence) is of the last pass that still
saw a beacon, so that a pause or added noise does not blur it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis import Settings, preface
from beacon_detect.analysis.severity import severity
from beacon_detect.control_plane.findings import Finding, SeriesName, finding_ids, silence_limit
from beacon_detect.control_plane.working_set import SeriesKind
from beacon_detect.records import protocol_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from beacon_detect.analysis import Results
    from beacon_detect.config.schema import Detection
    from beacon_detect.control_plane.pairs import PairSummary
    from beacon_detect.control_plane.working_set import SeriesGroup

    Explain = Callable[[Results, int, str], str]


SERIES_NAMES: dict[SeriesKind, SeriesName] = {
    SeriesKind.CONNECTIONS: "connections",
    SeriesKind.BURSTS: "bursts",
    SeriesKind.NAME: "name",
    SeriesKind.PROCESS: "process",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one pass found."""

    findings: list[Finding]
    """New and updated findings, highest score first."""
    new: list[str]
    """Ids of those that no earlier pass had found."""


def analysis_settings(detection: Detection) -> Settings:
    """Return the thresholds and weights of the configuration as the detection core wants them."""
    weights = detection.weights
    return Settings(
        cv_threshold=detection.cv_threshold,
        jitter_threshold=detection.jitter_threshold,
        weights=(weights.cv, weights.periodicity, weights.jitter),
        scoring=detection.scoring,
    )


def judge(
    group: SeriesGroup,
    results: Results,
    *,
    describe: Callable[[int], PairSummary | None],
    explain: Explain,
    previous: Mapping[str, Finding],
    threshold: float,
    now_ns: int,
    untold: NDArray[np.bool_] | None = None,
) -> Judgement:
    """Return the findings of one pass.

    Parameters
    ----------
    group, results
        The series analyzed and one row of measurements for each.
    describe
        Gives the summary of a pair or group; None when it was forgotten (past retention).
    explain
        Gives the evidence sentence of a row, and is told what its events are.
    previous
        All findings so far, by id.
    threshold
        Score from which a series is kept as a finding.
    now_ns
        Wall time of the pass.
    untold
        Rows that may bring an old finding up to date but make no new one, because
        another series says the same.
    """
    ids = finding_ids(group.pair_ids, group.kinds)
    scored = results.abstained == 0
    beacon = scored & (results.score >= threshold)
    known = np.fromiter((i in previous for i in ids), np.bool_, len(ids))
    rows = np.flatnonzero(known | (beacon if untold is None else beacon & ~untold))
    findings, new = [], []
    for row in rows.tolist():
        old = previous.get(ids[row])
        summary = describe(int(group.pair_ids[row]))
        if summary is None:
            continue
        times = group.batch.times[group.batch.offsets[row] : group.batch.offsets[row + 1]]
        series = SERIES_NAMES[SeriesKind(int(group.kinds[row]))]
        measured = _measured(results, row, explain, series, summary) if beacon[row] else {}
        if scored[row]:
            measured["current_score"] = float(results.score[row])
        if old is None:
            new.append(ids[row])
            old = _first_sight(ids[row], series, summary, measured, now_ns)
        findings.append(_updated(old, summary, measured, times, now_ns))
    findings.sort(key=lambda finding: -finding.score)
    return Judgement(findings, new)


def _measured(
    results: Results, row: int, explain: Explain, series: SeriesName, summary: PairSummary
) -> dict[str, Any]:
    """Return what a row of the results says about a beacon."""
    numbers = {
        name: float(getattr(results, name)[row])
        for name in (
            "base_score", "cv_score", "periodicity_score", "jitter_score", "interval", "jitter",
            "cv", "dominant_period", "connections_per_check_in", "configured_sleep", "false_alarm",
        )
    }  # fmt: skip
    return numbers | {
        "check_ins": int(results.check_ins[row]),
        "missed": int(results.missed[row]),
        "episodes": int(results.episodes[row]),
        "size_regularity": float(min(results.size_out[row], results.size_in[row])),
        "evidence": preface(series, summary.addresses, summary.name)
        + explain(results, row, "bursts" if series == "bursts" else "connections"),
    }


def _first_sight(
    identifier: str, series: SeriesName, summary: PairSummary, measured: dict[str, Any], now_ns: int
) -> Finding:
    """Return a finding as it is before its first update."""
    return Finding(
        id=identifier,
        pair_id=summary.pair_id,
        series=series,
        src=summary.src,
        dst=summary.dst,
        dst_port=summary.dst_port,
        protocol=protocol_name(summary.protocol),
        score=0.0,
        risk=0.0,
        severity="LOW",
        connections=0,
        bytes_out=0,
        bytes_in=0,
        first_seen=summary.first_seen,
        last_seen=summary.last_seen,
        detected_at=now_ns,
        updated_at=now_ns,
        **measured,
    )


def _updated(
    old: Finding,
    summary: PairSummary,
    measured: dict[str, Any],
    times: NDArray[np.int64],
    now_ns: int,
) -> Finding:
    """Return ``old`` brought up to date with the pass's measurements and the pair's summary."""
    score = max(old.score, measured.get("current_score", 0.0))
    return replace(
        old,
        score=score,
        # Timing alone; what surrounds the pair is weighed afterwards, for all findings at once.
        risk=score,
        reasons=(),
        severity=severity(score),
        # Counts start again when records are past retention or a summary was dropped.
        connections=max(old.connections, summary.connections),
        bytes_out=max(old.bytes_out, summary.bytes_out),
        bytes_in=max(old.bytes_in, summary.bytes_in),
        first_seen=min(old.first_seen, summary.first_seen),
        last_seen=max(old.last_seen, summary.last_seen),
        updated_at=now_ns,
        returned_at=max(old.returned_at, _returned(old, summary, times)),
        last_check_in=max(old.last_check_in, int(times[-1])),
        process=summary.process or old.process,
        executable=summary.executable or old.executable,
        pid=summary.pid or old.pid,
        container=summary.container or old.container,
        sensor=summary.sensor or old.sensor,
        name=summary.name or old.name,
        addresses=max(old.addresses, summary.addresses),
        direction=summary.direction or old.direction,
        **measured,
    )


def _returned(old: Finding, summary: PairSummary, times: NDArray[np.int64]) -> int:
    """Return when (wall ns) the series came back after a silence of several intervals, else 0."""
    at = int(np.searchsorted(times, old.last_check_in, side="right"))
    if not old.last_check_in or at == len(times):
        return 0
    if int(times[at]) - old.last_check_in <= silence_limit(old.interval):
        return 0
    return summary.last_seen - (int(times[-1]) - int(times[at]))
