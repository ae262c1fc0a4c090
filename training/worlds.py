"""Three worlds of labelled series: training, development and final.

Development and final mix families never trained on with known ones under other
seeds, so that a figure says what happens with implants nobody has seen.  Every
series is drawn from its own seed: a world is the same however many processes
make it.  Limit: one pair is one source; no two series share an event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from beacon_detect.analysis.types import MIN_CHECK_INS, SeriesBatch
from training import beacons, chance, impairments, services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from training.beacons import TimingModel

CHANCE: Final = 0
BEACON: Final = 1
SERVICE: Final = 2
MONTH: Final = 30 * 86_400.0
CLOCK: Final = "clock"
CLOCK_SEED: Final = 505
EARLY_SEED: Final = 707
EARLY_CHECK_INS: Final = 30
EARLY_COMMANDS: Final = 0.7
"""The most that a young implant has checked in, and the largest share of its check-ins that bring work."""
NETWORK_DELAY: Final = 0.02
"""Mean seconds that the network adds to a sleep."""
FEWEST_SLEEPS: Final = MIN_CHECK_INS - 1
EXACT: Final = 0.06
"""Share of beacons without any jitter; without them the trees learn that perfection is not a beacon's."""


@dataclass(frozen=True)
class World:
    """Labelled series.

    Parameters
    ----------
    batch
        The series.
    label
        ``CHANCE``, ``BEACON`` or ``SERVICE`` of each.
    family
        Name of the model that drew it.
    jitter, interval
        Configured jitter and usual (median) interval in seconds; NaN unless a beacon.
    spread
        The jitter that was drawn: nine intervals in ten lie within this share of the usual one.
        Several sleeps in turn spread more than each of them is configured to; NaN unless a beacon.
    check_ins
        Check-ins drawn before any were lost.
    impaired
        Names of the impairments, joined by commas.
    window
        Seconds of observation around each series.
    """

    batch: SeriesBatch
    label: np.ndarray
    family: np.ndarray
    jitter: np.ndarray
    interval: np.ndarray
    spread: np.ndarray
    check_ins: np.ndarray
    impaired: np.ndarray
    window: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """One labelled series, times in seconds."""

    times: np.ndarray
    label: int
    family: str
    jitter: float = math.nan
    interval: float = math.nan
    spread: float = math.nan
    check_ins: int = 0
    impaired: str = ""


@dataclass(frozen=True)
class Plan:
    """How a world is drawn: its seed, sizes and families; ``new`` ones make up ``share`` of it.

    A beacon sleeps at least ``fewest`` times: a fit that has never seen six check-ins
    believes them to be chance.
    """

    seed: int
    beacons: int
    chances: int
    services: int
    known_beacons: Sequence[TimingModel]
    new_beacons: Sequence[TimingModel]
    known_chances: Sequence[chance.ChanceModel]
    new_chances: Sequence[chance.ChanceModel]
    share_beacons: float
    share_chances: float
    fewest: int = 8


TRAINING: Final = Plan(
    101, 64_000, 96_000, 4_000, beacons.TRAINING, beacons.TRAINING, chance.TRAINING, chance.TRAINING, 0.5, 0.5,
    FEWEST_SLEEPS,
)  # fmt: skip
DEVELOPMENT: Final = Plan(
    202, 64_000, 112_000, 4_000, beacons.TRAINING, beacons.DEVELOPMENT, chance.TRAINING, chance.DEVELOPMENT, 0.5, 0.5,
    FEWEST_SLEEPS,
)  # fmt: skip
EVEN: Final = Plan(606, 0, 8_000, 0, (), (), chance.EVEN, chance.EVEN, 0.5, 0.5)
"""Traffic more even than chance, for the fit alone."""
FINAL: Final = Plan(
    303, 10_000, 30_000, 2_000, beacons.TRAINING + beacons.DEVELOPMENT, beacons.FINAL,
    chance.TRAINING + chance.DEVELOPMENT, chance.FINAL, 0.5, 2 / 3,
)  # fmt: skip


