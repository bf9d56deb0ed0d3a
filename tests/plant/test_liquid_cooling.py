"""Liquid-cooled racks: plates keep their balance over any step, and heat decides what their GPUs may do."""

import numpy as np
import pytest

from sim.incidents.kinds import FaultEffect
from sim.model.facility import DLC, SIZES
from sim.plant import constants as k
from sim.plant.cooling import PLATES, CoolingInputs
from sim.plant.liquid_cooling import AIR_SHARE, LiquidCooling, coolant_kw_k, plate_conductance_kw_k

ROWS = [{"name": "A", "racks": 3}, {"name": "B", "racks": 3, "rack_type": DLC}]
LIQUID, AIR = np.arange(3, 6), np.arange(3)
STEP_S = 10.0


def met(branch_pct=57.5, cdu=1.0):
    """Return what a rack of 126 kW meets, per standard rack: an eighth of its air."""
    values = (7.9, 0.02, 0.63 * AIR_SHARE, 0.12, 65.0, branch_pct, 1.0, 15.4, cdu)
    return CoolingInputs(*(np.array([[v]]) for v in values))


def stored(*values):
    return np.array(values)[:, None, None]


ANY_C = stored(38.0, 22.0, 20.0, 36.0, 22.0, 30.0)


@pytest.mark.parametrize("branch_pct", [0.0, 5.0, 57.5])
def test_plates_are_after_one_step_where_many_short_ones_take_them(branch_pct):
    """Their law is solved exactly: to rounding over 600 steps."""
    whole, parts_c = LiquidCooling().step(met(branch_pct), ANY_C, 60.0), ANY_C
    for _ in range(600):
        parts_c = LiquidCooling().step(met(branch_pct), parts_c, 0.1).stored_c
    np.testing.assert_allclose(whole.stored_c[PLATES], parts_c[PLATES], rtol=1e-10)


