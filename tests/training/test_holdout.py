"""The holdout is the same every time, new to every other world, and its traffic has no timer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training import beacons, chance, evaluate, holdout, worlds

SEEDS = range(8)
JITTERS = (0.0, 0.05, 0.5, 0.9)
WITHOUT_TIMER = 0.3
"""More than any share that untimed gaps reach in a window 20 % wide, less than a timer's."""


def small() -> worlds.World:
    return worlds.make(replace(holdout.HOLDOUT, beacons=40, chances=60, services=10))


def crowding(times: np.ndarray) -> float:
    """Return the largest share of gaps within 20 % of each other.

    The longer half of them is judged alone too, since bursts hide a timer; half as many
    gaps crowd more by chance, hence the divisor.
    """
    gaps = np.sort(np.diff(times))
    gaps = gaps[gaps > 0]
    shares = [
        np.max(np.searchsorted(part, part * 1.2, side="right") - np.arange(len(part))) / len(part)
        for part in (gaps, gaps[len(gaps) // 2 :])
    ]
    return float(max(shares[0], shares[1] / 1.5))


@pytest.mark.parametrize("model", holdout.IMPLANTS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("jitter", JITTERS)
@pytest.mark.parametrize("interval", [1.0, 60.0, 86_400.0])
def test_implants_sleep_for_positive_times_near_the_interval(
    model: beacons.TimingModel, jitter: float, interval: float
) -> None:
    for seed in SEEDS:
        sleeps = model(np.random.default_rng(seed), interval, jitter, 50)

        assert sleeps.shape == (50,)
        assert sleeps.dtype == np.float64
        assert np.all(sleeps > 0)
        assert 0.1 < sleeps.mean() / interval < 4


@pytest.mark.parametrize("model", holdout.IMPLANTS, ids=lambda model: model.__name__)
def test_jitter_spreads_the_sleeps_of_implants(model: beacons.TimingModel) -> None:
    spread = [
        np.mean([np.std(model(np.random.default_rng(s), 60.0, j, 200)) for s in SEEDS])
        for j in (0.0, 0.9)
    ]

    assert spread[0] < spread[1]


@pytest.mark.parametrize("model", holdout.TRAFFIC, ids=lambda model: model.__name__)
@pytest.mark.parametrize("scale", [0.5, 30.0, 3_600.0])
@pytest.mark.parametrize("count", [8, 60, 1_000])
def test_traffic_ascends_and_has_about_the_asked_length(
    model: chance.ChanceModel, scale: float, count: int
) -> None:
    for seed in SEEDS:
        times = model(np.random.default_rng(seed), scale, count)

        assert 0.75 * count <= len(times) <= 1.25 * count + 7
        assert np.all(np.isfinite(times))
        assert np.all(np.diff(times) >= 0)
        assert times[-1] > times[0]


@pytest.mark.parametrize("model", holdout.TRAFFIC, ids=lambda model: model.__name__)
@pytest.mark.parametrize("scale", [30.0, 600.0])
def test_no_traffic_is_a_disguised_timer(model: chance.ChanceModel, scale: float) -> None:
    drawn = [crowding(model(np.random.default_rng(seed), scale, 400)) for seed in SEEDS]

    assert max(drawn) < WITHOUT_TIMER


def test_a_timer_with_a_third_of_jitter_would_not_pass_for_traffic() -> None:
    for seed in SEEDS:
        sleeps = beacons.symmetric(np.random.default_rng(seed), 60.0, 0.33, 400)

        assert crowding(np.cumsum(sleeps)) > WITHOUT_TIMER


@pytest.mark.parametrize("model", holdout.IMPLANTS, ids=lambda model: model.__name__)
def test_implants_repeat_themselves_with_the_same_seed(model: beacons.TimingModel) -> None:
    first, second = (model(np.random.default_rng(4), 60.0, 0.3, 50) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("model", holdout.TRAFFIC, ids=lambda model: model.__name__)
def test_traffic_repeats_itself_with_the_same_seed(model: chance.ChanceModel) -> None:
    first, second = (model(np.random.default_rng(4), 10.0, 50) for _ in range(2))

    assert np.array_equal(first, second)


def test_the_holdout_is_drawn_the_same_twice() -> None:
    first, second = small(), small()

    assert np.array_equal(first.batch.times, second.batch.times)
    assert first.family.tolist() == second.family.tolist()
    assert first.impaired.tolist() == second.impaired.tolist()


def test_no_other_world_knows_a_family_or_the_seed() -> None:
    others = [plan for plan in vars(worlds).values() if isinstance(plan, worlds.Plan)]
    known = {
        model.__name__
        for plan in others
        for pool in (plan.known_beacons, plan.new_beacons, plan.known_chances, plan.new_chances)
        for model in pool
    }
    new = [model.__name__ for model in holdout.IMPLANTS + holdout.TRAFFIC]

    assert len(others) >= 3
    assert len(holdout.IMPLANTS) >= 6
    assert len(holdout.TRAFFIC) >= 10
    assert len(set(new)) == len(new)
    assert known.isdisjoint(new)
    assert holdout.HOLDOUT.seed not in {plan.seed for plan in others}


def test_half_of_the_beacons_and_two_thirds_of_the_traffic_are_new() -> None:
    world = worlds.make(replace(holdout.HOLDOUT, beacons=400, chances=400, services=0))
    for label, models, share in (
        (worlds.BEACON, holdout.IMPLANTS, 1 / 2),
        (worlds.CHANCE, holdout.TRAFFIC, 2 / 3),
    ):
        new = np.isin(world.family[world.label == label], [model.__name__ for model in models])

        assert new.mean() == pytest.approx(share, abs=0.1)


def test_times_follow_the_hours_of_a_cycle() -> None:
    rng = np.random.default_rng(7)
    times = holdout.commuters(rng, 60.0, 20_000)
    hours = np.bincount((times % holdout.DAY // 3_600).astype(int), minlength=24)

    assert hours[12] < 0.5 * min(hours[7], hours[17])
    assert hours[2] < 0.05 * hours[7]


def test_the_evaluation_offers_the_holdout_and_refuses_other_worlds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate.WORLDS == {"final": worlds.FINAL, "holdout": holdout.HOLDOUT}
    with pytest.raises(SystemExit):
        evaluate.main(["--world", "training"])
    assert "invalid choice: 'training'" in capsys.readouterr().err
