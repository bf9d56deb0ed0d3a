"""Where racks stand: each has its own coil, dealt so that halls are alike in how many are good."""

from dataclasses import replace

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.plant import constants as k
from sim.plant.rack_variation import rack_variation, stratified_normal


def test_racks_have_places_of_their_own_that_the_seed_decides(plants):
    one, same, other = plants(still=False), plants(still=False), plants(still=False, seed=2)
    np.testing.assert_array_equal(one.params.coil, same.params.coil)
    assert (one.params.coil != other.params.coil).any()
    assert np.abs(one.params.coil - 1).max() <= k.PLACE_LIMIT_SD * k.COIL_SD


def test_halls_differ_in_which_coils_are_good_not_in_how_many():
    """Deviates cut at two sd have a deviation of 0.96; dealt by parts, that of 72 strays by a per cent or two."""
    spreads = [np.clip(stratified_normal(np.random.default_rng(seed), 72), -2, 2).std() for seed in range(40)]
    assert np.mean(spreads) == pytest.approx(0.96, abs=0.005)
    assert np.std(spreads) < 0.02


@pytest.mark.parametrize("count", [1, 2, 5])
def test_dealt_deviates_are_normal_however_few(count):
    """Mean and variance of n draws of variance 1, dealt or not: errors of at most sqrt(1 / n) and sqrt(2 / n)."""
    all_dealt = np.array([stratified_normal(np.random.default_rng(seed), count) for seed in range(2000)])
    assert abs(all_dealt.mean()) <= 3.5 / np.sqrt(all_dealt.size)
    assert abs(all_dealt.var() - 1) <= 3.5 * np.sqrt(2 / all_dealt.size)


@pytest.mark.parametrize("racks", [2, 3, 12])
def test_racks_breathe_more_of_their_own_exhaust_the_nearer_they_stand_to_an_end_of_their_row(halls, racks):
    facility = halls(rows=2, racks_per_row=racks).facility
    for row in rack_variation(facility, Streams(1))[0].reshape(2, racks):
        np.testing.assert_allclose(row, row[::-1], atol=1e-15)
        assert (np.diff(row[: (racks + 1) // 2]) < 0).all()


def test_places_of_a_long_row_change_recirculation_by_nothing_on_average_and_by_their_sd(halls):
    """Uniform from the middle to the ends, but for the rack in the very middle: a part of 1 / n."""
    extra = rack_variation(halls(rows=1, racks_per_row=1001).facility, Streams(1))[0] / k.PLACE_RECIRCULATION_SD
    assert abs(extra.mean()) <= 12**0.5 / 1001
    assert extra.std() == pytest.approx(1, abs=12**0.5 / 1001)


def test_racks_at_the_ends_of_a_row_run_warmer_than_those_in_its_middle(plants, halls, run):
    hall = {"rows": 2, "racks_per_row": 9}
    plant = plants(facility=hall)
    own = rack_variation(halls(**hall).facility, Streams(1))[0]
    plant.params = replace(plant.params, recirculation=own)
    for row in run(plant, 3600)[-1].reshape(2, 9):
        assert min(row[0], row[-1]) > row[4] + 0.1
        assert (np.diff(row[:5]) < 0).all()
        assert (np.diff(row[4:]) > 0).all()


def test_a_coils_place_in_the_hall_says_nothing_of_its_condition():
    """Of 72 coils dealt in random order, the rank correlation with their number has a deviation of 1 / sqrt(71)."""
    order = np.arange(72)
    told = [
        np.corrcoef(order, stratified_normal(np.random.default_rng(seed), 72).argsort().argsort())[0, 1]
        for seed in range(40)
    ]
    assert abs(np.mean(told)) <= 3.5 / np.sqrt(71 * 40)
