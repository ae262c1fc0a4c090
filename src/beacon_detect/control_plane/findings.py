"""The finding: the verdict on one series of a pair or a group of pairs, with its evidence.

One typed record crosses the borders between detector, store, alert manager
and API. It keeps the highest score ever reached beside the last one, so that
a beacon which pauses stays on the list; it says nothing about whether anybody
was told (alerts do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from beacon_detect.context.risk import risk_of
from beacon_detect.records import SECOND, hash_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.context import Adjustment

SeriesName = Literal["connections", "bursts", "name", "process"]
State = Literal["active", "silent"]

SILENT_AFTER_INTERVALS = 5.0
"""Expected check-ins that must fail to come before a finding counts as silent (taste)."""

SILENT_AFTER_SECONDS = 120.0
"""Shortest silence that counts: batches and passes arrive late by a minute or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One series judged to be a beacon; wall times in ns since the epoch, durations in seconds."""

    id: str
    """16 hexadecimal digits, the same for the same series for ever (see :func:`finding_ids`)."""
    pair_id: int
    """The pair, or the key of the group of pairs."""
    series: SeriesName
    """Which events were judged: the connections of a pair, the bursts inside them, or all activity
    of a source (``name``) or of a program (``process``) towards one destination name."""
    src: str
    dst: str
    """The address; of a group, that of its busiest pair."""
    dst_port: int
    protocol: str
    """``TCP``, ``UDP``, ``ICMP``, ``ICMPV6`` or the protocol's number."""

    score: float
    """Highest score reached so far, 0 to 1; never falls."""
    current_score: float
    """Score of the last pass that saw new records of the series."""
    risk: float
    """What ``score`` and the context make together, 0 to 1; ``score`` itself without context."""
    reasons: tuple[Adjustment, ...] = ()
    """The steps from ``score`` to ``risk``, strongest first."""
    severity: str
    """CRITICAL, HIGH, MEDIUM or LOW, of ``risk``."""
    base_score: float
    cv_score: float
    periodicity_score: float
    jitter_score: float

    interval: float
    """Typical time between check-ins."""
    jitter: float
    """Spread of the intervals as a fraction of ``interval``."""
    cv: float
    dominant_period: float
    """Period of the strongest line of the spectrum; 0 when there is none."""
    check_ins: int
    missed: int
    """Check-ins that should have come between the first and the last but did not."""
    connections_per_check_in: float
    configured_sleep: float = 0.0
    """The setting that the intervals suggest; 0 when unknown."""
    false_alarm: float = 1.0
    """Bound on the probability that chance shows a line as strong as ``dominant_period``."""
    episodes: int = 0
    size_regularity: float = 0.0
    """Share of the events whose sizes agree, in the direction where fewer do."""

    connections: int
    """Connections of the pair seen by the control plane (exact, not only those analyzed)."""
    bytes_out: int
    bytes_in: int
    first_seen: int
    last_seen: int
    detected_at: int
    """When a pass first judged the series to be a beacon."""
    updated_at: int
    """When a pass last looked at new records of the series."""
    returned_at: int = 0
    """First check-in after the last silence (wall ns); 0 when it was never silent."""
    last_check_in: int = 0
    """Newest event of the series on the clock that never steps (ns); for measuring silences."""

    process: str = ""
    executable: str = ""
    pid: int = 0
    container: str = ""
    sensor: str = ""
    name: str = ""
    """Name of the destination, where a sensor learned one."""
    addresses: int = 1
    """Destination addresses that the series is spread over."""
    direction: str = ""
    """``outbound``, ``inbound`` or empty, seen from the sensor."""
    evidence: str = ""
    """One plain sentence: why this is (or is not quite) a beacon."""

    @property
    def current_risk(self) -> float:
        """Risk of ``current_score``."""
        return risk_of(self.current_score, (reason.delta for reason in self.reasons))

    def state(self, now_ns: int) -> State:
        """Return ``silent`` when the beacon has not shown itself for several intervals."""
        return "silent" if now_ns - self.last_seen > silence_limit(self.interval) else "active"


def silence_limit(interval: float) -> int:
    """Return the silence (ns) after which a beacon of ``interval`` seconds counts as silent."""
    return int(silence_limits(np.array([interval]))[0])


def silence_limits(intervals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the silence (ns) after which beacons of each interval (s) count as silent."""
    seconds = np.maximum(SILENT_AFTER_INTERVALS * intervals, SILENT_AFTER_SECONDS)
    return (seconds * SECOND).astype(np.int64)


def finding_ids(pair_ids: NDArray[np.uint64], kinds: NDArray[Any]) -> list[str]:
    """Return the id of each series, given its pair and the code of its kind.

    Fixed for ever: stored findings, alerts and links in them depend on it.
    """
    return [f"{value:016x}" for value in hash_words(pair_ids, kinds.astype(np.uint64)).tolist()]
