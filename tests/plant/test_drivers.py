"""Drivers are solved from the ranges a profile states, so that its steady state lies in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.model.profiles import PROFILE_CHANNELS, Profile, Range, shipped_profiles
from sim.plant import constants as k
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.fitting import BOUNDS, solve_drivers
from sim.plant.steady_state import BoundaryConditions, steady_state
from tests.examples import examples

PLACE = BoundaryConditions(water_c=15.3792, outlet_c=34.9)
SHIPPED = shipped_profiles()


def solved(**ranges):
    """Return the drivers of the shipped profiles with a custom one, and where it settles."""
    custom = Profile("custom", {c: Range.of(*r) for c, r in ranges.items()})
    drivers = solve_drivers([*SHIPPED.values(), custom], PLACE)
    return drivers, {c: float(values[-1]) for c, values in steady_state(drivers, PLACE).items()}


@pytest.fixture(scope="module")
def shipped():
    return solve_drivers(list(SHIPPED.values()), PLACE)


@pytest.mark.parametrize("profile", SHIPPED)
def test_every_shipped_profile_settles_on_each_of_its_typical_values(shipped, profile):
    settled, i = steady_state(shipped, PLACE), list(SHIPPED).index(profile)
    for channel, r in SHIPPED[profile].ranges.items():
        assert settled[channel][i] == pytest.approx(r.typical, rel=1e-6), channel


def test_drivers_of_the_shipped_profiles_stay_clear_of_their_bounds(shipped):
    for name in set(DRIVER_NAMES) & set(BOUNDS):
        low, high = BOUNDS[name]
        values = getattr(shipped, name)
        assert ((values > low) & (values < high)).all(), name


def test_airflow_per_kilowatt_is_that_of_real_servers_in_every_profile(shipped):
    settled = steady_state(shipped, PLACE)
    rise_k = settled["outlet_c"] - settled["inlet_c"]
    cfm_per_kw = k.CFM_PER_M3S / (k.AIR_KJ_M3K * rise_k)
    assert ((cfm_per_kw >= 85) & (cfm_per_kw <= 200)).all()


def test_the_steady_state_balances_its_heat_at_the_coil(shipped):
    settled = steady_state(shipped, PLACE)
    np.testing.assert_allclose(settled["cooled_inlet_c"], settled["inlet_c"], atol=1e-8)


def test_a_profile_that_states_nothing_settles_where_nominal_does():
    _, settled = solved()
    for channel in PROFILE_CHANNELS:
        assert settled[channel] == pytest.approx(SHIPPED["nominal"].ranges[channel].typical, rel=1e-6)


def test_channels_left_out_follow_from_the_physics():
    _, settled = solved(inlet_c=(24.0, 26.0))
    nominal = SHIPPED["nominal"].ranges
    assert settled["inlet_c"] == pytest.approx(25.0, abs=1e-3)
    assert settled["outlet_c"] > nominal["outlet_c"].typical + 2
    assert settled["fan_rpm_pct"] > nominal["fan_rpm_pct"].typical + 5
    assert settled["tokens_ps"] == pytest.approx(nominal["tokens_ps"].typical, rel=1e-6)


@pytest.mark.parametrize("inlet_c", [(18.0, 19.0), (19.5, 20.5), (35.0, 36.0), (37.0, 38.0)])
def test_fan_and_pump_reach_an_inlet_that_recirculation_alone_does_not(inlet_c):
    nominal = SHIPPED["nominal"].ranges
    drivers, settled = solved(inlet_c=inlet_c)
    aim = sum(inlet_c) / 2
    assert settled["inlet_c"] == pytest.approx(aim, abs=1e-3)
    cold = aim < nominal["inlet_c"].typical
    assert drivers.recirculation[-1] == pytest.approx(BOUNDS["recirculation"][0 if cold else 1])
    for name in ("fan_bias_pct", "pump_bias_pct"):
        assert (getattr(drivers, name)[-1] > 0) == cold


def test_a_fan_that_the_profile_states_stays_where_it_is_stated_and_the_pump_alone_helps():
    drivers, settled = solved(inlet_c=(19.5, 20.5), fan_rpm_pct=(60.0, 70.0))
    assert settled["inlet_c"] == pytest.approx(20, abs=1e-3)
    assert settled["fan_rpm_pct"] == pytest.approx(65, abs=1e-3)
    assert drivers.pump_bias_pct[-1] > 10


def test_fan_and_pump_keep_their_law_where_recirculation_reaches_the_inlet():
    drivers, _ = solved(inlet_c=(24.0, 26.0))
    assert (drivers.fan_bias_pct[-1], drivers.pump_bias_pct[-1]) == (drivers.fan_bias_pct[0], drivers.pump_bias_pct[0])


def test_less_load_alone_means_less_power_less_heat_and_less_waiting():
    _, settled = solved(tokens_ps=(4000.0, 5000.0))
    nominal = SHIPPED["nominal"].ranges
    assert settled["tokens_ps"] == pytest.approx(4500, rel=1e-6)
    for channel in ("pdu_kw", "outlet_c", "latency_p95_ms", "queue_depth", "fan_rpm_pct", "pump_rpm_pct"):
        assert settled[channel] < nominal[channel].typical, channel


@examples(10)
@given(
    inlet_c=st.floats(23, 26),
    rise_k=st.floats(12, 14),
    pdu_kw=st.floats(7, 9),
    tokens_ps=st.floats(7500, 9000),
)
def test_a_range_edited_by_the_user_is_reached(inlet_c, rise_k, pdu_kw, tokens_ps):
    aims = {"inlet_c": inlet_c, "outlet_c": inlet_c + rise_k, "pdu_kw": pdu_kw, "tokens_ps": tokens_ps}
    _, settled = solved(**{c: (0.98 * aim, 1.02 * aim) for c, aim in aims.items()})
    for channel, aim in aims.items():
        assert settled[channel] == pytest.approx(aim, rel=0.02), channel


@pytest.mark.parametrize(
    ("ranges", "channel"),
    [
        ({"inlet_c": (3.0, 8.0)}, "inlet_c"),
        ({"pdu_kw": (40.0, 50.0)}, "pdu_kw"),
        ({"tokens_ps": (90_000.0, 99_000.0)}, "tokens_ps"),
        ({"latency_p95_ms": (20.0, 60.0)}, "latency_p95_ms"),
        ({"inlet_c": (22.0, 23.0), "outlet_c": (22.5, 23.5)}, "outlet_c"),
        ({"fan_rpm_pct": (2.0, 9.0)}, "fan_rpm_pct"),
    ],
)
def test_a_range_that_no_driver_reaches_is_an_error_that_names_profile_channel_and_range(ranges, channel):
    low, high = ranges[channel]
    with pytest.raises(InputError) as caught:
        solved(**ranges)
    assert f"profiles.custom.{channel}: [{low:g}, {high:g}] is out of reach" in str(caught.value)


def test_every_unreachable_channel_of_every_profile_is_named_at_once():
    cold, fast = (
        Profile("cold", {"inlet_c": Range.of(0, 5)}),
        Profile("fast", {"latency_p95_ms": Range.of(20, 60), "tokens_ps": Range.of(90_000, 99_000)}),
    )
    with pytest.raises(InputError) as caught:
        solve_drivers([SHIPPED["nominal"], cold, fast], PLACE)
    for place in ("profiles.cold.inlet_c", "profiles.fast.latency_p95_ms", "profiles.fast.tokens_ps"):
        assert place in str(caught.value)


def test_the_first_profile_must_be_nominal():
    with pytest.raises(ValueError, match="nominal"):
        solve_drivers([SHIPPED["overcooled"]], PLACE)


def test_the_order_of_the_other_profiles_changes_no_driver(shipped):
    names = ["nominal", "overcooled", "under_utilized", "thermal_event", "high_load"]
    other = solve_drivers([SHIPPED[name] for name in names], PLACE)
    np.testing.assert_allclose(other.table()[:, [names.index(name) for name in SHIPPED]], shipped.table(), rtol=1e-9)


def test_every_profile_has_noise_of_each_kind_and_none_beyond_its_limit(shipped):
    for name, limit in (("offered_tokens_sd", 0.12), ("recirculation_sd", 0.06), ("airflow_sd", 0.05)):
        assert (getattr(shipped, name) > 0).all(), name
        assert (getattr(shipped, name) <= limit).all(), name


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_deviation_of_the_load_moves_no_channel_further_than_half_way_out_of_its_range(shipped, sign):
    """Noise is sized by slopes over steps of 6 %; where a deviation is larger the curvature is worth a tenth."""
    settled = steady_state(shipped, PLACE)
    there = steady_state(
        replace(shipped, offered_tokens_ps=shipped.offered_tokens_ps * (1 + sign * shipped.offered_tokens_sd)), PLACE
    )
    for i, profile in enumerate(SHIPPED.values()):
        for channel, r in profile.ranges.items():
            room = r.typical - r.low if channel.endswith("_pct") and r.high >= 100 else r.half_width
            assert abs(there[channel][i] - settled[channel][i]) <= 1.1 * room / 2, (profile.name, channel)


def test_a_profile_with_narrower_ranges_gets_less_noise():
    wide, _ = solved(tokens_ps=(7000.0, 10_000.0))
    narrow, _ = solved(tokens_ps=(8300.0, 8700.0))
    assert narrow.offered_tokens_sd[-1] < wide.offered_tokens_sd[-1] / 3
