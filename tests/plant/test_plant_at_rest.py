"""The plant at rest, against what is worked out of the same drivers apart from it, and what each noise moves."""

from dataclasses import replace

import numpy as np
import pytest

from sim.incidents.kinds import FaultEffect
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES, ProfileChange
from sim.plant.gains import mean_gain
from sim.plant.loops import flow_given
from sim.plant.noise import RACK_NOISE
from sim.plant.steady_state import BoundaryConditions, steady_state
from tests.plant.conftest import PROFILES

HALL = {"rows": 4, "racks_per_row": 3}
MIXED = {
    "rows": [{"name": "A", "racks": 4}, {"name": "B", "racks": 3, "rack_type": "dense"}, {"name": "C", "racks": 2}],
    "rack_types": {"dense": {"size": 3}},
}
TO_REST_S = 4 * 3600


def one_profile(drivers, profile):
    i = PROFILES.index(profile)
    return replace(drivers, **{name: getattr(drivers, name)[i : i + 1] for name in drivers.__dataclass_fields__})


@pytest.mark.parametrize("profile", PROFILES)
def test_a_hall_in_one_profile_comes_to_rest_where_its_steady_state_is(plants, halls, settle, profile):
    """All its racks have exhausts alike, so that they swap nothing; water and exhaust are the hall's own."""
    plant = plants(30.0, profile=profile)
    settle(plant, TO_REST_S)
    place = BoundaryConditions(plant.state.water_c[0, :1], float(plant.state.outlet_c[0, 0]))
    settled = steady_state(one_profile(halls(**HALL).drivers, profile), place)
    latency = relations.latency_p95_ms(
        plant.state.utilisation, plant.state.backlog_tokens / plant.state.capacity_ps, plant.state.service
    )
    for channel, state in (
        ("inlet_c", plant.state.inlet_c),
        ("outlet_c", plant.state.outlet_c),
        ("pdu_kw", plant.state.rack_kw),
        ("tokens_ps", plant.state.tokens_ps),
        ("latency_p95_ms", latency),
        ("fan_rpm_pct", plant.state.fan_pct),
        ("pump_rpm_pct", plant.state.pump_pct),
    ):
        np.testing.assert_allclose(state, settled[channel][0], rtol=1e-6, err_msg=channel)


def test_at_rest_the_air_through_a_rack_carries_its_own_power_also_beside_hotter_racks(plants, run, settle):
    """What neighbours give comes in with the air and leaves with it."""
    plant = plants(30.0, facility=MIXED)
    hot = ProfileChange(plant.time_s + 5, 1, PROFILES.index("nominal"), PROFILES.index("thermal_event"))
    run(plant, 30, [hot])
    settle(plant, TO_REST_S)
    assert np.ptp(plant.state.outlet_c) > 5
    carried_kw = k.AIR_KJ_M3K * plant.state.airflow_m3s * (plant.state.outlet_c - plant.state.inlet_c)
    np.testing.assert_allclose(carried_kw, plant.state.rack_kw, rtol=1e-6)


def test_a_rack_beside_a_hotter_one_breathes_warmer_air_than_its_coil_and_exhaust_mix(plants, run, settle):
    plant = plants(30.0)
    own = plant.driver("recirculation")
    run(plant, 30, [ProfileChange(plant.time_s + 5, 1, 0, PROFILES.index("thermal_event"))])
    settle(plant, TO_REST_S)
    mixed_c = plant.state.supply_c + own * (plant.state.outlet_c - plant.state.supply_c)
    assert (plant.state.inlet_c - mixed_c)[0, [0, 2]].min() > 0.01
    assert (
        plant.state.inlet_c[0, 1]
        < (plant.state.supply_c + plant.driver("recirculation") * (plant.state.outlet_c - plant.state.supply_c))[0, 1]
    )


