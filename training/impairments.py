"""What networks, people and working hours do to the check-ins of an implant.

Each function takes and returns sorted event times in seconds.  Limit: the rates
are assumptions; they are harsher than most captures we have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

Times = np.ndarray
DAY = 86_400.0
SECONDS_PER_EVENT = 3.0
FEWEST = 7
"""A beacon keeps as many check-ins as a verdict needs; fewer are watched by design."""


def lose(rng: Generator, times: Times, share: float) -> Times:
    """Drop a random share of the check-ins."""
    kept = times[rng.random(len(times)) >= share]
    return kept if len(kept) >= FEWEST else times


def multiply(rng: Generator, times: Times) -> tuple[Times, Times]:
    """Open up to six connections per check-in, one after another; the sleep begins after the last.

    Returns the times and the seconds each check-in takes, by which the interval after it grows.
    """
    usual = int(rng.integers(2, 7))
    varies = rng.random() < 0.4
    sizes = rng.integers(1, usual + 1, len(times)) if varies else np.full(len(times), usual)
    delays = np.cumsum(rng.exponential(rng.uniform(0.01, 0.4), (len(times), usual)), axis=1)
    delays -= delays[:, :1]
    busy = delays[np.arange(len(times)), sizes - 1]
    starts = times + np.cumsum(busy) - busy
    wanted = np.arange(usual) < sizes[:, None]
    return (starts[:, None] + delays)[wanted], busy


def task(rng: Generator, times: Times, interval: float) -> Times:
    """Let an operator work for a while: many quick requests in a few sessions."""
    sessions = int(rng.integers(1, 4))
    extra = [
        start + np.cumsum(rng.lognormal(np.log(min(interval / 10, 3.0)), 0.8, rng.integers(5, 40)))
        for start in rng.choice(times, sessions)
    ]
    return np.sort(np.concatenate((times, *extra)))


def command(rng: Generator, times: Times, most: float = 0.4) -> Times:
    """Let an operator give commands: the implant works, answers, and only then sleeps again.

    A twentieth of the check-ins at least and the share ``most`` at most bring one.
    """
    given = rng.random(len(times)) < rng.uniform(0.05, most)
    usual = np.exp(rng.uniform(np.log(0.5), np.log(60)))
    work = np.where(given, usual * rng.lognormal(0, 0.8, len(times)), 0.0)
    starts = times + np.cumsum(work) - work
    return np.sort(np.concatenate((starts, (starts + work)[given])))


def contaminate(rng: Generator, times: Times, share: float) -> Times:
    """Add unrelated events on the same pair."""
    extra = rng.uniform(times[0], times[-1], max(int(share * len(times)), 1))
    return np.sort(np.concatenate((times, extra)))


def interrupt(rng: Generator, times: Times) -> Times:
    """Cut an outage of 5 to 30 % of the span out of the series."""
    span = times[-1] - times[0]
    start = times[0] + rng.uniform(0.1, 0.6) * span
    end = start + rng.uniform(0.05, 0.3) * span
    kept = times[(times < start) | (times > end)]
    return kept if len(kept) >= FEWEST else times


def sleep_at_night(rng: Generator, times: Times) -> Times:
    """Keep only the check-ins between eight and six of a shifted day."""
    hour = ((times + rng.uniform(0, DAY)) % DAY) / 3_600
    kept = times[(hour >= 8) & (hour < 18)]
    return kept if len(kept) >= FEWEST else times


def whole_seconds(times: Times) -> Times:
    """Round down to a clock of whole seconds."""
    stamped: Times = np.floor(times)
    return stamped


def slower_than_clock(times: Times) -> bool:
    """Tell whether a clock of whole seconds can show the rhythm: any denser traffic beats in seconds."""
    return bool(times[-1] - times[0] >= SECONDS_PER_EVENT * len(times))
