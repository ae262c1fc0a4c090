"""A world to measure once: implants and traffic that nobody has tuned anything on.

It was written without running the detector and without looking at any score.  Once its
figures have steered a change it is no holdout any more: write another one.  The implants
follow habits of real loops, timers and authors; the traffic follows people, queues and
machines that answer to people.  Limit: both are our guesses, and the rest comes from
known families.
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
QUIET: Final = 0.005
"""Rate of an hour in which next to nothing happens, against one of full activity."""
DESK: Final = ((QUIET,) * 8 + (0.7, 1.2, 1.1, 0.9, 0.6, 1.0, 1.1, 0.9, 0.6) + (QUIET,) * 7) * 5 + (
    QUIET,
) * 48
TRIPS: Final = (
    (QUIET,) * 5
    + (0.3, 1.2, 2.2, 1.8, 0.5, 0.2, 0.2, 0.3, 0.3, 0.4, 0.8, 1.6, 2.0, 1.3, 0.6, 0.4, 0.3, 0.2)
    + (0.05,)
)  # fmt: skip
AWAKE: Final = (0.02,) * 6 + (0.3, 0.8, 0.6, 0.5, 0.5, 0.6, 0.8, 0.6, 0.5, 0.6, 0.8) + (
    (1.0, 1.2, 1.5, 1.6, 1.4, 0.8, 0.2)
)  # fmt: skip
LEISURE: Final = ((QUIET,) * 17 + (0.2, 0.4, 0.6, 0.7, 0.5, 0.2, QUIET)) * 5 + (
    (QUIET,) * 9 + (0.6, 1.0, 1.2, 0.9, 1.0, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 1.8, 1.0, 0.4, 0.1)
) * 2


def naps(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A sleep cut into naps to outwait a sandbox: their number is drawn, each lasts too long."""
    usual = int(rng.integers(4, 25))
    taken = rng.integers(max(round(usual * (1 - jitter)), 1), usual + 1, count)
    return np.asarray(interval / usual * (taken + 0.1 * jitter * rng.standard_gamma(taken)))


