"""The numbers of the method, each with its unit and where it comes from.

Both implementations read them from here, so that they cannot drift apart.
Origins: "measured" values were chosen on generated series and real captures,
"taste" values only have to be reasonable.
"""

from __future__ import annotations

from typing import Final

# --- check-ins ---------------------------------------------------------------------------
DUPLICATE_GAP_NS: Final = 1_000_000
"""Events within a millisecond are one event seen twice (taste)."""
SECOND_NS: Final = 1_000_000_000
MAX_COLLAPSE_SECONDS: Final = 300.0
"""A check-in lasts seconds to minutes; without this cap office days become 24 h check-ins (measured)."""
MIN_BURST_SHARE: Final = 0.05
"""A valley is worth a look when at least this share of the gaps lies below it (taste)."""
LONGEST_DROPPED: Final = 0.03
"""Share of intervals, the longest, that are not active time: nights and outages (measured)."""
CLEARLY_MORE: Final = 1 + 1e-9
"""Of collapses that are equal but for rounding the first wins, whatever the order of sums."""
CORE_FLOOR: Final = 0.02
"""Keeps a level that explains little time comparable with the others (taste)."""
MERIT_FLOOR: Final = 0.01
"""Keeps the ratio of two merits finite where neither collapse has any (taste)."""
HALVES_BELOW: Final = (2, 1)
BELOW_SHARE: Final = 0.5
"""Where connections follow each other nearly as slowly as check-ins do, no valley lies between them: one
and two half octaves below the densest window are looked at, too, if half of the gaps are shorter (measured)."""
LARGE_CHECK_IN: Final = 3
"""Connections from which check-ins are also looked at alone: other traffic of a pair comes one by one (measured)."""
MOST_KEPT: Final = 0.95
"""Share of the check-ins above which leaving out the small ones changes nothing worth a look (taste)."""
WORTH_MERIT: Final = 0.1
WORTH_EVIDENCE: Final = 6.0
"""Merit over the best, and nats, from which the next best collapse is measured, too, and the model chooses;
a Poisson process reaches as many nats in one series of ten (measured)."""

BEYOND_DOUBT: Final = 5.0
"""Log odds from which the way with the most evidence leads, whatever the model says of the next best: between
two ways that are both surely a beacon's its preference means nothing.  One random series in some thousands
gets there (measured)."""

SHORTEST_INTERVAL: Final = 0.4
"""Seconds: faster rhythms are keystrokes and retries inside a wake-up, looked at last (taste)."""
SHORTEST_IN_SECONDS: Final = 4.5
"""The same where all events are whole seconds apart: up to four ticks of such a log are its own rhythm."""
RAPID_PENALTY: Final = 0.02
"""What the merit of a collapse counts when its intervals are that fast."""

# --- folding -----------------------------------------------------------------------------
MAX_MULTIPLE: Final = 6
"""Up to five check-ins in a row count as missed; more is a silence (measured)."""
MIN_HALF_WIDTH: Final = 0.03
"""A window is never narrower than 3 % of the interval to each side: clocks and networks jitter (taste)."""
FOLD_SLACK: Final = 1.15
"""Widens the window around multiples, whose jitter grows with the root of the multiple (measured)."""
FOLD_TOLERANCE_LIMIT: Final = 0.42
"""A tolerance near one half would explain any interval as a multiple (measured)."""
DIVISORS: Final = (2, 3, 4)
"""Where an implant is seen by day only, two to four of its sleeps may be the usual interval."""
DIVISOR_TOLERANCE_LIMIT: Final = 0.25
"""Tolerance, in sleeps, from which an interval says nothing about a shorter sleep (taste)."""
DIVISOR_SHARE: Final = 0.2
"""Share of the intervals that only the shorter sleep explains (measured)."""
DIVISOR_SINGLES: Final = 2
"""Single sleeps that must occur: two sleeps in turn have a common fraction, too, as short as nobody sleeps."""
HIDDEN_BY_NIGHT: Final = 72_000.0
"""Seconds: from such an interval on the night may hide every single sleep; sleeps of ten hours that are
seen during ten hours of the day only never show alone (measured)."""

# --- base score --------------------------------------------------------------------------
KEPT_SHARE: Final = 0.9
"""Share of the folded intervals that dispersion is measured on; the worst tenth is operators and outages."""
RESIDUAL_BINS: Final = 64
"""Resolution of the trimming: one 64th of the interval (taste)."""
CV_SHARPNESS: Final = 4.0
"""Slope of the CV score: 1 / (1 + (cv / threshold) ** 4), a logistic in the log of the cv (taste)."""
COHERENCE_SHARPNESS: Final = 2.0
"""Slope of the periodicity score in the odds (1 - R) / R of the coherence R (taste)."""
JITTER_SHARPNESS: Final = 2.0
"""Slope of the jitter score (taste)."""
JITTER_FLOOR: Final = 0.15
JITTER_CEILING: Final = 0.30
"""The tolerated deviation stays between these fractions of the interval, whatever the seconds say."""