def draw_jitter(rng: Generator) -> float:
    """Draw a jitter: a few without, four fifths below one half, one fifth between one half and 90 %."""
    if rng.random() < EXACT:
        return 0.0
    if rng.random() < 0.8:
        low, high = ((0.0, 0.05), (0.05, 0.2), (0.2, 0.35), (0.35, 0.5))[rng.integers(4)]
    else:
        low, high = ((0.5, 0.7), (0.7, 0.9))[rng.integers(2)]
    return float(rng.uniform(low, high))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw from a law that is uniform in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def impair(
    rng: Generator, times: np.ndarray, interval: float
) -> tuple[np.ndarray, np.ndarray, str]:
    """Apply a random choice of impairments; return times, seconds of each check-in and names."""
    names: list[str] = []
    busy = np.zeros(1)

    def happens(name: str, probability: float) -> bool:
        chosen = rng.random() < probability
        if chosen:
            names.append(name)
        return bool(chosen)

    if happens("missing", 0.5):
        times = impairments.lose(rng, times, rng.uniform(0.02, 0.4))
    if times[-1] - times[0] > 2 * impairments.DAY and happens("nights", 0.3):
        times = impairments.sleep_at_night(rng, times)
    if happens("outage", 0.15):
        times = impairments.interrupt(rng, times)
    if happens("bursts", 0.45):
        times, busy = impairments.multiply(rng, times)
    if happens("operator", 0.3):
        times = impairments.task(rng, times, interval)
    if happens("commands", 0.1):
        times = impairments.command(rng, times)
    if happens("contamination", 0.2):
        times = impairments.contaminate(rng, times, rng.uniform(0.02, 0.2))
    if impairments.slower_than_clock(times) and happens("whole seconds", 0.15):
        times = impairments.whole_seconds(times)
    return times, busy, ",".join(names)


def draw_beacon(
    rng: Generator, model: beacons.TimingModel, fewest: int, *, clean: bool = False
) -> Drawn:
    """Draw one beacon with its impairments."""
    interval, jitter = log_uniform(rng, 1, 86_400), draw_jitter(rng)
    most = max(min(3_000.0, MONTH / interval), 9.0)
    count = int(log_uniform(rng, fewest, most))
    sleeps = model(rng, interval, jitter, count)
    changed = not clean and count >= 20 and rng.random() < 0.17
    if changed:
        sleeps[int(count * rng.uniform(0.2, 0.8)) :] *= log_uniform(rng, 0.1, 10)
    delay = 0.0 if rng.random() < 2 * EXACT else NETWORK_DELAY
    slept = sleeps + rng.exponential(delay, count)
    times = np.concatenate(([0.0], np.cumsum(slept)))
    times, busy, impaired = (times, np.zeros(1), "") if clean else impair(rng, times, interval)
    # From start to start: what an implant does before it sleeps belongs to the interval.
    usual, spread = interval_and_spread(slept + np.resize(busy, count))
    if changed:
        impaired, usual = f"{impaired},sleep change".strip(","), math.nan
    return Drawn(times, BEACON, model.__name__, jitter, usual, spread, count + 1, impaired)


def interval_and_spread(intervals: np.ndarray) -> tuple[float, float]:
    """Return the usual interval, seconds, and the share of it within which nine in ten lie."""
    usual = float(np.median(intervals))
    return usual, float(np.quantile(np.abs(intervals / usual - 1), 0.9))


def impair_chance(rng: Generator, times: np.ndarray) -> tuple[np.ndarray, str]:
    """Apply what happens to any traffic; return times and names.

    What only beacons suffered would tell them apart: a constant number of
    connections at a time, say.
    """
    names: list[str] = []

    def happens(name: str, probability: float) -> bool:
        chosen = rng.random() < probability
        if chosen:
            names.append(name)
        return bool(chosen)

    if happens("missing", 0.3):
        times = impairments.lose(rng, times, rng.uniform(0.02, 0.4))
    if happens("outage", 0.1):
        times = impairments.interrupt(rng, times)
    if happens("bursts", 0.35):
        times, _ = impairments.multiply(rng, times)
    if happens("contamination", 0.1):
        times = impairments.contaminate(rng, times, rng.uniform(0.02, 0.2))
    if impairments.slower_than_clock(times) and happens("whole seconds", 0.15):
        times = impairments.whole_seconds(times)
    return times, ",".join(names)


def draw_chance(rng: Generator, model: chance.ChanceModel) -> Drawn:
    """Draw one series without a timer."""
    count = int(log_uniform(rng, 8, 3_000))
    scale = log_uniform(rng, 0.5, min(86_400.0, MONTH / count))
    times, impaired = impair_chance(rng, model(rng, scale, count))
    return Drawn(times, CHANCE, model.__name__, check_ins=len(times), impaired=impaired)


