"""Traffic without a timer: people, jobs and protocols that answer to them.

Each function draws the event times, in seconds, of about ``count`` events with a
time scale of ``scale`` seconds.  Limit: real traffic mixes these; a mixture is
one of the families.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

Times = np.ndarray
ChanceModel = Callable[[Generator, float, int], Times]
DAY: Final = 86_400.0


def _clusters(rng: Generator, starts: Times, size: float, spread: float) -> Times:
    """Return the starts, each followed by a geometric number of events at exponential gaps."""
    sizes = rng.geometric(1 / size, len(starts))
    owner = np.repeat(np.arange(len(starts)), sizes)
    gaps = rng.exponential(spread, len(owner))
    total = np.cumsum(gaps)
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    return np.sort(starts[owner] + total - total[first][owner])


def poisson(rng: Generator, scale: float, count: int) -> Times:
    """Independent events."""
    return np.cumsum(rng.exponential(scale, count))


def pareto(rng: Generator, scale: float, count: int) -> Times:
    """Heavy-tailed intervals."""
    return np.cumsum(scale * np.minimum(rng.pareto(rng.uniform(0.8, 2), count), 1e4))


def lognormal(rng: Generator, scale: float, count: int) -> Times:
    """Intervals of human reading."""
    return np.cumsum(scale * rng.lognormal(0, rng.uniform(0.7, 2), count))


def page_loads(rng: Generator, scale: float, count: int) -> Times:
    """Bursts of connections, one burst a page."""
    size = rng.uniform(3, 20)
    pages = np.cumsum(scale * rng.lognormal(0, rng.uniform(0.8, 1.5), max(int(count / size), 3)))
    return _clusters(rng, pages, size, rng.uniform(0.02, 0.5))


def sessions(rng: Generator, scale: float, count: int) -> Times:
    """Hours of page loads with hours of nothing."""
    size = rng.uniform(10, 40)
    starts = np.cumsum(rng.exponential(scale * 60, max(int(count / size), 2)))
    return _clusters(rng, starts, size, scale * rng.uniform(0.3, 1))


def office_days(rng: Generator, scale: float, count: int) -> Times:
    """Random events between eight and six on working days."""
    inside = np.cumsum(rng.exponential(scale, count))
    open_seconds = 10 * 3_600.0
    day = np.floor(inside / open_seconds)
    return np.floor(day / 5) * 2 * DAY + day * DAY + 8 * 3_600 + inside % open_seconds


def hyperexponential(rng: Generator, scale: float, count: int) -> Times:
    """Two rates in random order."""
    slow = rng.random(count) < rng.uniform(0.05, 0.4)
    return np.cumsum(rng.exponential(np.where(slow, scale, scale * rng.uniform(0.01, 0.2))))


def streams(rng: Generator, scale: float, count: int) -> Times:
    """Media: chunks while somebody watches, faster while the buffer fills."""
    watched = int(rng.integers(2, 8))
    each = max(count // watched, 4)
    starts = np.cumsum(rng.exponential(scale * each * 2, watched))
    gaps = scale * rng.gamma(3, 1 / 3, (watched, each))
    gaps[:, : each // 4] *= 0.15
    return np.sort((starts[:, None] + np.cumsum(gaps, axis=1)).ravel())


def cached_lookups(rng: Generator, scale: float, count: int) -> Times:
    """Browsing behind a cache: lookups at least a time to live apart."""
    raw = np.cumsum(rng.exponential(scale * 0.5, count * 2))
    raw = raw[np.concatenate(([True], np.diff(raw) > 0.02 * scale))]
    return _clusters(rng, raw, rng.uniform(1, 2), 0.05 * scale)


def gamma(rng: Generator, scale: float, count: int) -> Times:
    """Gamma intervals between clumped and slightly even."""
    return np.cumsum(scale * rng.gamma(rng.uniform(0.3, 1.6), 1, count))


def weibull(rng: Generator, scale: float, count: int) -> Times:
    """Weibull intervals."""
    return np.cumsum(scale * rng.weibull(rng.uniform(0.4, 1.3), count))


def neyman_scott(rng: Generator, scale: float, count: int) -> Times:
    """Clusters around Poisson parents."""
    size = rng.uniform(2, 15)
    parents = np.cumsum(rng.exponential(scale, max(int(count / size), 4)))
    return _clusters(rng, parents, size, scale * rng.uniform(0.01, 0.3))


def tabs(rng: Generator, scale: float, count: int) -> Times:
    """Several open pages, each revisited at its own random pace."""
    tabs_open = int(rng.integers(2, 6))
    each = max(count // tabs_open, 2)
    paces = scale * rng.uniform(0.5, 4, (tabs_open, 1))
    visits = np.cumsum(paces * rng.exponential(1, (tabs_open, each)), axis=1)
    return np.sort(visits.ravel())


def backoff(rng: Generator, scale: float, count: int) -> Times:
    """Retries that double their wait until an answer comes."""
    step = int(rng.integers(0, 7))
    waits = np.empty(count)
    for i in range(count):
        step = 0 if rng.random() < 0.2 else min(step + 1, 9)
        waits[i] = 2.0**step
    return np.cumsum(scale * 0.1 * waits * rng.uniform(0.8, 1.2, count))


def power_law_bursts(rng: Generator, scale: float, count: int) -> Times:
    """Priority-queue behaviour: bursts at all scales."""
    return np.cumsum(scale * 0.01 * np.minimum((1 - rng.random(count)) ** -1.2, 1e5))


def circadian(rng: Generator, scale: float, count: int) -> Times:
    """A rate that follows the day."""
    inside = np.cumsum(rng.exponential(scale, count * 2))
    keep = rng.random(len(inside)) < 0.5 * (1 + np.sin(2 * np.pi * inside / DAY))
    return inside[keep]


def chat(rng: Generator, scale: float, count: int) -> Times:
    """Message exchanges: quick answers, long pauses."""
    return np.cumsum(
        scale * np.where(rng.random(count) < 0.15, 20, 1) * rng.lognormal(-1, 1, count)
    )


def parallel(rng: Generator, scale: float, count: int) -> Times:
    """Downloads over several connections at once."""
    size = int(rng.integers(4, 9))
    starts = np.cumsum(rng.exponential(scale, max(count // size, 4)))
    return np.sort((starts[:, None] + rng.exponential(0.02, (len(starts), size))).ravel())


def daily_sessions(rng: Generator, scale: float, count: int) -> Times:
    """One session a day at about the same hour."""
    days = np.arange(max(count // 20, 3)) * DAY + rng.normal(0, 3_600, max(count // 20, 3))
    return _clusters(rng, np.sort(days), 20, min(scale, 120.0))


def modulated(rng: Generator, scale: float, count: int) -> Times:
    """A Poisson process whose rate jumps between three levels."""
    level = np.cumsum(rng.random(count) < 0.03) % 3
    return np.cumsum(rng.exponential(scale * np.array([1.0, 0.1, 6.0])[level]))


def loglogistic(rng: Generator, scale: float, count: int) -> Times:
    """Log-logistic intervals."""
    u = rng.uniform(1e-6, 1 - 1e-6, count)
    return np.cumsum(scale * (u / (1 - u)) ** (1 / rng.uniform(1.1, 2.2)))


def cascade(rng: Generator, scale: float, count: int) -> Times:
    """Self-exciting events: each one may cause another soon after."""
    times = list(np.cumsum(rng.exponential(scale, max(count // 3, 4))))
    children = times
    while children and len(times) < 3 * count:
        children = [
            parent + rng.exponential(0.1 * scale)
            for parent in children
            for _ in range(rng.poisson(0.65))
        ]
        times.extend(children)
    return np.sort(np.array(times))


def typed_search(rng: Generator, scale: float, count: int) -> Times:
    """Search as you type: keystrokes a fifth of a second apart, then minutes of reading."""
    words = max(count // 10, 3)
    starts = np.cumsum(rng.exponential(max(scale, 20.0), words))
    keys = np.cumsum(rng.lognormal(np.log(0.2), 0.5, (words, 10)), axis=1)
    return np.sort((starts[:, None] + keys).ravel())


def jobs(rng: Generator, scale: float, count: int) -> Times:
    """Batch jobs whose steps take as long as they take."""
    steps = int(rng.integers(3, 8))
    durations = scale * rng.lognormal(0, 1, steps)
    runs = max(count // steps, 3)
    waits = durations * rng.lognormal(0, 0.5, (runs, steps))
    waits[:, 0] += rng.exponential(scale * 10, runs)
    return np.cumsum(waits.ravel())


def game(rng: Generator, scale: float, count: int) -> Times:
    """Matches of about the same length with lobbies between."""
    rounds = np.where(rng.random(count) < 0.3, rng.exponential(2, count), rng.gamma(4, 0.25, count))
    return np.cumsum(scale * rounds)


def reconnect(rng: Generator, scale: float, count: int) -> Times:
    """A broken link: waits grow to a cap, interrupted by working stretches."""
    waits = scale * 0.05 * 2.0 ** np.minimum(np.arange(count) % rng.integers(4, 9), 6)
    works = rng.random(count) < 0.15
    return np.cumsum(
        np.where(works, rng.exponential(scale * 10, count), waits) * rng.uniform(0.7, 1.3, count)
    )


def feed(rng: Generator, scale: float, count: int) -> Times:
    """Somebody scrolls: fetches come with the scrolling."""
    fast = np.cumsum(rng.random(count) < 0.1) % 2 == 0
    return np.cumsum(scale * np.where(fast, 0.1, 1.0) * rng.gamma(1.2, 1, count))


def duty_cycle(rng: Generator, scale: float, count: int) -> Times:
    """A device awake for random spells."""
    spells = max(count // 15, 3)
    starts = np.cumsum(rng.exponential(scale * 30, spells))
    return _clusters(rng, starts, 15, scale)


def mixture(rng: Generator, scale: float, count: int) -> Times:
    """Two independent sources on one pair."""
    first = poisson(rng, scale, count // 2 + 2)
    second = page_loads(rng, scale * rng.uniform(1, 5), count // 2 + 2)
    return np.sort(np.concatenate((first, second)))


def served(rng: Generator, scale: float, count: int) -> Times:
    """Work in stages, one customer after another: more even than chance, the less the fewer stages."""
    stages = rng.uniform(1.5, 4)
    return np.cumsum(scale * rng.gamma(stages, 1 / stages, count))


def tracks(rng: Generator, scale: float, count: int) -> Times:
    """Songs, episodes, scans: each takes about as long as the others."""
    return np.cumsum(scale * rng.lognormal(0, rng.uniform(0.5, 0.8), count))


TRAINING: Final[tuple[ChanceModel, ...]] = (
    poisson, pareto, lognormal, page_loads, sessions, office_days, hyperexponential, streams, cached_lookups,
)  # fmt: skip
DEVELOPMENT: Final[tuple[ChanceModel, ...]] = (
    gamma, weibull, neyman_scott, tabs, backoff, power_law_bursts, circadian, chat, parallel, daily_sessions,
)  # fmt: skip
FINAL: Final[tuple[ChanceModel, ...]] = (
    modulated, loglogistic, cascade, typed_search, jobs, game, reconnect, feed, duty_cycle, mixture,
)  # fmt: skip
EVEN: Final[tuple[ChanceModel, ...]] = (served, tracks)
"""Intervals that vary by half their mean or more: no timer, and more even than any family above."""
