"""The relations of the physics: known answers, limits, and which way they go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.controllers import FAN, PUMP, command_pct


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


def rises(law, one, other, *, strictly=True):
    """Tell whether a law of one variable is not lower where the variable is higher."""
    low, high = sorted((one, other))
    below, above = float(law(np.array(low))), float(law(np.array(high)))
    return above > below if strictly and high - low > 1e-6 else above >= below


def test_within_limits_a_value_as_clip_does():
    values = np.linspace(-3, 3, 13)
    np.testing.assert_array_equal(relations.within(values, -1.0, 2.0), np.clip(values, -1, 2))


def test_gpu_power_at_the_reference_is_idle_and_so_much_a_token():
    # 0.5 kW idle and 8,000 tokens/s at 0.6 J each
    assert relations.gpu_kw(np.array(8000.0), np.array(1.0), np.array(k.GPU_REFERENCE_C)) == pytest.approx(5.3)


def test_leakage_adds_half_a_percent_for_each_degree():
    at = [relations.gpu_kw(np.array(8000.0), np.array(1.0), np.array(k.GPU_REFERENCE_C + d)) for d in (0, 1, 10)]
    assert at[1] / at[0] == pytest.approx(1.005)
    assert at[2] / at[0] == pytest.approx(1.05)


@given(numbers(0, 14_000), numbers(0.5, 1.5), numbers(10, 45))
def test_settled_gpu_power_is_the_fixed_point_of_power_and_temperature(tokens_ps, token_energy, inlet_c):
    settled = relations.settled_gpu_kw(*map(np.array, (tokens_ps, token_energy, inlet_c)))
    gpu_c = inlet_c + k.GPU_KELVIN_PER_KW * settled
    assert relations.gpu_kw(np.array(tokens_ps), np.array(token_energy), gpu_c) == pytest.approx(settled, rel=1e-12)


def test_rack_power_is_gpus_hosts_and_fans():
    assert relations.rack_kw(np.array(5.0), np.array(k.AIRFLOW_REFERENCE_M3S)) == pytest.approx(5 * 1.18 + 1.05 + 0.4)


def test_server_fans_follow_the_affinity_law():
    def fans_kw(airflow):
        return relations.rack_kw(np.array(0.0), np.array(airflow)) - k.HOST_IDLE_KW

    assert fans_kw(2 * k.AIRFLOW_REFERENCE_M3S) / fans_kw(k.AIRFLOW_REFERENCE_M3S) == pytest.approx(2**3)
    assert fans_kw(0.0) == 0


@given(numbers(10, 60), numbers(0.1, 1.0))
def test_gpus_may_draw_what_keeps_them_at_their_limit_and_the_rack_below_its_breakers(inlet_c, airflow):
    inlet, air = np.array(inlet_c), np.array(airflow)
    limit_kw = relations.gpu_limit_kw(inlet, relations.server_fans_kw(air))
    assert inlet_c + k.GPU_KELVIN_PER_KW * limit_kw <= max(k.GPU_LIMIT_C, inlet_c) + 1e-9
    assert relations.rack_kw(limit_kw, air) <= k.RACK_LIMIT_KW + 1e-9 or limit_kw == 0
    reached = np.isclose(inlet_c + k.GPU_KELVIN_PER_KW * limit_kw, k.GPU_LIMIT_C)
    assert reached or np.isclose(relations.rack_kw(limit_kw, air), k.RACK_LIMIT_KW)


@given(numbers(0.5, 12), numbers(0.5, 1.5), numbers(100, 20_000), numbers(5000, 20_000))
def test_the_clock_is_the_highest_at_which_gpus_stay_within_their_budget(budget_kw, energy, offered_ps, capacity_ps):
    clock = relations.clock_within(*map(np.array, (budget_kw, energy, offered_ps, capacity_ps)))

    def drawn_kw(at):
        return energy * at**k.CLOCK_ENERGY_EXPONENT * min(offered_ps, capacity_ps * at) * k.GPU_J_PER_TOKEN / 1000

    assert k.CLOCK_MIN <= clock <= 1
    if clock > k.CLOCK_MIN:
        assert drawn_kw(clock) <= budget_kw * (1 + 1e-9)
    if clock < 1:
        assert drawn_kw(clock * 1.001) > budget_kw


def test_servers_draw_8_percent_more_at_35_degrees_and_12_at_37():
    """As in a test of GRC: fans speed up, and GPUs, which get warmer by as much, leak more."""
    air_kw = {}
    for inlet_c in (27.0, 35.0, 37.0):
        rack = np.array(k.REFERENCE_RACK_KW)
        for _ in range(20):
            gpu_kw = relations.settled_gpu_kw(np.array(8270.0), np.array(1.0), np.array(inlet_c))
            rack = relations.rack_kw(gpu_kw, relations.airflow_m3s(np.array(0.96), rack, np.array(inlet_c)))
        air_kw[inlet_c] = float(rack)
    assert air_kw[35.0] / air_kw[27.0] == pytest.approx(1.08, abs=0.02)
    assert air_kw[37.0] / air_kw[27.0] == pytest.approx(1.12, abs=0.02)


@given(numbers(1, 15), numbers(1, 15))
def test_servers_draw_more_air_for_more_power_but_less_than_in_proportion(one, other):
    assert rises(lambda p: relations.airflow_m3s(np.array(1.0), p, np.array(22.0)), one, other)
    assert rises(lambda p: -relations.airflow_m3s(np.array(1.0), p, np.array(22.0)) / p, one, other)


def test_fans_and_pumps_stand_at_their_reference_where_the_nominal_profile_does():
    at = np.array(k.SETPOINT_INLET_C), np.array(k.REFERENCE_RACK_KW)
    assert FAN.asked_pct(*at) == pytest.approx(k.FAN_REFERENCE_PCT, rel=1e-14)
    assert PUMP.asked_pct(*at) == pytest.approx(k.PUMP_REFERENCE_PCT, rel=1e-14)


@pytest.mark.parametrize("law", [FAN, PUMP])
@given(inlet_c=numbers(-20, 120), rack_kw=numbers(0, 30), bias_pct=numbers(-80, 80))
def test_an_actuator_is_never_sent_beyond_its_limits(law, inlet_c, rack_kw, bias_pct):
    sent = command_pct(law.asked_pct(np.array(inlet_c), np.array(rack_kw)), np.array(bias_pct))
    assert k.ACTUATOR_MIN_PCT <= sent <= 100


@pytest.mark.parametrize("law", [FAN.asked_pct, PUMP.asked_pct])
@given(one=numbers(15, 35), other=numbers(15, 35))
def test_cooling_works_harder_for_a_hotter_inlet_and_for_more_power(law, one, other):
    assert rises(lambda t: law(t, np.array(8.0)), one, other)
    assert rises(lambda p: law(np.array(22.0), p / 3), one, other)


@given(numbers(20, 100), numbers(20, 100), numbers(0.05, 2.0))
def test_a_coil_hands_on_no_more_than_its_air_brings_and_more_with_more_fan_or_pump(fan, pump, air_kw_k):
    whole = relations.coil_conductances(fan, pump, np.array(air_kw_k), 1.0).whole_kw_k
    assert 0 < whole < air_kw_k
    assert relations.coil_conductances(fan * 1.1, pump, np.array(air_kw_k), 1.0).whole_kw_k >= whole
    assert relations.coil_conductances(fan, pump * 1.1, np.array(air_kw_k), 1.0).whole_kw_k >= whole
    assert relations.coil_conductances(fan, pump, np.array(air_kw_k * 1.1), 1.0).whole_kw_k < 1.1 * whole


@given(numbers(5, 100), numbers(1, 100), numbers(0.05, 2.0), numbers(0.3, 1.2))
def test_both_sides_of_a_coil_in_series_hand_on_what_the_whole_does(fan, pump, air_kw_k, coil):
    air, water, whole = relations.coil_conductances(fan, pump, np.array(air_kw_k), coil)
    assert 1 / air + 1 / water == pytest.approx(1 / whole, rel=1e-6)
    assert whole < air < air_kw_k


def test_a_coil_at_its_reference_speeds_has_as_many_transfer_units_as_stated():
    whole = relations.coil_conductances(65.0, 57.5, np.array(k.COIL_KW_K), 1.0).whole_kw_k
    assert whole / k.COIL_KW_K == pytest.approx(1 - np.exp(-1))


@pytest.mark.parametrize(("fan", "pump"), [(2, 1), (1, 2), (0.5, 0.5)])
def test_a_coils_transfer_follows_the_flows_on_both_sides_as_in_turbulent_pipes(fan, pump):
    """Dittus and Boelter: a coefficient of heat transfer grows with the flow to the power of 0.8."""
    at = [
        relations.coil_conductances(40.0 * a, 40.0 * b, np.array(0.6), 1.0).whole_kw_k / 0.6
        for a, b in ((1, 1), (fan, pump))
    ]
    reference, changed = -np.log1p(-np.array(at))
    assert changed / reference == pytest.approx((fan * pump) ** 0.8)


def test_a_coil_without_water_cools_nothing_but_takes_up_heat():
    air, water, whole = relations.coil_conductances(65.0, 0.0, np.array(0.6), 1.0)
    assert (water, whole) == (0, 0)
    assert air > 0.3


def test_latency_has_its_base_when_idle_and_doubles_its_queue_as_a_queue_does():
    idle, half, most = relations.latency_p95_ms(np.array([0.0, 0.5, 0.75]), np.zeros(3))
    assert idle == k.LATENCY_BASE_MS
    assert half - idle == pytest.approx(k.LATENCY_QUEUE_MS)
    assert most - idle == pytest.approx(3 * k.LATENCY_QUEUE_MS)


@given(numbers(0, 0.96), numbers(0, 0.96))
def test_latency_rises_with_utilisation(one, other):
    assert rises(lambda u: relations.latency_p95_ms(u, np.array(0.0)), one, other)


@given(numbers(0, 100), numbers(0, 30))
def test_latency_is_finite_at_any_overload_and_counts_the_wait_in_full(utilisation, wait_s):
    busy = relations.latency_p95_ms(np.array(utilisation), np.array(0.0))
    assert np.isfinite(busy)
    assert relations.latency_p95_ms(np.array(utilisation), np.array(wait_s)) - busy == pytest.approx(1000 * wait_s)


def test_queue_depth_is_littles_law():
    # 250 requests a second of 36 tokens, each there for 0.2 s
    assert relations.queue_depth(np.array(9000.0), np.array(200.0), np.array(36.0)) == pytest.approx(50)
