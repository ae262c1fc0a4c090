"""A world to measure once: implants and traffic that nobody has tuned anything on.

It was written without running the detector.  Once its figures have steered a change
it is no holdout any more: write another one.  The implants follow habits of real
loops, timers and protocols; the traffic follows people, queues and events that
cause events.  Limit: both are our guesses, and the rest comes from known families.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from training import beacons, chance, worlds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from training.beacons import Sleeps, TimingModel
    from training.chance import ChanceModel, Times

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
CLOSED: Final = 0.004
"""Rate of an hour in which hardly anything happens, against one of full work."""
WORKDAY: Final = (
    (CLOSED,) * 7 + (0.4, 1.0, 1.3, 1.2, 1.0, 0.25, 0.8, 1.2, 1.1, 0.9, 0.5, 0.1) + (CLOSED,) * 5
)
WEEKEND: Final = (CLOSED,) * 9 + (0.03,) * 9 + (CLOSED,) * 6
OFFICE: Final = WORKDAY * 5 + WEEKEND * 2
WAKING: Final = (0.05,) * 7 + (0.6, 1.0, 1.0) + (0.8,) * 8 + (1.0, 1.2, 1.3, 1.0, 0.5, 0.15)
SHOP: Final = (
    ((CLOSED,) * 8 + (1.0, 0.8, 0.8, 1.2, 2.0, 1.1, 0.8, 0.9, 1.3, 2.4, 2.2, 0.9) + (CLOSED,) * 4)
    * 6
    + (CLOSED,) * 24
)  # fmt: skip


def daily_drift(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The sleep is drawn anew at each midnight and drifts by some percent until the next."""
    sleeps = np.empty(count)
    clock, base, drift = rng.uniform(0, DAY), 1.0, rng.uniform(-0.1, 0.1)
    for i in range(count):
        now = base * (1 + drift * (clock % DAY) / DAY)
        sleeps[i] = interval * now * rng.uniform(1 - jitter / 2, 1 + jitter / 2)
        later = clock + sleeps[i]
        if later // DAY > clock // DAY:
            base, drift = rng.uniform(1 - jitter / 2, 1 + jitter / 2), rng.uniform(-0.1, 0.1)
        clock = later
    return sleeps


