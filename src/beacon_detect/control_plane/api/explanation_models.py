"""The shape of an explanation: one pair in full, from a live system or from files.

Apart from the lists' shapes, because only explanations have it. Every list in it
is bounded: by the analyzed events of a series (``control_plane.series_length``),
by :data:`MAX_EPISODES`, or by the bars of the histogram.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from beacon_detect.analysis import severity
from beacon_detect.analysis.attribution import GROUPS
from beacon_detect.analysis.features import FEATURES
from beacon_detect.control_plane.alerts.message import rfc3339
from beacon_detect.control_plane.api.models import Answer, Beacon, Moment, Reason, Severity
from beacon_detect.records import SECOND, protocol_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.analysis import Results
    from beacon_detect.analysis.attribution import Attribution
    from beacon_detect.analysis.explanation import SeriesExplanation
    from beacon_detect.context import Assessment
    from beacon_detect.control_plane.explanation import Explained
    from beacon_detect.control_plane.findings import SeriesName

SeriesNames = Literal["connections", "bursts", "name", "process"]

MAX_EPISODES = 50
"""Episodes listed, and changes of sleep; the best, and the latest."""


class Window(Answer):
    """A range of intervals, and how many lie in it."""

    low_seconds: float
    high_seconds: float
    count: int
    expected: int | None = Field(description="The most that a random source would put there")


class GroupShare(Answer):
    """What a group of features adds to the log odds of a beacon."""

    group: str
    meaning: str
    log_odds: float


class Comparison(Answer):
    """The model's log odds of a beacon, shared out over groups of features."""

    reference: float = Field(description="Log odds of what is compared with")
    groups: list[GroupShare] = Field(
        description="Strongest first; with the reference they add up to log_odds"
    )


class FeatureValue(Answer):
    """What the model saw."""

    name: str
    group: str
    value: float
    meaning: str


class Episode(Answer):
    """A run of check-ins between two silences."""

    start: Moment
    end: Moment
    check_ins: int
    interval_seconds: float
    jitter: float
    score: float
    leading: bool = Field(description="The finding is about this one")


class SleepChange(Answer):
    """The time between check-ins changed."""

    at: Moment
    before_seconds: float
    after_seconds: float


class IntervalHistogram(Answer):
    """How often each interval occurred in the leading episode."""

    edges_seconds: list[float]
    counts: list[int]
    explained: list[int] = Field(description="Of counts: in the window or near a multiple")
    multiples: list[int] = Field(
        description="1 where the bar lies in the densest window, k near k intervals, else 0"
    )
    longer: int = Field(description="Intervals beyond the last edge")


class Rhythm(Answer):
    """What the leading episode measures now."""

    score: float
    risk: float
    reasons: list[Reason] = Field(description="The steps from score to risk, strongest first")
    severity: Severity = Field(description="Of the risk")
    base_score: float
    cv_score: float
    periodicity_score: float
    jitter_score: float
    log_odds: float
    interval_seconds: float
    configured_sleep_seconds: float
    jitter: float
    cv: float
    check_ins: int
    missed_check_ins: int
    connections_per_check_in: float
    dominant_period_seconds: float
    false_alarm: float = Field(description="Most chance has of a line like the dominant period")
    size_regularity: float | None = Field(description="Share of events whose sizes agree")
    window: Window = Field(description="The densest window of intervals")
    second_window: Window | None = Field(description="The densest among those not explained")
    evidence: str
    compared_with_random: Comparison = Field(description="With random traffic of the same length")
    compared_with_clock: Comparison = Field(description="With a perfect rhythm")
    features: list[FeatureValue]

    @classmethod
    def of(cls, found: SeriesExplanation, assessment: Assessment, evidence: str) -> Rhythm:
        """Return the leading episode of a scored series."""
        results = found.episodes
        values = {name: getattr(results, name)[0].item() for name in _SAME_IN_RESULTS}
        alike = min(float(results.size_out[0]), float(results.size_in[0]))
        return cls(
            **values,
            risk=assessment.risk,
            reasons=[Reason(**asdict(reason)) for reason in assessment.reasons],
            severity=severity(assessment.risk),
            interval_seconds=float(results.interval[0]),
            configured_sleep_seconds=float(results.configured_sleep[0]),
            missed_check_ins=int(results.missed[0]),
            dominant_period_seconds=float(results.dominant_period[0]),
            size_regularity=alike if found.sized else None,
            window=_window(results),
            second_window=_second_window(results),
            evidence=evidence,
            compared_with_random=_comparison(found.against_random),
            compared_with_clock=_comparison(found.against_clock),
            features=_features(results),
        )


_SAME_IN_RESULTS = (
    "score", "base_score", "cv_score", "periodicity_score", "jitter_score", "log_odds", "jitter",
    "cv", "check_ins", "connections_per_check_in", "false_alarm",
)  # fmt: skip


