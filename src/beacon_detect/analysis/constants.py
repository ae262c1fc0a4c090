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
MAX_COLLAPSE_SECONDS: Final = 300.0
"""A check-in lasts seconds to minutes; without this cap office days become 24 h check-ins (measured)."""
MIN_BURST_SHARE: Final = 0.05
"""A valley is worth a look when at least this share of the gaps lies below it (taste)."""
LONGEST_DROPPED: Final = 0.03
"""Share of intervals, the longest, that are not active time: nights and outages (measured)."""
CORE_FLOOR: Final = 0.02
"""Keeps a level that explains little time comparable with the others (taste)."""

# --- folding -----------------------------------------------------------------------------
MAX_MULTIPLE: Final = 6
"""Up to five check-ins in a row count as missed; more is a silence (measured)."""
MIN_HALF_WIDTH: Final = 0.03
"""A window is never narrower than 3 % of the interval to each side: clocks and networks jitter (taste)."""
FOLD_SLACK: Final = 1.15
"""Widens the window around multiples, whose jitter grows with the root of the multiple (measured)."""
FOLD_TOLERANCE_LIMIT: Final = 0.42
"""A tolerance near one half would explain any interval as a multiple (measured)."""

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
SPECTRUM_CHECK_INS: Final = 512
"""The newest check-ins a spectrum is made of; bounds the time of one series."""
