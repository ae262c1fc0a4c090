"""Timing models of implants: how long each one sleeps before the next check-in.

Each function draws ``count`` sleeps in seconds for a configured interval and a
jitter between 0 and 1.  The models follow the public sources of the frameworks
they are named after; where none is named they are our guesses at what comes
next.  Limit: network delay is added elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

Sleeps = np.ndarray
TimingModel = Callable[[Generator, float, float, int], Sleeps]


def cobalt(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Cobalt Strike: the jitter only shortens the sleep."""
    return interval * rng.uniform(1 - jitter, 1, count)


def symmetric(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Havoc, Empire, PoshC2: uniform to both sides."""
    return interval * rng.uniform(1 - jitter, 1 + jitter, count)


def sliver(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Sliver: a fixed sleep plus a uniform one."""
    return interval + rng.uniform(0, 2 * jitter * interval, count)


def gaussian(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Home-made loops with normal jitter."""
    return interval * np.maximum(rng.normal(1, jitter / 2, count), 0.05)


def cron(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A fixed schedule; each run starts a random delay after its slot."""
    delay = rng.uniform(0, min(jitter, 0.5) * interval, count + 1)
    return interval + np.diff(delay)


def dns_cache(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """DNS channels behind a cache: the time to live plus an exponential wait."""
    return interval * (1 - jitter / 2) + rng.exponential(interval * jitter / 2 + 1e-9, count)


def merlin(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Merlin: an absolute skew, two check-ins back to back at the start, recovery after errors."""
    sleeps = interval + rng.uniform(0, jitter * interval, count)
    sleeps[rng.random(count) < 0.02] += 0.5 * interval
    sleeps[0] = 0.02 * interval
    return sleeps


def metasploit(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Metasploit reverse HTTP: waits grow with each empty poll up to a cap, a task resets them."""
    ramp = np.minimum(np.arange(1, count + 1) * 0.1, 1.0)
    for start in np.flatnonzero(rng.random(count) < 0.02 * jitter):
        ramp[start:] = np.minimum(np.arange(1, count - start + 1) * 0.1, 1.0)
    sleeps: Sleeps = interval * ramp * rng.uniform(1, 1 + 0.05 * jitter, count)
    return sleeps


def beta(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Jitter drawn from a beta law, dense in the middle."""
    return interval * (1 - jitter + 2 * jitter * rng.beta(2, 2, count))


def two_states(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A fast and a slow mode that alternate for long stretches."""
    fast = np.cumsum(rng.random(count) < 4 / max(count, 8)) % 2 == 1
    scale = np.where(fast, rng.uniform(0.1, 0.5), 1.0)
    return interval * scale * rng.uniform(1 - jitter, 1 + jitter, count)


def bimodal(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Two sleeps in random order."""
    short = rng.uniform(0.4, 0.8)
    pick = np.where(rng.random(count) < 0.5, short, 1.0)
    return interval * pick * rng.uniform(1 - jitter / 3, 1 + jitter / 3, count)


def rotating(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """One of two or three hosts in rotation, as one of them sees it: every second or third sleep."""
    hosts = int(rng.integers(2, 4))
    sleeps = interval / hosts * rng.uniform(1 - jitter, 1 + jitter, (count, hosts))
    turns: Sleeps = sleeps.sum(axis=1)
    return turns


def lognormal(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Multiplicative jitter."""
    return interval * rng.lognormal(0, jitter * 0.6, count)


def triangular(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Jitter from a triangular law."""
    return interval * rng.triangular(1 - jitter, 1, 1 + jitter + 1e-9, count)


def floor_and_tail(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A fixed floor and an exponential rest."""
    return interval * (1 - jitter / 2 + rng.exponential(jitter / 3 + 1e-9, count))


def daily_redraw(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The base sleep is drawn anew after each stretch of a fifth of the series."""
    stretch = np.arange(count) * 5 // max(count, 1)
    base = rng.uniform(1 - jitter, 1 + jitter, 5)[stretch]
    return interval * base * rng.uniform(0.95, 1.05, count)


def list_of_five(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """One of five configured sleeps at random."""
    choices = rng.uniform(1 - jitter, 1 + jitter, 5)
    return interval * rng.choice(choices, count) * rng.uniform(0.99, 1.01, count)


def adaptive(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The sleep drifts: each one is a small random step from the last."""
    walk = np.cumsum(rng.normal(0, 0.06 + 0.1 * jitter, count))
    drift: Sleeps = np.exp(np.abs((walk + 1) % 4 - 2) - 1)
    return interval * drift * rng.uniform(0.95, 1.05, count)


TRAINING: Final[tuple[TimingModel, ...]] = (cobalt, symmetric, sliver, gaussian, cron, dns_cache)
DEVELOPMENT: Final[tuple[TimingModel, ...]] = (
    merlin, metasploit, beta, two_states, bimodal, rotating,
)  # fmt: skip
FINAL: Final[tuple[TimingModel, ...]] = (
    lognormal, triangular, floor_and_tail, daily_redraw, list_of_five, adaptive,
)  # fmt: skip
SEVERAL_SLEEPS: Final[tuple[TimingModel, ...]] = (metasploit, two_states, bimodal, adaptive)
"""Models with more than one sleep: no single interval describes them."""