class Measurement(Answer):
    """One series, measured when it was asked for."""

    series: SeriesNames
    events: int
    check_ins: int = Field(description="Of the whole series")
    rhythm: Rhythm | None = Field(description="Null with too few check-ins for a score")
    episodes: list[Episode] = Field(description="Best first, 50 at most")
    episodes_total: int
    sleep_changes: list[SleepChange] = Field(description="In the order of time, the latest 50")
    histogram: IntervalHistogram
    check_in_times: list[float] = Field(description="Seconds since the epoch, ascending")

    @classmethod
    def of(
        cls,
        found: SeriesExplanation,
        wall: NDArray[np.int64],
        series: SeriesName,
        assessment: Assessment | None,
        evidence: str,
    ) -> Measurement:
        """Return what was measured.

        Parameters
        ----------
        found
            The series.
        wall
            Wall time of each of its events, ns.
        series
            What its events are.
        assessment
            Risk and its reasons; None without a score.
        evidence
            What speaks for a beacon, in one sentence.
        """
        bars = found.histogram
        return cls(
            series=series,
            events=found.events,
            check_ins=len(found.check_ins),
            rhythm=None if assessment is None else Rhythm.of(found, assessment, evidence),
            episodes=_episodes(found.episodes, wall),
            episodes_total=len(found.episodes),
            sleep_changes=[
                SleepChange(
                    at=rfc3339(int(wall[change.event])),
                    before_seconds=change.before,
                    after_seconds=change.after,
                )
                for change in found.sleep_changes[-MAX_EPISODES:]
            ],
            histogram=IntervalHistogram(
                edges_seconds=bars.edges.tolist(),
                counts=bars.counts.tolist(),
                explained=bars.explained.tolist(),
                multiples=bars.multiples.tolist(),
                longer=bars.longer,
            ),
            check_in_times=(wall[found.check_ins] / SECOND).tolist(),
        )


def _window(results: Results) -> Window:
    return Window(
        low_seconds=float(results.window_low[0]),
        high_seconds=float(results.window_high[0]),
        count=int(results.window_count[0]),
        expected=math.floor(results.chance_share[0] * results.intervals[0]),
    )


def _second_window(results: Results) -> Window | None:
    if not results.second_count[0]:
        return None
    return Window(
        low_seconds=float(results.second_low[0]),
        high_seconds=float(results.second_high[0]),
        count=int(results.second_count[0]),
        expected=None,
    )


def _comparison(split: Attribution | None) -> Comparison:
    if split is None:
        raise ValueError("a series without a score has nothing to compare")
    shares = [
        GroupShare(group=group, meaning=GROUPS[group], log_odds=share)
        for group, share in split.groups.items()
    ]
    return Comparison(reference=split.reference, groups=shares)


def _features(results: Results) -> list[FeatureValue]:
    return [
        FeatureValue(name=one.name, group=one.group, value=value, meaning=one.meaning)
        for one, value in zip(FEATURES, results.features[0].tolist(), strict=True)
    ]


def _episodes(results: Results, wall: NDArray[np.int64]) -> list[Episode]:
    return [
        Episode(
            start=rfc3339(int(wall[results.first_event[row]])),
            end=rfc3339(int(wall[results.last_event[row]])),
            check_ins=int(results.check_ins[row]),
            interval_seconds=float(results.interval[row]),
            jitter=float(results.jitter[row]),
            score=float(results.score[row]),
            leading=row == 0,
        )
        for row in range(min(len(results), MAX_EPISODES))
    ]


class BeaconDetail(Beacon):
    """A finding with the series it was judged by, as far as its records are kept."""

    schema_: Literal["beacon-detect.beacon/1"] = Field("beacon-detect.beacon/1", alias="schema")
    times: list[float] = Field(description="Newest events, seconds since the epoch, ascending")
    intervals: list[float] = Field(description="Seconds between them, on a clock without steps")
    measured: Measurement | None = Field(description="Null where no record of it is kept")


class Explanation(Answer):
    """One pair, flagged or not: what it is, what it measures, and why it is (not) a finding."""

    schema_: Literal["beacon-detect.explanation/1"] = Field(
        "beacon-detect.explanation/1", alias="schema"
    )
    id: str = Field(description="Of the series; the finding has the same. Empty in files")
    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: str
    series: SeriesNames
    addresses: int = Field(description="Destination addresses that the series is spread over")
    connections: int
    first_seen: Moment
    last_seen: Moment
    bytes_out: int
    bytes_in: int
    process: str
    executable: str
    pid: int
    container: str
    sensor: str
    name: str
    direction: str
    flagged: bool = Field(description="It is listed as a beacon and alerted")
    verdict: str
    why_not: list[str] = Field(description="Plain reasons; empty where it is flagged")
    whitelisted_by: list[str]
    alert_threshold: float
    finding: Beacon | None = Field(description="What the passes found; null without a finding")
    measured: Measurement | None = Field(description="Null where no record of it is kept")
    times: list[float] = Field(description="Newest events, seconds since the epoch, ascending")
    intervals: list[float] = Field(description="Seconds between them, on a clock without steps")

    @classmethod
    def of(cls, explained: Explained, now_ns: int) -> Explanation:
        """Return what the control plane explained at wall time ``now_ns``."""
        pair = explained.subject.summary
        finding = explained.finding
        hidden = bool(explained.whitelisted_by)
        return cls(
            **{name: getattr(pair, name) for name in _SAME_IN_SUMMARY},
            id=explained.subject.id,
            src_ip=pair.src,
            dst_ip=pair.dst,
            protocol=protocol_name(pair.protocol),
            series=explained.subject.series,
            first_seen=rfc3339(pair.first_seen),
            last_seen=rfc3339(pair.last_seen),
            flagged=explained.verdict.flagged,
            verdict=explained.verdict.text,
            why_not=list(explained.verdict.why_not),
            whitelisted_by=explained.whitelisted_by,
            alert_threshold=explained.threshold,
            finding=None if finding is None else Beacon.of(finding, now_ns, whitelisted=hidden),
            measured=measured(explained),
            times=(explained.wall / SECOND).tolist(),
            intervals=(np.diff(explained.times) / SECOND).tolist(),
        )


_SAME_IN_SUMMARY = (
    "dst_port", "connections", "bytes_out", "bytes_in", "process", "executable", "pid",
    "container", "sensor", "name", "direction", "addresses",
)  # fmt: skip


def measured(explained: Explained) -> Measurement | None:
    """Return what was measured, None where no event was left."""
    if explained.found is None:
        return None
    return Measurement.of(
        explained.found,
        explained.wall,
        explained.subject.series,
        explained.assessment,
        explained.evidence,
    )
