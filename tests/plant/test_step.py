"""The step is a pure function, its steady state is where it stands still, and racks are cooled each in its own way."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.engine.build import boundary_conditions
from sim.incidents.kinds import FaultEffect
from sim.model.facility import STANDARD
from sim.plant.air_cooling import AirCooling
from sim.plant.controllers import FULL_SPEED_PCT
from sim.plant.cooling import CoolingGroup, CoolingInputs, HeatBalance, StoredHeat
from sim.plant.params import plant_params
from sim.plant.rack_types import RACK_COOLING, cooling_groups
from sim.plant.relations import coil_conductances
from sim.plant.state import Inputs
from sim.plant.steady_state import steady_state
from sim.plant.step import step

STEPS_S = (1.0, 30.0, 60.0)


def inputs_of(plant):
    """Return what a plant without noise is given in a step."""
    racks, loops = plant.params.size.size, plant.params.loop_design_kw.size
    return Inputs(plant.drivers.course, np.zeros((2, 4, racks)), np.zeros(racks), np.zeros(loops), plant.condition)


def arrays(struct):
    return [values for field in struct for values in (field if isinstance(field, tuple) else (field,))]


def stepped(plant, steps=20):
    """Return a plant's state after some steps, without touching the plant."""
    state = plant.state
    for _ in range(steps):
        state = step(plant.params, state, inputs_of(plant), plant.step_s)
    return state


def in_groups(plant, *coolings):
    """Return a plant's parameters with its racks shared out in turn between ways of cooling."""
    racks = np.arange(plant.params.size.size)
    groups = tuple(CoolingGroup(c, racks[i :: len(coolings)]) for i, c in enumerate(coolings))
    return replace(plant.params, cooling=groups)


def test_a_step_writes_into_nothing_that_it_is_given_and_repeats_to_the_bit(plants):
    plant = plants(30.0, still=False, worlds=2)
    plant.apply(
        [FaultEffect("powered", np.array([3]), np.array([0.5])), FaultEffect("coil", np.arange(12), np.ones(12))]
    )
    inputs = inputs_of(plant)
    for values in (*arrays(plant.state), inputs.drivers, inputs.noise, inputs.condition.powered, inputs.condition.coil):
        values.flags.writeable = False
    one, two = (step(plant.params, plant.state, inputs, plant.step_s) for _ in range(2))
    for first, second in zip(arrays(one), arrays(two), strict=True):
        np.testing.assert_array_equal(first, second)


def met_by_a_rack():
    return CoolingInputs(*(np.array([[v]]) for v in (7.9, 0.05, 0.63, 0.12, 65.0, 57.5, 1.0, 15.4)))


@pytest.mark.parametrize("dt_s", STEPS_S)
def test_over_any_step_a_rack_at_rest_keeps_its_heat_balance(dt_s):
    """Where the balance settles, the coil stands where air and water hand on the same heat; no step moves it."""
    met, rest = met_by_a_rack(), AirCooling().settled(met_by_a_rack())
    heat_kw = met.rack_kw + met.mixing_heat_kw
    conductances = coil_conductances(met.fan_pct, met.branch_pct, 0.63 * 0.88, met.coil)
    coil_c = met.water_c + heat_kw / conductances.water_kw_k
    stored_c = np.array([rest.outlet_c, rest.supply_c, coil_c, rest.outlet_c, rest.supply_c])
    again = AirCooling().step(met, stored_c, dt_s)
    np.testing.assert_allclose(again.stored_c, stored_c, rtol=1e-12)
    np.testing.assert_allclose(again.water_kw, heat_kw, rtol=1e-11)


def test_a_step_of_a_minute_takes_the_air_to_where_many_short_ones_do():
    """Of second order: over 60 s the air's own time constants, 45 s and more, leave it under 5 % of what moved."""
    met, stored_c = met_by_a_rack(), np.array([45.0, 30.0, 28.0, 40.0, 25.0])[:, None, None]
    whole_c, parts_c = AirCooling().step(met, stored_c, 60.0).stored_c, stored_c
    for _ in range(600):
        parts_c = AirCooling().step(met, parts_c, 0.1).stored_c
    of_air = slice(2)
    moved_k = np.abs(parts_c - stored_c)[of_air].max()
    assert (np.abs(whole_c - parts_c)[of_air] < 0.05 * moved_k).all()