@pytest.mark.parametrize(
    ("noises", "driver"),
    [
        (("load_slow", "load_fast"), "load"),
        (("recirculation_slow", "recirculation_fast"), "recirculation"),
        (("airflow_slow",), "airflow"),
        (("request_size",), "request_size"),
    ],
)
def test_each_noise_moves_its_own_driver_by_its_own_deviation(plants, settle, noises, driver):
    """Two deviations up and nothing else: load and airflow in their own size, recirculation as a part of the air."""
    for noise in noises:
        plant = plants(30.0)
        plant.rack_noise.course[:, [c.name for c in RACK_NOISE].index(noise)] = 2.0
        settle(plant, TO_REST_S)
        moved = {
            "load": plant.state.tokens_ps / plant.driver("offered_tokens_ps") - 1,
            "recirculation": (plant.state.inlet_c - plant.state.supply_c)
            / (plant.state.outlet_c - plant.state.supply_c)
            - plant.driver("recirculation"),
            "airflow": plant.state.airflow_m3s
            / relations.airflow_m3s(plant.driver("airflow"), plant.state.rack_kw, plant.state.inlet_c)
            - 1,
            "request_size": plant.state.service - 1,
        }
        sd = {"load": "offered_tokens_sd"}.get(driver, f"{driver}_sd")
        for name, by in moved.items():
            expected = 2 * plant.driver(sd) if name == driver else 0.0
            np.testing.assert_allclose(by, np.broadcast_to(expected, by.shape), rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("part", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("facility", [HALL, MIXED])
def test_a_loops_pump_gives_its_racks_together_what_it_can_and_no_more_than_they_ask(plants, facility, part):
    """Each is served the same part of what it asks; a loop of n standard racks at full speed is served n."""
    plant = plants(30.0, facility=facility)
    loops = np.arange(plant.state.water_c.shape[1])
    plant.apply([FaultEffect("loop_pump", loops, np.full(len(loops), part))])
    speed = np.array(
        [np.average(plant.state.pump_pct[0, on], weights=plant.params.size[on]) / 100 for on in of_loops(plant)]
    )
    served = flow_given(plant.params, plant.state.pump_pct, plant.condition.loop_pump)[0] * speed
    np.testing.assert_allclose(served, np.minimum(speed, part * k.LOOP_PUMP_MARGIN), rtol=1e-9)


def of_loops(plant):
    return [plant.params.loop_of_rack == loop for loop in range(plant.state.water_c.shape[1])]


def test_a_trickling_loop_pump_warms_its_own_racks_only(plants, run):
    plant, before = plants(30.0), plants(30.0).state.inlet_c
    plant.apply([FaultEffect("loop_pump", np.array([0]), np.array([0.2]))])
    run(plant, 1800)
    first = of_loops(plant)[0]
    assert (plant.state.inlet_c - before)[0, first].min() > 1
    np.testing.assert_allclose(plant.state.inlet_c[0, ~first], before[0, ~first], atol=1e-3)


def test_power_over_a_step_is_that_of_the_way_it_went_not_of_where_it_ended(plants, run):
    """Load alone that rises by a tenth has gone 1/e of its way on average over its first time constant, of 60 s.

    GPUs warm by what they draw meanwhile, and leak for it.
    """
    plant = plants(60.0)
    table = plant.drivers.table
    table[:, 1] = table[:, 0]
    table[DRIVER_NAMES.index("offered_tokens_ps"), 1] *= 1.1
    before, warmed = plant.state, mean_gain(60.0, k.GPU_TAU_S)
    at_rest_c = before.gpu_c + (before.inlet_c - before.gpu_c) * warmed
    mean_ps = before.tokens_ps * (1 + 0.1 * np.exp(-1))
    expected_kw = relations.gpu_kw(mean_ps, plant.driver("token_energy"), at_rest_c, follows=warmed)
    run(plant, 60, [ProfileChange(plant.time_s + 1e-6, rack, 0, 1) for rack in range(12)])
    way = (plant.state.gpu_kw - before.gpu_kw) / (expected_kw - before.gpu_kw)
    np.testing.assert_allclose(way, 1, rtol=1e-6)
