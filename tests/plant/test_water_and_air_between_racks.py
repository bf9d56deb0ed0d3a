"""What racks do to each other: through the water of their loop, and through the air that neighbours swap."""

import numpy as np
import pytest

from sim.plant import constants as k
from sim.plant.loops import cool_water
from sim.plant.steady_state import BoundaryConditions


@pytest.mark.parametrize("step_s", [7.0, 12.0, 20.0, 30.0, 60.0])
def test_a_loop_feels_the_heat_of_a_dead_time_ago_whatever_the_step(plants, step_s):
    """Heat that grows evenly is exactly known between steps, so that interpolation must find that of 20 s ago."""
    plant, start_kw, growth_kw_s = plants(step_s), 2.0, 0.005
    state, no_lag = plant.state, 1.0  # water without a lag of its own shows what it is given
    for step in range(20):
        coil_kw = np.full_like(state.coil_kw, start_kw + growth_kw_s * step * step_s)
        loop_kw, water_c, _ = cool_water(plant.params, state, coil_kw, plant.condition, no_lag, step_s)
        state = state._replace(loop_kw=loop_kw, water_c=water_c)
    felt_kw = start_kw + growth_kw_s * (19 * step_s - k.LOOP_DEAD_TIME_S)
    droop_k = k.LOOP_DROOP_K * felt_kw / k.DESIGN_RACK_KW
    np.testing.assert_allclose(state.water_c - plant.params.water_setpoint_c, droop_k, rtol=1e-9)


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