def test_a_nominal_hall_stands_where_the_steady_state_says(plants, halls):
    """Neighbours are nominal too, and the water stands at the droop of its own load, as profiles are fitted."""
    plant, hall = plants(30.0), halls(rows=4, racks_per_row=3)
    settled = steady_state(hall.drivers, boundary_conditions(hall.scenario, hall.profiles))
    for channel, values in (
        ("inlet_c", plant.state.inlet_c),
        ("outlet_c", plant.state.outlet_c),
        ("pdu_kw", plant.state.rack_kw),
        ("tokens_ps", plant.state.tokens_ps),
        ("fan_rpm_pct", plant.state.fan_pct),
        ("pump_rpm_pct", plant.state.pump_pct),
    ):
        np.testing.assert_allclose(values, settled[channel][0], rtol=1e-6, err_msg=channel)


def test_racks_that_are_cooled_alike_in_groups_do_what_they_do_as_one(plants):
    plant = plants(30.0, still=False, worlds=2)
    plant.apply([FaultEffect("coil", np.arange(12), np.full(12, 0.5))])
    whole = stepped(plant)
    plant.params = in_groups(plant, RACK_COOLING[STANDARD], RACK_COOLING[STANDARD], RACK_COOLING[STANDARD])
    for one, other in zip(arrays(whole), arrays(stepped(plant)), strict=True):
        np.testing.assert_array_equal(one, other)


@dataclass(frozen=True)
class FullSpeed:
    """A controller that always asks for all there is."""

    def asked_pct(self, inlet_c, rack_kw):
        return np.full(np.broadcast(inlet_c, rack_kw).shape, FULL_SPEED_PCT)


@dataclass(frozen=True)
class Immersed:
    """A way of cooling that hands all heat to the water at once and keeps the air as it is."""

    def step(self, inputs, stored_c, dt_s):  # noqa: ARG002 - it needs no time for it
        return StoredHeat(stored_c, inputs.rack_kw)

    def settled(self, inputs):
        return HeatBalance(inputs.water_c, inputs.water_c)


def test_a_rack_follows_its_own_controller_and_no_other(plants):
    plant, standard = plants(30.0), RACK_COOLING[STANDARD]
    plant.params = in_groups(plant, standard, replace(standard, fan=FullSpeed()))
    fans = stepped(plant, 60).fan_pct[0]
    assert (fans[1::2] > 99).all()
    assert (fans[::2] < 70).all()


def test_a_rack_is_cooled_in_its_own_way_and_its_loop_carries_the_heat(plants):
    plant, standard = plants(30.0), RACK_COOLING[STANDARD]
    plant.params = in_groups(plant, standard, replace(standard, technology=Immersed()))
    after = stepped(plant, 60)
    np.testing.assert_array_equal(after.outlet_c[0, 1::2], plant.state.outlet_c[0, 1::2])
    np.testing.assert_array_equal(after.coil_kw[0, 1::2], after.rack_kw[0, 1::2])
    assert (after.coil_kw[0, ::2] != after.rack_kw[0, ::2]).all()


def test_a_type_that_is_not_listed_is_cooled_as_the_standard_one(halls):
    rows = [{"name": "A", "racks": 2}, {"name": "B", "racks": 2, "rack_type": "dense"}]
    facility = halls(rows=rows, rack_types={"dense": {"size": 3}}).facility
    assert facility.type_of_rack == ("standard", "standard", "dense", "dense")
    [group] = cooling_groups(facility.type_of_rack)
    assert group.cooling is RACK_COOLING[STANDARD]
    assert plant_params(facility, 15.0, Streams(1)).cooling[0].racks.tolist() == [0, 1, 2, 3]
