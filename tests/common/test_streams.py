"""One named random stream per consumer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.streams import Streams, derived_seed

GOLDEN = {
    0: [1.2994827833316727, 1.5975766441673587, -0.8887997161700718, -0.15947946237510754],
    42: [-0.5085407340894862, -1.2261718341155143, 0.4983701440582969, -0.9240727339372492],
}
names = st.lists(st.text(min_size=1, max_size=8).filter(lambda t: "\0" not in t), min_size=1, max_size=3).map(tuple)


def draws(seed, *name, count=4):
    return Streams(seed).stream(*name).standard_normal(count)


def test_a_stream_does_not_depend_on_what_was_issued_or_drawn_before_it():
    busy = Streams(42)
    for i in range(50):
        busy.stream("rack", f"R-A-{i:02d}").random(100)
    np.testing.assert_array_equal(busy.stream("sensor", "inlet_c").standard_normal(4), draws(42, "sensor", "inlet_c"))


def test_a_stream_is_issued_once():
    streams = Streams(42)
    streams.stream("rack", "R-C-07")
    with pytest.raises(ValueError, match="rack/R-C-07 was issued before"):
        streams.stream("rack", "R-C-07")


@given(st.sets(names, min_size=2, max_size=6))
def test_different_names_give_different_streams(several):
    streams = Streams(1)
    firsts = {streams.stream(*name).random() for name in several}
    assert len(firsts) == len(several)


def test_the_parts_of_a_name_are_kept_apart():
    assert draws(1, "a", "b/c")[0] != draws(1, "a/b", "c")[0] != draws(1, "a/b/c")[0]


def test_seed_0_is_as_good_as_any():
    np.testing.assert_array_equal(draws(0, "rack", "R-A-01"), draws(0, "rack", "R-A-01"))
    assert draws(0, "rack", "R-A-01")[0] != draws(1, "rack", "R-A-01")[0]


def test_the_largest_seed_a_scenario_may_have_works():
    assert np.isfinite(draws(2**63 - 1, "rack", "R-A-01")).all()


def test_two_streams_are_uncorrelated():
    count = 20_000
    one, other = draws(7, "rack", "R-A-01", count=count), draws(7, "rack", "R-A-02", count=count)
    assert abs(np.mean(one * other)) < 3.5 / count**0.5


@pytest.mark.parametrize("seed", GOLDEN)
def test_the_first_draws_of_a_stream_are_the_same_for_ever(seed):
    np.testing.assert_allclose(draws(seed, "rack", "R-C-07"), GOLDEN[seed], rtol=1e-12)


def test_a_derived_seed_depends_on_both_seed_and_name_and_fits_32_bits():
    seeds = {derived_seed(seed, name) for seed in range(3) for name in ("training_main", "training_ims", "validation")}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_derived_seeds_are_the_same_for_ever():
    assert derived_seed(42, "validation") == 2_804_371_568