EVIDENCE_NONE: Final = 9.0
EVIDENCE_FULL: Final = 15.0
"""Nats of concentration below and above which the CV and periodicity scores count nothing and fully.
A Poisson process reaches 8 in one series of a hundred after the search over windows and gaps, 10 in one
of a thousand; six perfect check-ins have 17 (measured)."""

# --- spectrum ----------------------------------------------------------------------------
BINS_PER_INTERVAL: Final = 8
SEGMENT_BINS: Final = 64
"""Eight intervals a segment: short enough that renewal jitter does not smear the line."""
SEGMENT_STEP: Final = 32
"""Half-overlapping segments, as Welch recommends for a Hann window."""
SPECTRUM_LOWEST: Final = 2
SPECTRUM_HIGHEST: Final = 12
"""Searched lines: periods of 4 to 2/3 intervals; the Hann window leaks the mean only into lines 0 and 1."""
EQUAL_POWER: Final = 1 - 1e-9
SPECTRUM_GAP_LIMIT: Final = 8.0
"""Longer gaps, in intervals, are cut to this: a silence holds no phase worth keeping."""
SPECTRUM_CHECK_INS: Final = 192
"""The newest check-ins a spectrum is made of; bounds the time of one series."""
PHASES: Final = 4_096
"""Steps of the phase table that coherence is read from; the error of one term is below a thousandth."""

# --- episodes ----------------------------------------------------------------------------
SILENCES: Final = tuple(30.0 * 2**step for step in range(17))
"""Seconds of silence at which series are cut: from half a minute to 22 days, in steps of two (taste)."""
SILENCE_INTERVALS: Final = 64.0
"""A silence ends an episode when it is longer than 64 (at most 128) of its own intervals: cut at less,
chance has so many runs to choose from that one of them is even (measured)."""
LONG_SILENCE: Final = 86_400.0
LONG_SILENCE_INTERVALS: Final = 16.0
"""Where that is more than a day, a day is enough, if it is at least 16 intervals (taste)."""

THINNEST_EPISODE: Final = 3.0
"""The mean gap of an episode is at most three intervals; beyond, two thirds would be missing."""
SHORTEST_EPISODE: Final = 10.0
"""Seconds: shorter runs are page loads; they are scored only where a series has nothing else (taste)."""

# --- features ----------------------------------------------------------------------------
FEATURE_STEPS: Final = 1e9
"""Features are rounded to a billionth: thresholds lie at shares and counts that sums in another order just miss."""
SHAPE_CHECK_INS: Final = 512
"""The newest check-ins that features of shape are measured on; bounds the time of one series."""
SURROUNDINGS: Final = 5
"""A window is compared with as many times its width around it: the share of a smooth density is one fifth."""
GROWTH_LEAST: Final = 1.3
GROWTH_MOST: Final = 3.5
"""A retry that backs off about doubles its wait: gaps that grow by a factor between these (measured)."""
LATE_INTERVALS: Final = 6.5
"""Longer intervals are silences, not sleeps: one more than half a step above ``MAX_MULTIPLE``."""
NEIGHBOUR_LIMITS: Final = (0.05, 0.1, 0.2, 0.35)
"""Differences of neighbouring log intervals whose shares are compared with chance."""
STEADY_VARIANCE: Final = 1e-6
SERIAL_OF_SCHEDULE: Final = -0.5
"""Neighbouring intervals of a strict schedule seen through any delay are correlated by minus one half;
where log intervals vary by less than a thousandth there is no delay to see, but it is one."""
SERIAL_PRIOR: Final = 20.0
"""The correlation is measured as if so many uncorrelated neighbours had been seen before (taste)."""
LEAST_DRIFT: Final = 0.001
LEAST_CV: Final = 0.005
"""Noise floors of the drift from a schedule and of the drift of a loop: a perfect beacon is on schedule."""
SECOND_WINDOW_NATS: Final = 3.0
"""Evidence a second window needs before it counts as a changed sleep (measured)."""
SECOND_WINDOW_FIRST_WIDTH: Final = 3
"""The second window skips the narrowest widths: few intervals always share a narrow bin (measured)."""
ROUNDING: Final = 1e-9
"""Perfect beacons fall exactly on window edges; this decides for the later window whatever the rounding."""
COVERAGE_INTERVALS: Final = 4.0
"""Width of the windows of which the share with a check-in is counted, in intervals (taste)."""
DAY_SECONDS: Final = 86_400.0
DAY_FLAG_SECONDS: Final = 72_000.0
"""Below 20 hours a day cycle cannot be told from anything."""