def busy_ticker(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A ticker that saves one missed tick for late work; each call comes at the end of the work."""
    work = jitter * rng.gamma(1.5, 0.4, count + 1)
    calls, start = np.empty(count + 1), 0.0
    for i in range(count + 1):
        calls[i] = start + work[i]
        start = max(calls[i], np.floor(start) + 1)
    return interval * np.diff(calls)


def twin_copies(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Two copies on one host, started one after the other; each keeps its own time."""
    starts = np.cumsum(rng.uniform(1 - jitter, 1 + jitter, (2, count + 1)), axis=1)
    starts[1] += rng.uniform(0.05, 0.95)
    return np.asarray(interval * np.maximum(np.diff(np.sort(starts.ravel()))[:count], 1e-6))


def weak_generator(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Jitter from a home-made congruential generator that soon repeats its numbers."""
    size = 2 ** int(rng.integers(4, 8))
    factor, step = 4 * int(rng.integers(1, size // 4)) + 1, 2 * int(rng.integers(size // 2)) + 1
    numbers = np.empty(count)
    state = int(rng.integers(size))
    for i in range(count):
        numbers[i] = state = (factor * state + step) % size
    return np.asarray(interval * (1 + jitter * (2 * numbers / (size - 1) - 1)))


def working_hours(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The implant is silent at night by configuration and starts afresh in the morning."""
    closes = rng.uniform(8, 12) * HOUR
    sleeps = interval * rng.uniform(1 - jitter, 1 + jitter, count)
    late = rng.uniform(0, jitter * min(interval, HOUR), count)
    clock = 0.0
    for i in range(count):
        day, passed = divmod(clock + sleeps[i], DAY)
        if passed > closes:
            sleeps[i] = (day + 1) * DAY + late[i] - clock
        clock += sleeps[i]
    return sleeps


def coin_skips(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A loop that wakes on time and tosses a coin whether to call home or to sleep once more."""
    rounds = rng.geometric(1 - jitter / 2, count)
    return interval * rounds * rng.uniform(1 - jitter / 10, 1 + jitter / 10, count)


def server_paced(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """The server says in whole seconds when to come back: later at the busy hours of its day."""
    clock, noise = rng.uniform(0, DAY), rng.uniform(-0.3, 0.3, count)
    sleeps = np.empty(count)
    for i in range(count):
        load = 0.6 * np.sin(2 * np.pi * clock / DAY) + noise[i]
        sleeps[i] = np.ceil(interval * (1 + jitter * load))
        clock += sleeps[i]
    return sleeps


def lid_closed(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A timer that stands still while the laptop is shut, and then sleeps out the rest."""
    shut = rng.random(count) < 0.03
    away = np.where(shut, rng.lognormal(0.5, 0.8, count), 0.0)
    return interval * (rng.uniform(1 - jitter / 2, 1 + jitter / 2, count) + away)


def drawn_plan(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """A plan with the same number of check-ins for each period, moved towards drawn moments."""
    size = int(rng.integers(4, 25))
    periods = np.arange(count // size + 2)[:, None]
    drawn = np.sort(rng.random((len(periods), size)), axis=1)
    moments = periods + (1 - jitter) * (np.arange(size) + 0.5) / size + jitter * drawn
    return np.asarray(interval * size * np.diff(moments.ravel())[:count])


def chunked_upload(rng: Generator, interval: float, jitter: float, count: int) -> Sleeps:
    """Some check-ins send a stolen file in blocks at a quick pace before the next sleep."""
    found = rng.random(count) < rng.uniform(0.02, 0.1)
    blocks = np.where(found, rng.integers(2, 13, count), 0)
    sleeps = np.full(count + blocks.sum(), rng.uniform(0.01, 0.1))
    sleeps[np.cumsum(blocks + 1) - 1] = 1.0
    return interval * sleeps[:count] * rng.uniform(1 - jitter / 2, 1 + jitter / 2, count)


IMPLANTS: Final[tuple[TimingModel, ...]] = (
    naps, busy_ticker, twin_copies, weak_generator, working_hours,
    coin_skips, server_paced, lid_closed, drawn_plan, chunked_upload,
)  # fmt: skip
SEVERAL_SLEEPS: Final[tuple[TimingModel, ...]] = (
    twin_copies, working_hours, coin_skips, chunked_upload,
)  # fmt: skip
"""Models with more than one sleep: no single interval describes them."""


def _since(marks: np.ndarray) -> np.ndarray:
    """Return for each place how many places ago the last mark, or the beginning, was."""
    places = np.arange(len(marks))
    return np.asarray(places - np.maximum.accumulate(np.where(marks, places, 0)))


def _at_hours(rng: Generator, hours: Sequence[float] | np.ndarray, even: Times) -> Times:
    """Move times of an even rate so that their rate follows the hours, from a random moment on."""
    share = np.cumsum(hours) / np.sum(hours)
    turns, place = np.divmod(even / (len(hours) * HOUR) + rng.random(), 1.0)
    hour = np.interp(place, np.concatenate(([0.0], share)), np.arange(len(hours) + 1))
    return np.asarray((turns * len(hours) + hour) * HOUR)


def turn_game(rng: Generator, scale: float, count: int) -> Times:
    """Moves of two players, slowest in the middle of a game; no timer: people think."""
    ends = rng.random(count) < rng.uniform(0.015, 0.05)
    move = _since(ends)
    hard = 0.2 + move / 15 * np.exp(1 - move / 15)
    gaps = hard * rng.lognormal(-0.5, 1, (2, count)).sum(axis=0)
    return np.cumsum(scale * (gaps + ends * rng.exponential(20, count)))


def help_desk(rng: Generator, scale: float, count: int) -> Times:
    """Calls taken by a few agents; no timer: callers come by chance, talks differ in length."""
    agents = int(rng.integers(2, 7))
    calls = _at_hours(rng, DESK, np.cumsum(rng.exponential(scale, count)))
    talks = rng.uniform(0.05, 0.2) * agents * scale * rng.lognormal(0, 0.9, count)
    taken, free = np.empty(count), np.full(agents, -np.inf)
    for i in range(count):
        agent = np.argmin(free)
        taken[i] = max(calls[i], free[agent])
        free[agent] = taken[i] + talks[i]
    return taken


def drifting_interest(rng: Generator, scale: float, count: int) -> Times:
    """Visits while interest comes and goes; no timer: the rate wanders and the moment is chance."""
    memory, mood = rng.uniform(0.9, 0.995), rng.normal(0, 1, count)
    for i in range(1, count):
        mood[i] = memory * mood[i - 1] + np.sqrt(1 - memory**2) * mood[i]
    return np.cumsum(scale * np.exp(rng.uniform(0.5, 1.5) * mood) * rng.exponential(1, count))


def news_stories(rng: Generator, scale: float, count: int) -> Times:
    """Readers of stories, first many and then ever fewer; no timer: word spreads by chance."""
    size = rng.uniform(8, 40)
    stories = np.cumsum(rng.exponential(scale * size, int(2 * count / size) + 8))
    readers = np.repeat(stories, rng.geometric(1 / size, len(stories)))
    late = (1 - rng.random(len(readers))) ** (-1 / rng.uniform(0.6, 1.5)) - 1
    return np.sort(readers + 0.5 * scale * late)[:count]


def commuters(rng: Generator, scale: float, count: int) -> Times:
    """Looks at a travel map at rush hours; no timer: each traveller looks when in doubt."""
    size = rng.uniform(1, 4)
    trips = np.cumsum(rng.exponential(scale * size, int(2 * count / size) + 8))
    looks = np.repeat(trips, rng.geometric(1 / size, len(trips)))
    looks += scale * rng.exponential(rng.uniform(0.05, 1), len(looks))
    return _at_hours(rng, TRIPS, np.sort(looks)[:count])


def ticket_sales(rng: Generator, scale: float, count: int) -> Times:
    """Sales for shows, most at the start and at the end; no timer: buyers decide one by one."""
    shows = int(rng.integers(1, 6))
    sold = count // shows + 1
    spans = scale * sold * rng.lognormal(0, 0.5, (shows, 1))
    opens = rng.uniform(0, scale * count, (shows, 1))
    return np.sort((opens + spans * rng.beta(0.4, 0.7, (shows, sold))).ravel())


def send_on_delta(rng: Generator, scale: float, count: int) -> Times:
    """A sensor that reports each change by a set amount; no timer: what it measures wanders.

    How long a random walk takes to leave a band is a sum of ever shorter exponential times.
    """
    parts = 8 / (np.pi * (2 * np.arange(12) + 1)) ** 2
    weather = np.cumsum(rng.random(count) < 0.02)
    slowness = rng.lognormal(0, 0.8, weather[-1] + 1)[weather]
    return np.cumsum(scale * slowness * (rng.exponential(1, (count, 12)) @ parts))


def decisions(rng: Generator, scale: float, count: int) -> Times:
    """Inverse Gaussian waits of somebody who weighs things up; no timer: doubt takes its time."""
    return np.cumsum(scale * rng.wald(1, rng.uniform(0.3, 1.8), count))


def lru_misses(rng: Generator, scale: float, count: int) -> Times:
    """Lookups that a cache of limited size has to pass on; no timer: room is what runs out."""
    names = int(rng.integers(50, 400))
    room, popular = int(names * rng.uniform(0.05, 0.3)), np.cumsum(1 / np.arange(1, names + 1))
    cache: dict[int, None] = {}
    missed: list[float] = []
    when = 0.0
    while len(missed) < count:
        when += scale * rng.exponential(0.3)
        name = int(np.searchsorted(popular, rng.uniform(0, popular[-1])))
        if name not in cache:
            missed.append(when)
        cache.pop(name, None)
        cache[name] = None
        if len(cache) > room:
            del cache[next(iter(cache))]
    return np.array(missed)


def classroom(rng: Generator, scale: float, count: int) -> Times:
    """Answers of pupils, some quicker, to questions; no timer: thinking takes its time."""
    pupils = int(rng.integers(4, 25))
    questions = int(1.5 * count / pupils) + 3
    asked = np.cumsum(scale * pupils * rng.gamma(1.3, 0.8, questions))
    usual = 0.2 * scale * pupils * rng.lognormal(0, 0.5, pupils)
    answers = asked[:, None] + usual * rng.lognormal(0, 0.6, (questions, pupils))
    return np.sort(answers[rng.random(answers.shape) < 0.8])[:count]


def peer_swarm(rng: Generator, scale: float, count: int) -> Times:
    """Peers that join and leave; no timer: they come by chance and stay for heavy-tailed times."""
    joins = np.cumsum(rng.exponential(2 * scale, count))
    leaves = joins + scale * rng.uniform(0.5, 20) * rng.pareto(1.3, count)
    return np.sort(np.concatenate((joins, leaves)))[:count]


def habits(rng: Generator, scale: float, count: int) -> Times:
    """Pauses much like one of any earlier time, or new; no timer: a habit is kept only roughly."""
    gaps, rough = rng.lognormal(0, 1.5, count), rng.lognormal(0, 0.5, count)
    earlier = rng.integers(0, np.maximum(np.arange(count), 1))
    for i in np.flatnonzero(rng.random(count) < rng.uniform(0.3, 0.8)):
        gaps[i] = gaps[earlier[i]] * rough[i]
    return np.cumsum(scale * gaps)


def household(rng: Generator, scale: float, count: int) -> Times:
    """People of one home, early and late risers; no timer: each does what comes to mind."""
    people = int(rng.integers(2, 5))
    each = count // people + 1
    paces = scale * people * rng.lognormal(0, 0.5, people)
    lives = [
        _at_hours(rng, AWAKE, np.cumsum(pace * gaps))
        for pace, gaps in zip(paces, rng.weibull(0.6, (people, each)), strict=True)
    ]
    return np.sort(np.concatenate([life - life[0] + rng.exponential(scale) for life in lives]))


def warehouse_picks(rng: Generator, scale: float, count: int) -> Times:
    """Goods scanned along an aisle; no timer: the way to the next shelf and the search vary."""
    way = np.abs(np.diff(rng.random(count + 1)))
    waits = rng.random(count) < rng.uniform(0.02, 0.15)
    idle = np.where(waits, rng.exponential(8, count), 0.0)
    return np.cumsum(scale * (1.5 * way + rng.exponential(0.5, count) + idle))


def photo_uploads(rng: Generator, scale: float, count: int) -> Times:
    """Albums of any size in an upload queue; no timer: people take photos, mostly at weekends."""
    sizes = np.minimum(rng.zipf(1.8, count), count // 4 + 2)
    albums = np.repeat(np.cumsum(rng.exponential(2 * scale, count)), sizes)[:count]
    needed = rng.uniform(0.02, 0.3) * scale * rng.lognormal(0, 1, count)
    total = np.cumsum(needed)
    return total + np.maximum.accumulate(_at_hours(rng, LEISURE, albums) - total + needed)


def practice(rng: Generator, scale: float, count: int) -> Times:
    """Exercises of a learner who gets quicker; no timer: skill, tasks and pauses set the pace."""
    skill = (1 + np.arange(count) / 10) ** -rng.uniform(0.1, 0.5)
    rests = rng.random(count) < rng.uniform(0.02, 0.08)
    gaps = skill * rng.lognormal(0, rng.uniform(0.7, 1.1), count)
    return np.cumsum(scale * (gaps + rests * rng.exponential(15, count)))


def assistant_talk(rng: Generator, scale: float, count: int) -> Times:
    """Questions to a machine that looks things up; no timer: steps vary, a person reads."""
    asks = rng.random(count) < rng.uniform(0.15, 0.5)
    steps = np.concatenate(([0], _since(asks)[:-1]))
    reads = (1 + steps) * rng.lognormal(0, 1, count)
    leaves = (rng.random(count) < 0.05) * rng.exponential(60, count)
    works = rng.uniform(0.02, 0.3) * rng.lognormal(0, 0.9, count)
    return np.cumsum(scale * np.where(asks, reads + leaves, works))


TRAFFIC: Final[tuple[ChanceModel, ...]] = (
    turn_game, help_desk, drifting_interest, news_stories, commuters, ticket_sales,
    send_on_delta, decisions, lru_misses, classroom, peer_swarm, habits, household,
    warehouse_picks, photo_uploads, practice, assistant_talk,
)  # fmt: skip

HOLDOUT: Final = worlds.Plan(
    81_233, 10_000, 30_000, 2_000, beacons.TRAINING + beacons.DEVELOPMENT, IMPLANTS,
    chance.TRAINING + chance.DEVELOPMENT, TRAFFIC, 0.5, 2 / 3,
)  # fmt: skip
