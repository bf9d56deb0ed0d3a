"""Where racks stand: each has its own coil, dealt so that halls are alike in how many are good."""

import numpy as np
import pytest

from sim.plant import constants as k
from sim.plant.rack_variation import stratified_normal


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
