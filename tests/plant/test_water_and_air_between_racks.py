"""What racks do to each other: through the water of their loop, and through the air that neighbours swap."""

import numpy as np
import pytest

from sim.incidents.kinds import FaultEffect
from sim.plant import constants as k
from sim.plant.loops import delayed_kw
from sim.plant.steady_state import BoundaryConditions


@pytest.mark.parametrize("step_s", [7.0, 12.0, 20.0, 30.0, 60.0])
def test_a_loop_feels_the_heat_of_a_dead_time_ago_whatever_the_step(step_s):
    """Heat that was given in one step only arrives whole, a dead time later, and over as long as it was given."""
    before, pulse = np.zeros(1), np.ones(1)
    history, arrived = (before,) * 30, []
    for step in range(30):
        arrived.append(delayed_kw(history, step_s, begins=True).item())
        history = (*history[1:], pulse if step == 0 else before)
        arrived.append(delayed_kw(history, step_s, begins=False).item())
    at_s = (np.arange(60) + 0.5) * step_s / 2
    if step_s / 2 <= k.LOOP_DEAD_TIME_S:  # no half of a step asks for heat that is yet to be given
        assert sum(arrived) * step_s / 2 == pytest.approx(step_s)
        assert np.average(at_s, weights=arrived) == pytest.approx(step_s / 2 + k.LOOP_DEAD_TIME_S)
    assert not any(a for a, s in zip(arrived, at_s, strict=True) if s < min(k.LOOP_DEAD_TIME_S, step_s) - step_s / 4)


@pytest.fixture
def warmed_k(plants):
    """Return how much a rack of one size is warmed in half a minute by 10 K more in the exhaust across the aisle."""

    def by(size, other):
        rows = [{"name": name, "racks": 1, "rack_type": name.lower()} for name in "AB"]
        types = {"a": {"size": size}, "b": {"size": other}}
        plant = plants(facility={"rows": rows, "rack_types": types}, worlds=2)
        plant.state.outlet_c[0, 1] += 10
        plant.step()
        return plant.state.outlet_c[0, 0] - plant.state.outlet_c[1, 0]

    return by


def test_a_rack_swaps_no_more_air_with_a_larger_neighbour_than_with_its_like(warmed_k):
    """Air passes over the width that both have, which is the smaller one's."""
    assert warmed_k(1, 1) > 0
    assert warmed_k(1, 3) == pytest.approx(warmed_k(1, 1), rel=1e-9)


def test_a_rack_beside_a_smaller_one_swaps_air_over_that_part_of_its_width_only(warmed_k):
    assert warmed_k(3, 1) == pytest.approx(warmed_k(3, 3) / 3, rel=1e-9)
    assert warmed_k(3, 3) == pytest.approx(warmed_k(1, 1), rel=1e-9)


def test_neighbours_of_a_profile_warm_a_rack_that_is_cooler_than_they_and_cool_a_hotter_one():
    mixing_heat_kw = BoundaryConditions(water_c=15.0, outlet_c=35.0).mixing_heat_kw(np.array([25.0, 35.0, 45.0]))
    each_kw = k.EXCHANGE_KW_K * k.TYPICAL_NEIGHBOURS * 10
    assert mixing_heat_kw.tolist() == pytest.approx([each_kw, 0, -each_kw])


@pytest.mark.parametrize("step_s", [10.0, 60.0])
def test_a_loop_whose_exchanger_is_fouled_settles_without_a_see_saw_whatever_the_step(plants, run, step_s):
    plant = plants(step_s, profile="high_load")
    plant.apply([FaultEffect("exchanger", np.array([0]), np.array(0.2))])
    run(plant, 1800)
    water_c = run(plant, 1800, watch="water_c")[:, 0]
    assert np.abs(np.diff(water_c)).max() < 0.5
    assert np.ptp(water_c) < 2
