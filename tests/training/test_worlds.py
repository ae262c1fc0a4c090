"""Worlds are the same every time, and every family draws what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beacon_detect.analysis import SeriesBatch
from beacon_detect.analysis.types import MIN_CHECK_INS
from training import beacons, chance, impairments, peers, worlds

IMPLANTS = beacons.TRAINING + beacons.DEVELOPMENT + beacons.FINAL
TRAFFIC = chance.TRAINING + chance.DEVELOPMENT + chance.FINAL


def small(plan: worlds.Plan) -> worlds.World:
    return worlds.make(replace(plan, beacons=30, chances=40, services=10))


def test_a_world_is_drawn_the_same_twice() -> None:
    first, second = small(worlds.FINAL), small(worlds.FINAL)

    assert np.array_equal(first.batch.times, second.batch.times)
    assert first.impaired.tolist() == second.impaired.tolist()


def test_every_series_ascends_inside_its_window() -> None:
    world = small(worlds.DEVELOPMENT)
    batch = world.batch
    for index, window in enumerate(world.window):
        times = batch.times[batch.offsets[index] : batch.offsets[index + 1]]
        assert np.all(np.diff(times) >= 0)
        assert 0 <= times[0] <= times[-1] <= window * 1e9


def test_the_final_world_has_families_nobody_trained_on() -> None:
    known = {model.__name__ for model in beacons.TRAINING + beacons.DEVELOPMENT}
    families = small(worlds.FINAL).family[small(worlds.FINAL).label == worlds.BEACON]

    assert 0.2 < np.mean([family not in known for family in families]) < 0.8


@pytest.mark.parametrize("model", IMPLANTS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.9])
def test_implants_sleep_for_positive_times(model: beacons.TimingModel, jitter: float) -> None:
    sleeps = model(np.random.default_rng(1), 60.0, jitter, 50)

    assert len(sleeps) == 50
    assert np.all(sleeps > 0)


@pytest.mark.parametrize("model", TRAFFIC, ids=lambda model: model.__name__)
def test_traffic_without_a_timer_ascends(model: chance.ChanceModel) -> None:
    times = model(np.random.default_rng(2), 10.0, 60)

    assert len(times) >= 8
    assert np.all(np.diff(times) >= 0)


def test_at_least_ten_families_of_traffic_are_only_in_the_final_world() -> None:
    assert len(set(chance.FINAL) - set(chance.TRAINING) - set(chance.DEVELOPMENT)) >= 10


def test_an_impaired_beacon_keeps_enough_check_ins_for_a_verdict() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        assert len(impairments.lose(rng, np.arange(8) * 60.0, 0.4)) >= impairments.FEWEST


@pytest.mark.parametrize("name", list(peers.PEERS))
def test_peers_find_a_steady_beacon_and_stay_within_0_and_1(name: str) -> None:
    scorer, sent = peers.PEERS[name], np.full(300, 500)
    steady = scorer(np.arange(300) * 60.0, sent, 18_000.0)
    noise = scorer(np.cumsum(np.random.default_rng(4).exponential(60, 300)), sent, 18_000.0)

    assert 0 <= noise <= steady <= 1
    assert steady > 0.5


def test_a_batch_of_a_world_fits_the_analysis() -> None:
    assert isinstance(small(worlds.TRAINING).batch, SeriesBatch)


def test_the_interval_of_a_beacon_is_the_usual_one_from_start_to_start() -> None:
    rng = np.random.default_rng(7)
    times, busy = impairments.multiply(rng, np.arange(400) * 10.0)
    starts = np.arange(400) * 10.0 + np.cumsum(busy) - busy

    assert np.isin(starts, times).all()
    assert worlds.interval_and_spread(10.0 + busy[:-1])[0] == pytest.approx(
        np.median(np.diff(starts))
    )


def test_several_sleeps_in_turn_spread_more_than_one_with_the_same_jitter() -> None:
    def spread(model: beacons.TimingModel) -> float:
        return worlds.interval_and_spread(model(np.random.default_rng(8), 60.0, 0.1, 500))[1]

    assert worlds.interval_and_spread(np.full(20, 60.0)) == (60.0, 0.0)
    assert max(map(spread, (beacons.cobalt, beacons.symmetric, beacons.merlin))) <= 0.1
    assert min(map(spread, (beacons.bimodal, beacons.two_states, beacons.adaptive))) > 0.2


def test_traffic_without_a_timer_suffers_what_beacons_suffer() -> None:
    rng = np.random.default_rng(5)
    names = [worlds.impair_chance(rng, np.arange(50) * 60.0)[1].split(",") for _ in range(100)]
    suffered = {name for each in names for name in each if name}

    assert suffered == {"missing", "outage", "bursts", "contamination", "whole seconds"}


def test_a_command_delays_what_follows_and_is_answered() -> None:
    times = np.arange(0.0, 6_000.0, 60.0)
    commanded = impairments.command(np.random.default_rng(6), times)

    assert len(commanded) > len(times)
    assert commanded[-1] > times[-1]
    assert np.all(np.diff(commanded) >= 0)


def test_a_clock_of_whole_seconds_is_only_put_on_what_it_can_show() -> None:
    assert impairments.slower_than_clock(np.arange(50) * 60.0)
    assert not impairments.slower_than_clock(np.arange(50) * 1.0)


def test_a_log_of_whole_seconds_stays_one_in_its_window() -> None:
    world = small(worlds.TRAINING)
    batch = world.batch
    stamped = [i for i, names in enumerate(world.impaired) if "whole seconds" in names]

    assert stamped
    for index in stamped:
        assert not (batch.times[batch.offsets[index] : batch.offsets[index + 1]] % 10**9).any()


def test_clocks_beat_at_one_interval() -> None:
    world = worlds.clocks(20)
    for index, interval in enumerate(world.interval):
        times = world.batch.times[world.batch.offsets[index] : world.batch.offsets[index + 1]]

        assert len(times) == world.check_ins[index] >= 7
        assert np.diff(times) == pytest.approx(interval * 1e9, rel=1e-9, abs=1.1)


def test_young_implants_have_few_check_ins_and_half_of_them_work() -> None:
    world = worlds.early(200)
    worked = world.impaired == "commands"
    events = np.diff(world.batch.offsets)

    assert worked.sum() == 100
    assert (world.check_ins >= MIN_CHECK_INS).all()
    assert (world.check_ins <= worlds.EARLY_CHECK_INS).all()
    assert (events[~worked] == world.check_ins[~worked]).all()
    assert (events[worked] >= world.check_ins[worked]).all()
    assert events[worked].sum() > 1.2 * world.check_ins[worked].sum()


def test_the_fit_sees_beacons_of_as_few_check_ins_as_a_verdict_needs() -> None:
    plan = replace(worlds.TRAINING, beacons=300, chances=0, services=0)
    check_ins = worlds.make(plan).check_ins

    assert check_ins.min() == MIN_CHECK_INS
    assert worlds.FINAL.fewest > plan.fewest


def test_even_traffic_varies_by_half_its_mean_or_more() -> None:
    for model in chance.EVEN:
        for seed in range(20):
            gaps = np.diff(model(np.random.default_rng(seed), 60.0, 4_000))

            assert 0.45 < gaps.std() / gaps.mean() < 1.1