def draw_service(rng: Generator) -> Drawn:
    """Draw one benign service with a timer."""
    service = services.SERVICES[rng.integers(len(services.SERVICES))]
    count = int(log_uniform(rng, 8, 1_000))
    times = np.cumsum(services.sleeps(rng, service, count))
    if rng.random() < 0.5:
        times = impairments.lose(rng, times, rng.uniform(0.0, 0.2))
    return Drawn(times, SERVICE, service.name, check_ins=count)


def make(plan: Plan, scale: float = 1.0) -> World:
    """Draw a world.

    Parameters
    ----------
    plan
        Families, sizes and seed.
    scale
        Factor on the sizes, for quick tries.
    """
    drawn: list[Drawn] = []
    sizes = (plan.chances, plan.beacons, plan.services)
    for label, size in zip((CHANCE, BEACON, SERVICE), sizes, strict=True):
        for number in range(int(size * scale)):
            rng = np.random.default_rng((plan.seed, label, number))
            drawn.append(draw_one(rng, plan, label))
    return assemble(drawn, plan.seed)


def clocks(count: int) -> World:
    """Draw perfect beacons of every length and interval, which the ceiling of the scores is made of."""
    drawn: list[Drawn] = []
    for number in range(count):
        rng = np.random.default_rng((CLOCK_SEED, number))
        interval = log_uniform(rng, 1, 86_400)
        check_ins = int(log_uniform(rng, 7, max(min(3_000.0, MONTH / interval), 9.0)))
        times = np.arange(check_ins) * interval
        drawn.append(Drawn(times, BEACON, CLOCK, 0.0, interval, 0.0, check_ins))
    return assemble(drawn, CLOCK_SEED)


def early(count: int) -> World:
    """Draw implants soon after they came: few check-ins, nothing lost, and every second one is put to work.

    Beside impaired ones of all lengths they are rare, and they are what has to be found first.
    """
    pool = beacons.TRAINING + beacons.DEVELOPMENT
    drawn: list[Drawn] = []
    for number in range(count):
        rng = np.random.default_rng((EARLY_SEED, number))
        model = pool[int(rng.integers(len(pool)))]
        interval, jitter = log_uniform(rng, 1, 86_400), draw_jitter(rng)
        sleeps = int(log_uniform(rng, FEWEST_SLEEPS, EARLY_CHECK_INS))
        slept = model(rng, interval, jitter, sleeps) + rng.exponential(NETWORK_DELAY, sleeps)
        times, impaired = np.concatenate(([0.0], np.cumsum(slept))), ""
        if number % 2:
            times, impaired = impairments.command(rng, times, EARLY_COMMANDS), "commands"
        usual, spread = interval_and_spread(slept)
        one = Drawn(times, BEACON, model.__name__, jitter, usual, spread, sleeps + 1, impaired)
        drawn.append(one)
    return assemble(drawn, EARLY_SEED)


def draw_one(rng: Generator, plan: Plan, label: int) -> Drawn:
    """Draw one series of a class from the plan's known or new families."""
    if label == SERVICE:
        return draw_service(rng)
    if label == BEACON:
        pool = plan.new_beacons if rng.random() < plan.share_beacons else plan.known_beacons
        return draw_beacon(rng, pool[int(rng.integers(len(pool)))], plan.fewest)
    chances = plan.new_chances if rng.random() < plan.share_chances else plan.known_chances
    return draw_chance(rng, chances[int(rng.integers(len(chances)))])


def assemble(drawn: Sequence[Drawn], seed: int) -> World:
    """Place each series at random in a window and join them into one batch.

    The window is 1 to 10 times the span, so that an episode has silence before and after it.
    """
    rng = np.random.default_rng((seed, 9))
    windows, series = [], []
    for one in drawn:
        span = float(one.times[-1] - one.times[0])
        window = span * log_uniform(rng, 1, 10) + 1.0
        start = rng.uniform(0, window - span)
        if "whole seconds" in one.impaired:
            start = math.floor(start)
        series.append(np.rint((one.times - one.times[0] + start) * 1e9).astype(np.int64))
        windows.append(window)
    return World(
        batch=SeriesBatch.from_lists(series),
        label=np.array([one.label for one in drawn]),
        family=np.array([one.family for one in drawn]),
        jitter=np.array([one.jitter for one in drawn]),
        interval=np.array([one.interval for one in drawn]),
        spread=np.array([one.spread for one in drawn]),
        check_ins=np.array([one.check_ins for one in drawn]),
        impaired=np.array([one.impaired for one in drawn]),
        window=np.array(windows),
    )
