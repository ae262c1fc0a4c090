"""The named features of an episode: what each one means and to which part of the evidence it belongs.

The model file refers to features by these names; both implementations fill them
in this order.  All are dimensionless, so that a score does not depend on the
time scale.  Limit: sizes are not among them; timing and sizes are judged apart.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Feature(NamedTuple):
    """One feature: its name, group, direction (+1 beacon, -1 chance, 0 either, as others say) and meaning."""

    name: str
    group: str
    direction: int
    meaning: str


FEATURES: Final = (
    Feature("check_ins", "length", 0, "log2 of the number of check-ins"),
    Feature("core_share", "concentration", 1, "share of the intervals in the densest window"),
    Feature("explained", "concentration", 1, "share in the window or near a multiple of it"),
    Feature("explained_twice", "concentration", 1, "the same with a second window for a changed sleep"),
    Feature("evidence", "concentration", 1, "log(1 + nats) of the densest window against chance"),
    Feature("divergence", "concentration", 0, "nats per interval of the densest window"),
    Feature("octave_divergence", "concentration", 1, "nats per interval of the densest octave"),
    Feature("prominence", "concentration", 1, "log(1 + nats) of the best window against its surroundings"),
    Feature("window_width", "concentration", 0, "log2 of the ratio of the window's ends"),
    Feature("folded_cv", "regularity", 0, "root mean square of the folded residuals, each at most 1"),
    Feature("trimmed_cv", "regularity", 0, "coefficient of variation without the worst tenth"),
    Feature("log_spread", "regularity", -1, "log of the mean minus mean of the log: Moran's statistic"),
    Feature("quartiles", "regularity", 0, "octaves between the first and third quartile"),
    Feature("deciles", "regularity", -1, "octaves between the first and ninth decile"),
    Feature("explained_time", "counts", 1, "share of active time in explained intervals"),
    Feature("fano", "counts", -1, "log2 of the variance over the mean of counts in windows"),
    Feature("coverage", "counts", 1, "share of windows of four intervals that saw a check-in"),
    Feature("early", "counts", 0, "share of intervals shorter than the window"),
    Feature("late", "counts", 0, "share of intervals longer than six and a half"),
    Feature("halves", "counts", 0, "imbalance of check-ins between the halves, in log2"),
    Feature("serial", "local", 0, "correlation of neighbouring log intervals"),
    Feature("neighbours_close", "local", 1, "share of neighbouring intervals within 10 %"),
    Feature("neighbours_near", "local", 1, "share of neighbouring intervals within 35 %"),
    Feature("local_evidence", "local", 1, "log(1 + nats) of neighbouring similarity against chance"),
    Feature("weak_quarter", "local", 1, "explained share of the second worst quarter"),
    Feature("growth", "local", 0, "share of gaps between connections that grow, minus those that shrink"),
    Feature("schedule_lock", "local", 0, "log2 of the drift from a fixed schedule over the drift of a sleep loop"),
    Feature("coherence", "spectrum", 0, "mean resultant length at the dominant period"),
    Feature("line_power", "spectrum", 1, "log2 of the strongest spectral line over the Poisson level"),
    Feature("burst_shape", "bursts", 1, "share of check-ins with the usual number of connections"),
    Feature("burst_size", "bursts", 0, "log2 of the connections per check-in"),
    Feature("kept", "bursts", 0, "share of the check-ins that were not left out as too small"),
    Feature("collapses", "bursts", 0, "number of collapses that were worth a look"),
    Feature("runner_up", "bursts", 0, "log2 of the merit of the best other collapse over this one"),
    Feature("uncollapsed", "bursts", 0, "log2 of the merit without collapse over this one"),
    Feature("raw_merit", "bursts", 0, "log(1 + merit without collapse)"),
    Feature("day_hours", "day", 0, "share of the hours of a day that were active; -1 below 20 hours"),
)  # fmt: skip
"""The features in the order in which they are computed and stored."""


class FeatureColumns(NamedTuple):
    """Position of each feature, for code that fills them."""

    check_ins: int
    core_share: int
    explained: int
    explained_twice: int
    evidence: int
    divergence: int
    octave_divergence: int
    prominence: int
    window_width: int
    folded_cv: int
    trimmed_cv: int
    log_spread: int
    quartiles: int
    deciles: int
    explained_time: int
    fano: int
    coverage: int
    early: int
    late: int
    halves: int
    serial: int
    neighbours_close: int
    neighbours_near: int
    local_evidence: int
    weak_quarter: int
    growth: int
    schedule_lock: int
    coherence: int
    line_power: int
    burst_shape: int
    burst_size: int
    kept: int
    collapses: int
    runner_up: int
    uncollapsed: int
    raw_merit: int
    day_hours: int


FEATURE: Final = FeatureColumns(*range(len(FEATURES)))
FEATURE_NAMES: Final = FeatureColumns._fields