@pytest.mark.parametrize("dt_s", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("branch_pct", [0.0, 57.5])
def test_what_comes_in_is_stored_or_goes_to_the_water(dt_s, branch_pct):
    x, after = met(branch_pct), LiquidCooling().step(met(branch_pct), ANY_C, dt_s)
    air_kj_k = np.array([k.RACK_HEAT_KJ_K, k.COLD_AISLE_HEAT_KJ_K, k.COIL_HEAT_KJ_K, *[k.STRUCTURE_HEAT_KJ_K] * 2])
    heat_kj_k = np.array([*AIR_SHARE * air_kj_k, k.PLATE_HEAT_KJ_K])[:, None, None]
    stored_kw = (heat_kj_k * (after.stored_c - ANY_C)).sum(axis=0) / dt_s
    np.testing.assert_allclose(stored_kw + after.water_kw, x.rack_kw + x.mixing_heat_kw, rtol=1e-10)


def test_plates_settle_at_the_approach_and_half_the_coolants_rise_above_the_water():
    """T = Tw + phi P (1 / U + 1 / (2 m cp))."""
    heat_kw = k.PLATE_SHARE * 7.9
    expected_c = 15.4 + heat_kw / k.CDU_KW_K + heat_kw / coolant_kw_k(np.array(57.5)) / 2
    np.testing.assert_allclose(LiquidCooling().settled_plates_c(met()), expected_c, rtol=1e-12)
    kept = LiquidCooling().step(met(), stored(38.0, 22.0, 20.0, 36.0, 22.0, expected_c), 60.0).stored_c[PLATES]
    np.testing.assert_allclose(kept, expected_c, rtol=1e-12)


def test_plates_without_flow_keep_all_heat():
    after = LiquidCooling().step(met(branch_pct=0.0), ANY_C, 30.0)
    warmer_k = k.PLATE_SHARE * 7.9 * 30 / k.PLATE_HEAT_KJ_K
    np.testing.assert_allclose(after.stored_c[PLATES], 30.0 + warmer_k, rtol=1e-9)


def test_a_worse_exchanger_or_less_flow_hands_on_less():
    usual = plate_conductance_kw_k(np.array(57.5), np.array(1.0))
    assert plate_conductance_kw_k(np.array(57.5), np.array(0.5)) < usual
    assert plate_conductance_kw_k(np.array(20.0), np.array(1.0)) < usual


def mixed(plants, **options):
    return plants(STEP_S, facility={"rows": ROWS}, worlds=2, **options)


def test_liquid_cooled_racks_show_the_air_of_standard_ones_and_draw_120_to_140_kw(plants):
    """An eighth of the heat in an eighth of the air; the water is the same loop's."""
    state = mixed(plants).state
    np.testing.assert_allclose(state.outlet_c[0, LIQUID], state.outlet_c[0, AIR], atol=0.5)
    np.testing.assert_allclose(state.airflow_m3s[0, LIQUID], AIR_SHARE * state.airflow_m3s[0, AIR], rtol=0.02)
    assert ((state.rack_kw[0, LIQUID] * SIZES[DLC] > 120) & (state.rack_kw[0, LIQUID] * SIZES[DLC] < 140)).all()


def test_gpus_stand_over_their_plates_by_what_they_draw(plants):
    state = mixed(plants).state
    over_k = state.gpu_c[0, LIQUID] - state.stored_c[PLATES][0, LIQUID]
    np.testing.assert_allclose(over_k, k.GPU_KELVIN_PER_KW * state.gpu_kw[0, LIQUID], rtol=1e-6)


def test_no_rack_draws_more_than_its_breakers_carry(plants):
    state = mixed(plants, profile="high_load").state
    assert state.rack_kw[0, LIQUID].max() * SIZES[DLC] <= 140 * (1 + 1e-9)
    assert state.rack_kw[0, AIR].min() > k.DLC_LIMIT_KW


def test_a_rack_without_flow_slows_down_then_stops_and_boots_once_flow_is_back(plants, run):
    plant, one = mixed(plants), np.array([4])
    plant.apply([FaultEffect("pump_ceiling_pct", one, np.array(0.0))])
    capacity_ps = run(plant, 180, watch="capacity_ps")
    assert (np.diff(capacity_ps[:, 4]) <= 0).all()
    assert capacity_ps[1, 4] == capacity_ps[0, 4]
    assert capacity_ps[-1, 4] == 0
    assert (capacity_ps[:, [3, 5]] == capacity_ps[0, [3, 5]]).all()
    run(plant, 3600)
    assert plant.state.nodes.shut[0, 4] == 1
    plant.apply(())
    run(plant, k.BOOT_S + k.LOAD_RETURN_S + 1200)
    assert plant.state.nodes.shut[0, 4] == 0
    np.testing.assert_allclose(plant.state.tokens_ps[0], plant.state.tokens_ps[-1], rtol=1e-3)


def test_less_flow_at_the_same_pump_speed_warms_plates_and_air(plants, run):
    plant, one = mixed(plants), np.array([4])
    plant.apply([FaultEffect("branch_flow", one, np.array(0.4))])
    run(plant, 1800)
    state = plant.state
    warmer_k = (state.stored_c[PLATES][0] - state.stored_c[PLATES][1])[4]
    # half the rise grows by 1 / 0.4 as long as the power stays; it grows by leakage, and the loop's water is shared
    half_k = k.PLATE_SHARE * state.rack_kw[1, 4] / coolant_kw_k(state.pump_pct[1, 4]) / 2
    assert warmer_k == pytest.approx(half_k * (1 / 0.4 - 1), rel=0.15)
    assert state.inlet_c[0, 4] > state.inlet_c[1, 4] + 1


def test_a_fouled_exchanger_shows_on_the_plates_and_not_in_the_air(plants, run):
    plant, one = mixed(plants), np.array([4])
    plant.apply([FaultEffect("cdu", one, np.array(0.25))])
    run(plant, 1800)
    state = plant.state
    warmer_k = (state.stored_c[PLATES][0] - state.stored_c[PLATES][1])[4]
    assert warmer_k == pytest.approx(3 * k.PLATE_SHARE * state.rack_kw[1, 4] / k.CDU_KW_K, rel=0.1)
    assert abs(state.inlet_c[0, 4] - state.inlet_c[1, 4]) < 1