def ticking_normal(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Normal jitter cut at two deviations, rounded up to ticks of 1/64 s, 0.1 s or 1 s."""
    draws = rng.normal(0, 1, (count, 8))
    inside = np.abs(draws) < 2
    draw = draws[np.arange(count), np.argmax(inside, axis=1)].clip(-2, 2)
    tick = (1 / 64, 0.1, 1.0)[rng.integers(3)]
    ticks = np.ceil(interval * (1 + jitter * draw / 2) / tick)
    return np.asarray(np.maximum(ticks, 1) * tick)


def working_loop(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A fixed sleep after work that takes longer the more is queued; at most three jobs a cycle."""
    arrivals = rng.poisson(0.3, count) + 8 * (rng.random(count) < 0.02)
    unit = interval * jitter * rng.gamma(2, 0.2, count)
    sleeps, queued = np.full(count, interval), 0
    for i in range(count):
        queued += int(arrivals[i])
        done = min(queued, 3)
        sleeps[i] += unit[i] * done * (1 + queued / 10)
        queued -= done
    return sleeps


def dealt_menu(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Three to six sleeps dealt like cards, each once a round, and a short random delay."""
    size = int(rng.integers(3, 7))
    menu = np.linspace(1 - jitter, 1 + jitter, size)
    dealt = rng.permuted(np.tile(menu, (count // size + 1, 1)), axis=1).ravel()[:count]
    return np.asarray(interval * (dealt + 0.1 * jitter * rng.gamma(2, 0.5, count)))


def clipped_exponential(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Exponential waits with a floor and a cap: many sleeps are exactly one of the two."""
    return interval * np.clip(rng.exponential(1, count), 1 - jitter, 1 + jitter)


def long_poll(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Requests that the server holds until it times out, or until there is something to do."""
    answered = rng.random(count) < 0.35 * jitter
    held = np.where(answered, rng.uniform(0.02, 1, count), 1.0)
    return interval * (held + rng.uniform(0, 0.1 * jitter, count))


def coalesced(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Timers that the system rounds up to its next wake-up, a few to an interval, after some work."""
    raster = interval / rng.integers(4, 16)
    work = rng.exponential(0.1 * jitter * interval + 1e-9, count)
    wanted = work + interval * rng.uniform(1 - jitter, 1, count)
    return np.asarray(np.ceil(wanted / raster - 1e-6) * raster)


def short_long(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """One to four short sleeps and then a long one, over and over."""
    cycle = [rng.uniform(0.05, 0.5)] * int(rng.integers(1, 5)) + [1.0]
    return interval * np.resize(cycle, count) * rng.uniform(1 - jitter / 2, 1 + jitter / 2, count)


def remembered_jitter(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Jitter that follows the machine's load: each one is near the last, all within bounds."""
    memory = rng.uniform(0.5, 0.95)
    load = rng.normal(0, 1, count)
    for i in range(1, count):
        load[i] = memory * load[i - 1] + np.sqrt(1 - memory**2) * load[i]
    return np.asarray(interval * (1 + jitter * np.tanh(0.8 * load)))


def doubling_on_failure(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The sleep doubles, to at most eight times, while the server does not answer."""
    breaks = rng.random(count) < rng.uniform(0.01, 0.05)
    returns = rng.random(count) < 0.5
    failures, steps = 0, np.zeros(count)
    for i in range(count):
        goes_on = failures > 0 and not returns[i]
        failures = min(failures + 1, 3) if goes_on or (breaks[i] and failures == 0) else 0
        steps[i] = failures
    return np.asarray(interval * 2.0**steps * rng.uniform(1, 1 + jitter / 2, count))


IMPLANTS: Final[tuple[TimingModel, ...]] = (
    daily_drift, ticking_normal, working_loop, dealt_menu, clipped_exponential,
    long_poll, coalesced, short_long, remembered_jitter, doubling_on_failure,
)  # fmt: skip
SEVERAL_SLEEPS: Final[tuple[TimingModel, ...]] = (short_long, doubling_on_failure)
"""Models with more than one sleep: no single interval describes them."""


def _follow(starts: Times, sizes: np.ndarray, gaps: Times) -> Times:
    """Return the starts, each followed by the rest of its group at the given gaps, sorted.

    ``gaps`` has one entry for each event of all groups; the first of a group is not used.
    """
    owner = np.repeat(np.arange(len(starts)), sizes)
    total = np.cumsum(gaps)
    first = np.cumsum(sizes) - sizes
    return np.sort(starts[owner] + total - total[first][owner])


def _by_hour(rng: Generator, rates: Sequence[float] | np.ndarray, even: Times) -> Times:
    """Stretch and squeeze times of an even rate so that the rate follows the hours of a cycle.

    The mean rate stays; the series begins at a random moment of the cycle.
    """
    cycle = len(rates) * HOUR
    passed = np.concatenate(([0.0], np.cumsum(np.asarray(rates) / np.mean(rates)))) * HOUR
    shifted = even + rng.uniform(0, cycle)
    inside = np.interp(shifted % cycle, passed, np.arange(len(rates) + 1) * HOUR)
    return np.asarray(shifted // cycle * cycle + inside)


def _served(arrivals: Times, service: Times) -> Times:
    """Return when each arrival leaves a queue with one server."""
    leaves = np.empty(len(arrivals))
    free = -np.inf
    for i, (arrival, needed) in enumerate(zip(arrivals, service, strict=True)):
        free = leaves[i] = max(arrival, free) + needed
    return leaves


def meetings(rng: Generator, scale: float, count: int) -> Times:
    """Somebody at work who is called away; no timer: work and absence last as long as they last."""
    gaps = scale * rng.weibull(0.8, count)
    away = rng.random(count) < rng.uniform(0.02, 0.08)
    return np.cumsum(gaps + away * scale * rng.gamma(2, 15, count))


def ad_auctions(rng: Generator, scale: float, count: int) -> Times:
    """Pages that ask bidders, then fetch the winners; no timer: pages come with reading.

    Advertisements that reload by themselves are left out: those have a timer.
    """
    pages = np.cumsum(3 * scale * rng.pareto(1.5, count // 7 + 3))
    bidders = rng.integers(3, 13, len(pages))
    bids = _follow(pages, bidders, rng.lognormal(np.log(0.03), 0.8, bidders.sum()))
    winners = pages[:, None] + 0.3 + rng.exponential(0.5, (len(pages), 2))
    seen = pages + rng.exponential(scale, len(pages))
    return np.sort(np.concatenate((bids, winners.ravel(), seen)))[:count]


def pipelines(rng: Generator, scale: float, count: int) -> Times:
    """Builds of commits, with quick corrections; no timer: people commit, steps take their time."""
    steps = int(rng.integers(3, 9))
    usual = scale * rng.lognormal(0, 1, steps)
    runs = count // steps * 2 + 3
    corrects = rng.random(runs) < 0.4
    correction = usual.sum() * rng.lognormal(0, 0.7, runs)
    pauses = np.where(corrects, correction, rng.exponential(4 * usual.sum(), runs))
    commits = _by_hour(rng, OFFICE, np.cumsum(pauses))
    ends = commits[:, None] + np.cumsum(usual * rng.lognormal(0, 0.3, (runs, steps)), axis=1)
    return np.sort(ends[rng.random(ends.shape) > 0.2])[:count]


def mail_threads(rng: Generator, scale: float, count: int) -> Times:
    """Messages that arrive at once, with threads; no timer: people answer in minutes or days."""
    size = rng.uniform(2, 6)
    starts = np.cumsum(rng.exponential(scale * size, int(2 * count / size) + 4))
    sizes = rng.geometric(1 / size, len(starts))
    even = _follow(starts, sizes, 0.3 * scale * rng.lognormal(0, 1.8, sizes.sum()))
    return _by_hour(rng, WAKING, even[:count])


def video_calls(rng: Generator, scale: float, count: int) -> Times:
    """Calls over bad wireless that reconnect after drops; no timer: drops come by chance."""
    size = rng.uniform(4, 15)
    calls = np.cumsum(rng.exponential(3 * size * scale, int(count / size) + 3))
    drops = rng.geometric(1 / size, len(calls))
    dropped = _follow(calls, drops, scale * rng.lognormal(-0.3, 1, drops.sum()))
    tries = rng.integers(1, 5, len(dropped))
    return _follow(dropped, tries, rng.lognormal(-0.5, 0.8, tries.sum()))[:count]


def shopping(rng: Generator, scale: float, count: int) -> Times:
    """Visits to a shop: glances and reading, a mixture of gamma laws; no timer: a person thinks."""
    size = rng.uniform(5, 30)
    visits = np.cumsum(rng.exponential(2 * size * scale, int(count / size) + 3))
    views = rng.geometric(1 / size, len(visits))
    glance = rng.random(views.sum()) < 0.6
    think = np.where(glance, rng.gamma(1.5, 0.2, len(glance)), rng.gamma(1.2, 1.7, len(glance)))
    viewed = _follow(visits, views, scale * think)
    requests = rng.geometric(0.6, len(viewed))
    return _follow(viewed, requests, rng.lognormal(np.log(0.08), 0.7, requests.sum()))[:count]


def volume_flush(rng: Generator, scale: float, count: int) -> Times:
    """Logs sent off whenever a buffer is full; no timer: a few messages of any size fill it.

    The rate of messages jumps, so that even long runs do not settle at one pace.
    """
    messages = 8 * count + 60
    regime = np.cumsum(rng.random(messages) < 0.03)
    slowness = rng.lognormal(0, 1, regime[-1] + 1)[regime]
    when = np.cumsum(rng.exponential(0.2 * scale * slowness))
    fills = np.floor(np.cumsum(rng.pareto(1.5, messages)) / rng.uniform(4, 10))
    return when[1:][np.diff(fills) > 0][:count]


def scanner_waves(rng: Generator, scale: float, count: int) -> Times:
    """Scanners from everywhere; no timer: each sends the next probe when the last is answered.

    Answers get slower and faster with the load.  Paced scanners are left out: those have a timer.
    """
    waves = int(rng.integers(2, 8))
    each = count // waves + 1
    starts = np.cumsum(rng.exponential(1.5 * scale * each, waves))
    load = np.exp(np.cumsum(rng.normal(0, 0.1, (waves, each)), axis=1))
    gaps = 0.3 * scale * load * rng.lognormal(0, 0.9, (waves, each))
    return np.sort((starts[:, None] + np.cumsum(gaps, axis=1)).ravel())


def shifts(rng: Generator, scale: float, count: int) -> Times:
    """Shift workers, some busier, with hand-overs and breaks; no timer: only the rate changes."""
    busy = np.repeat(rng.lognormal(0, 0.8, 63), 8)
    within = np.tile([2.0, 1.0, 1.0, 1.2, 0.3, 1.0, 1.0, 0.7], 63)
    return _by_hour(rng, busy * within, np.cumsum(rng.exponential(scale, count)))


def after_school(rng: Generator, scale: float, count: int) -> Times:
    """A child's games on some afternoons; no timer: matches and pauses are as long as they get."""
    days = np.full((28, 24), CLOSED)
    for number, day in enumerate(days):
        first, last = (10, 20) if number % 7 > 4 else (15, 19)
        day[first:last] = rng.random(last - first) < 0.7
    days[rng.random(28) < 0.4] = CLOSED
    match = rng.random(count) < 0.5
    gaps = np.where(match, rng.gamma(2, 0.7, count), rng.exponential(0.6, count))
    return _by_hour(rng, np.maximum(days, CLOSED).ravel(), np.cumsum(scale * gaps))


def print_queue(rng: Generator, scale: float, count: int) -> Times:
    """Documents that leave a printer's queue; no timer: people print, documents differ in length."""
    size = rng.uniform(1, 4)
    people = np.cumsum(rng.exponential(scale * size, int(2 * count / size) + 4))
    documents = rng.geometric(1 / size, len(people))
    arrivals = _follow(people, documents, rng.exponential(0.05 * scale, documents.sum()))[:count]
    even = _by_hour(rng, OFFICE, arrivals)
    return _served(even, 0.1 * scale * rng.lognormal(0, 1, len(even)))


def card_payments(rng: Generator, scale: float, count: int) -> Times:
    """Payments at a till with rush hours; no timer: customers come by chance and pack slowly."""
    customers = _by_hour(rng, SHOP, np.cumsum(rng.exponential(scale, count)))
    return _served(customers, 0.06 * scale * rng.lognormal(0, 0.8, count))


def refractory(rng: Generator, scale: float, count: int) -> Times:
    """Events that rule out another for a while; no timer: what ends the wait is still chance."""
    rest = rng.uniform(0.1, 0.5)
    return np.cumsum(scale * (rng.uniform(0, rest, count) + rng.exponential(1 - rest / 2, count)))


def power_law_hawkes(rng: Generator, scale: float, count: int) -> Times:
    """Events that cause others after power-law delays; no timer: delays have no typical length."""
    ratio, power = rng.uniform(0.5, 0.85), rng.uniform(0.4, 1.2)
    causes = np.cumsum(rng.exponential(scale / (1 - ratio), int(2 * count * (1 - ratio)) + 8))
    times, parents = [causes], causes
    while len(parents) and sum(map(len, times)) < 4 * count:
        parents = np.repeat(parents, rng.poisson(ratio, len(parents)))
        delays = (1 - rng.random(len(parents))) ** (-1 / power) - 1
        parents = parents + 0.02 * scale * delays
        parents = parents[parents < causes[-1]]
        times.append(parents)
    return np.sort(np.concatenate(times))[:count]


def even_weibull(rng: Generator, scale: float, count: int) -> Times:
    """Weibull intervals a little more even than chance; no timer: they vary by 64 % and more."""
    return np.cumsum(scale * rng.weibull(rng.uniform(1.2, 1.6), count))


def lunch_dip(rng: Generator, scale: float, count: int) -> Times:
    """An office with a lunch break and quiet weekends; no timer: only the rate follows the clock."""
    return _by_hour(rng, OFFICE, np.cumsum(rng.exponential(scale, count)))


def self_correcting(rng: Generator, scale: float, count: int) -> Times:
    """A pressure grows and each event relieves it; no timer: the rate rises, the moment is chance."""
    relief = rng.uniform(0.1, 0.8)
    pressure, gaps = 0.0, np.empty(count)
    for i, draw in enumerate(rng.exponential(1, count)):
        gaps[i] = np.log1p(relief * draw * np.exp(-pressure)) / relief
        pressure += relief * gaps[i] - relief
    return np.cumsum(scale * gaps)


TRAFFIC: Final[tuple[ChanceModel, ...]] = (
    meetings, ad_auctions, pipelines, mail_threads, video_calls, shopping, volume_flush, scanner_waves, shifts,
    after_school, print_queue, card_payments, refractory, power_law_hawkes, even_weibull, lunch_dip, self_correcting,
)  # fmt: skip

HOLDOUT: Final = worlds.Plan(
    70_919, 10_000, 30_000, 2_000, beacons.TRAINING + beacons.DEVELOPMENT, IMPLANTS,
    chance.TRAINING + chance.DEVELOPMENT, TRAFFIC, 0.5, 2 / 3,
)  # fmt: skip
