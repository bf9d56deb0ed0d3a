"""The plant: energy closes, changes act from their own instant on, and faults run their course."""

import numpy as np
import pytest

from sim.incidents.kinds import FaultEffect
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES, ProfileChange
from sim.plant.loops import cool_water, delayed_kw, half_water

NOMINAL, HIGH_LOAD, THERMAL_EVENT, UNDER_UTILIZED, OVERCOOLED = range(5)
MIXED = {
    "rows": [{"name": "A", "racks": 4}, {"name": "B", "racks": 3, "rack_type": "dense"}, {"name": "C", "racks": 2}],
    "rack_types": {"dense": {"size": 3}},
}


def turn(plant, driver, change):
    """Change a driver of every rack at once, without its lag."""
    i = DRIVER_NAMES.index(driver)
    plant.drivers.now[i] = plant.drivers.target[i] = change(plant.drivers.target[i])


def cooling(plant, part):
    """Leave a part of every coil's conductance."""
    plant.apply([FaultEffect("coil", np.arange(plant.params.size.size), np.array(part))])


def water_step(plant, coil_kw):
    """Step a plant's water alone, under racks that all give it the same heat."""
    s, given_kw = plant.state, np.full_like(plant.state.coil_kw, coil_kw)
    early_kw = delayed_kw(s.loop_kw, plant.step_s, begins=True)
    middle_c = half_water(plant.params, s.water_c, early_kw, s.chilled_water_c, plant.condition, plant.step_s)
    loop_kw, water_c, chilled_c = cool_water(
        plant.params, s, (middle_c, early_kw), given_kw, plant.condition, plant.step_s
    )
    plant.state = plant.state._replace(loop_kw=loop_kw, water_c=water_c, chilled_water_c=chilled_c)


def reaches_63_percent_after_s(values, step_s):
    done = (values - values[0]) / (values[-1] - values[0])
    return np.argmax(done > 1 - np.exp(-1)) * step_s


def latency_ms(plant):
    """Return latency as the sampler works it out."""
    s = plant.state
    return relations.latency_p95_ms(s.utilisation, s.backlog_tokens / np.maximum(s.capacity_ps, 1.0), s.service)


@pytest.mark.parametrize("step_s", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("facility", [{"rows": 4, "racks_per_row": 3}, MIXED])
def test_energy_closes_to_a_millionth_over_any_steps_and_changes(plants, step_s, facility):
    plant = plants(step_s, still=False, facility=facility)
    size = plant.params.size

    def stored_kj():
        of_air_kj_k = (k.RACK_HEAT_KJ_K, k.COLD_AISLE_HEAT_KJ_K, k.COIL_HEAT_KJ_K)
        heat_kj_k = np.array([*of_air_kj_k, k.STRUCTURE_HEAT_KJ_K, k.STRUCTURE_HEAT_KJ_K])[:, None, None]
        return float((size * heat_kj_k * plant.state.stored_c).sum())

    changes = [ProfileChange(601.5, 2, NOMINAL, THERMAL_EVENT), ProfileChange(3333.3, 2, THERMAL_EVENT, OVERCOOLED)]
    before, drawn_kj, carried_kj = stored_kj(), 0.0, 0.0
    for _ in range(round(5400 / step_s)):
        until_s = plant.time_s + step_s
        plant.step([c for c in changes if plant.time_s < c.time_s <= until_s])
        drawn_kj += float((size * plant.state.rack_kw).sum()) * step_s
        carried_kj += float((size * plant.state.coil_kw).sum()) * step_s
    assert drawn_kj == pytest.approx(stored_kj() - before + carried_kj, rel=1e-6)


def test_a_change_inside_a_step_acts_from_its_own_instant_by_the_lags_own_law(plants, run):
    plant = plants(60.0)
    start_s, table = plant.time_s, plant.drivers.table
    run(plant, 60, [ProfileChange(start_s + 17.25, 4, NOMINAL, HIGH_LOAD)])
    gone = np.exp(-(60 - 17.25) / k.DRIVER_TAU_S)
    np.testing.assert_allclose(
        plant.drivers.now[:, 4], table[:, HIGH_LOAD] + (table[:, NOMINAL] - table[:, HIGH_LOAD]) * gone, rtol=1e-12
    )
    np.testing.assert_allclose(plant.drivers.now[:, 3], table[:, NOMINAL], rtol=1e-12)


def test_several_changes_of_a_rack_within_a_step_follow_each_other_exactly(plants, run):
    plant = plants(60.0)
    start_s, table = plant.time_s, plant.drivers.table
    legs = [(5.0, NOMINAL, HIGH_LOAD), (20.0, HIGH_LOAD, NOMINAL), (21.5, NOMINAL, OVERCOOLED)]
    run(plant, 60, [ProfileChange(start_s + at, 0, old, new) for at, old, new in legs])
    value, now = table[:, NOMINAL], 0.0
    for (at, _, target), until in zip(legs, (20.0, 21.5, 60.0), strict=True):
        value = table[:, target] + (value - table[:, target]) * np.exp(-(until - at) / k.DRIVER_TAU_S)
        now = until
    assert now == 60
    np.testing.assert_allclose(plant.drivers.now[:, 0], value, rtol=1e-12)
    np.testing.assert_array_equal(plant.drivers.target[:, 0], table[:, OVERCOOLED])


def test_drivers_do_not_depend_on_the_step(plants, run):
    after = []
    for step_s in (60.0, 20.0, 7.5):
        plant = plants(step_s, still=False)
        changes = [
            ProfileChange(61.0, 1, NOMINAL, THERMAL_EVENT),
            ProfileChange(62.0, 5, NOMINAL, HIGH_LOAD),
            ProfileChange(119.0, 1, THERMAL_EVENT, NOMINAL),
            ProfileChange(119.5, 1, NOMINAL, UNDER_UTILIZED),
        ]
        run(plant, 300, changes)
        after.append(plant.drivers.now)
    np.testing.assert_allclose(after[1], after[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(after[2], after[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("step_s", [0.4, 1.0, 7.0, 20.0, 30.5, 60.0])
def test_a_plant_takes_any_step_up_to_a_minute(plants, step_s):
    plant = plants(step_s, still=False)
    plant.step()
    assert np.isfinite(plant.state.inlet_c).all()


@pytest.mark.parametrize("step_s", [0.0, -1.0, 60.5])
def test_a_step_that_is_none_or_too_long_is_refused(plants, step_s):
    with pytest.raises(ValueError, match=r"outside 0\.\.60 s"):
        plants(step_s)


def test_a_hall_at_rest_stands_where_it_stands_whatever_the_step(plants):
    fine, coarse = plants(5.0), plants(60.0)
    for state in ("inlet_c", "outlet_c", "rack_kw", "fan_pct", "water_c", "tokens_ps"):
        np.testing.assert_allclose(getattr(fine.state, state), getattr(coarse.state, state), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "profile"),
    [(n, i) for i, n in enumerate(("nominal", "high_load", "thermal_event", "under_utilized", "overcooled"))],
)
def test_a_whole_hall_in_a_profile_settles_in_its_ranges_and_breathes_like_real_servers(plants, halls, name, profile):
    plant = plants(30.0, profile=name)
    ranges = halls(rows=4, racks_per_row=3).profiles[name].ranges
    for channel, state in (
        ("inlet_c", plant.state.inlet_c),
        ("outlet_c", plant.state.outlet_c),
        ("pdu_kw", plant.state.rack_kw),
        ("tokens_ps", plant.state.tokens_ps),
    ):
        assert ((state >= ranges[channel].low) & (state <= ranges[channel].high)).all(), channel
    cfm_per_kw = k.CFM_PER_M3S * plant.state.airflow_m3s / plant.state.rack_kw
    assert ((cfm_per_kw >= 85) & (cfm_per_kw <= 200)).all()
    np.testing.assert_array_equal(plant.driver("offered_tokens_ps"), plant.drivers.table[0, profile])


@pytest.mark.parametrize(
    ("driver", "change"),
    [
        ("offered_tokens_ps", lambda now: 1.15 * now),
        ("airflow", lambda now: 1.1 * now),
        ("fan_bias_pct", lambda now: now + 10),
    ],
)
def test_the_outlet_follows_a_step_of_load_or_fan_within_minutes(plants, run, driver, change):
    plant = plants(5.0)
    before = plant.state.outlet_c[0].copy()
    turn(plant, driver, change)
    outlet_c = np.vstack([before, run(plant, 3600, watch="outlet_c")])
    assert 45 <= reaches_63_percent_after_s(outlet_c[:, 0], 5.0) <= 600


def test_power_leads_the_outlet_after_a_step_of_load(plants, run):
    pair = [plants(5.0), plants(5.0)]
    halves = []
    for plant, watch in zip(pair, ("rack_kw", "outlet_c"), strict=True):
        before = getattr(plant.state, watch)[0].copy()
        turn(plant, "offered_tokens_ps", lambda now: 1.15 * now)
        seen = np.vstack([before, run(plant, 3600, watch=watch)])
        halves.append(reaches_63_percent_after_s(seen[:, 0], 5.0))
    assert 20 <= halves[1] - halves[0] <= 480


def test_loop_water_answers_after_its_dead_time_and_then_with_its_own_lag(plants):
    plant = plants(1.0)

    def water_under(coil_kw):
        seen = []
        for _ in range(300):
            water_step(plant, coil_kw)
            seen.append(float(plant.state.water_c[0, 0]))
        return seen

    settled = water_under(6.0)[-1]
    water_c = np.array([settled, *water_under(11.0)])
    assert np.ptp(water_c[:20]) < 1e-5
    assert reaches_63_percent_after_s(water_c, 1.0) == pytest.approx(k.LOOP_DEAD_TIME_S + k.LOOP_TAU_S, abs=2)


@pytest.mark.parametrize("which", ["fan", "pump"])
def test_fans_and_pumps_move_no_faster_than_they_can(plants, run, which):
    plant = plants(5.0)
    turn(plant, f"{which}_bias_pct", lambda now: now + 60)
    speeds = run(plant, 120, watch=f"{which}_pct")
    assert np.diff(speeds, axis=0).max() == pytest.approx(k.ACTUATOR_RATE_PCT_S * 5)
    assert speeds.max() <= 100


def test_all_cooling_lost_heats_the_coil_first_then_the_inlet_ever_slower(plants, run):
    """Water and fins of the coil take up the first half minute's heat; the inlet's rise falls from minute 2 on."""
    plant = plants(5.0)
    before = plant.state.inlet_c[0].copy()
    plant.apply([FaultEffect("loop_pump", np.arange(2), np.array(0.0))])
    inlet_c = np.vstack([before, run(plant, 240)])[::12]  # every minute; nobody has shut down yet
    assert not plant.state.nodes.shut.any()
    rise = np.diff(inlet_c, axis=0)
    assert (rise > 0).all()
    assert (np.diff(rise[1:], axis=0) < 0).all()


def test_without_cooling_a_rack_warms_in_proportion_to_its_power(plants, run):
    slopes, powers = [], []
    for profile in ("under_utilized", "nominal"):
        plant = plants(5.0, profile=profile)
        cooling(plant, 0.0)
        inlet_c = run(plant, 180)
        slopes.append((inlet_c[-1] - inlet_c[-13]).mean())
        powers.append(plant.state.rack_kw.mean())
    # as wide as the realism check that twice the power is 1.6 to 2.4 times the slope
    assert slopes[1] / slopes[0] == pytest.approx(powers[1] / powers[0], rel=0.2)


def test_racks_shut_down_above_45_degrees_and_stay_down_while_their_cooling_could_not_hold_them(plants, run):
    plant = plants(5.0)
    cooling(plant, 0.0)
    hottest_up = 0.0
    for _ in range(500):
        if plant.state.nodes.shut.any():
            break
        hottest_up = plant.state.inlet_c.max()
        run(plant, 5)
    assert hottest_up > k.SHUTDOWN_INLET_C >= hottest_up - 1
    run(plant, 1800)
    assert plant.state.nodes.shut.all()
    np.testing.assert_allclose(plant.state.rack_kw, k.STANDBY_KW)
    assert not plant.state.gpu_kw.any()
    draught = relations.airflow_m3s(plant.driver("airflow"), plant.state.rack_kw, plant.state.inlet_c)
    np.testing.assert_allclose(plant.state.airflow_m3s, k.PASSIVE_AIRFLOW * draught, rtol=0.01)
    run(plant, 3 * 3600)  # the cause lasts: cool as they are by now, they do not start again
    assert plant.state.nodes.shut.all()


def test_racks_that_heat_shut_down_boot_once_their_cooling_is_back_and_no_more_than_once(plants, run):
    plant = plants(5.0)
    cooling(plant, 0.0)
    run(plant, 1800)
    cooling(plant, 1.0)
    shut = np.array(
        [
            plant.state.nodes.shut[0].copy(),
            *(run(plant, 5) is None or plant.state.nodes.shut[0].copy() for _ in range(1500)),
        ]
    )
    assert shut[0].all()
    assert not shut[-1].any()
    assert (np.diff(shut, axis=0) <= 0).all()
    assert plant.state.nodes.all_serve
    np.testing.assert_allclose(plant.state.tokens_ps, 8270, rtol=1e-3)


def test_a_rack_that_is_down_serves_nothing_and_keeps_nobody_waiting(plants, run):
    plant = plants(5.0)
    cooling(plant, 0.0)
    run(plant, 1800)
    assert plant.state.nodes.shut.all()
    assert not plant.state.tokens_ps.any()
    assert not plant.state.backlog_tokens.any()
    assert np.isfinite(latency_ms(plant)).all()


def test_a_backlog_grows_under_overload_is_shed_at_its_limit_and_drains_after_it(plants, run):
    plant = plants(10.0)
    turn(plant, "offered_tokens_ps", lambda now: 3 * now)
    backlog = run(plant, 30, watch="backlog_tokens")[:, 0]
    assert (np.diff(backlog) > 0).all()
    run(plant, 600)
    np.testing.assert_allclose(plant.state.backlog_tokens, k.BACKLOG_LIMIT_S * plant.state.capacity_ps)
    np.testing.assert_array_equal(plant.state.tokens_ps, plant.state.capacity_ps)
    queueing = k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * k.UTILISATION_MAX / (1 - k.UTILISATION_MAX)
    np.testing.assert_allclose(latency_ms(plant), queueing * plant.state.service + 30_000)
    turn(plant, "offered_tokens_ps", lambda now: now / 3)
    backlog = run(plant, 900, watch="backlog_tokens")[:, 0]
    assert (np.diff(backlog) <= 0).all()
    assert backlog[-1] < 1
    np.testing.assert_allclose(plant.state.tokens_ps, 8270, rtol=1e-3)


def test_what_is_offered_is_served_waits_or_is_shed_never_made(plants, run):
    plant = plants(10.0, still=False)
    turn(plant, "offered_tokens_ps", lambda now: 1.8 * now)
    waiting, served = plant.state.backlog_tokens.copy(), 0.0
    served = run(plant, 60, watch="tokens_ps").sum(axis=0) * 10
    most = plant.driver("offered_tokens_ps") * (1 + 5 * plant.driver("offered_tokens_sd")) * 60
    assert (served + plant.state.backlog_tokens - waiting <= most).all()


def test_below_the_chillers_capacity_a_loops_water_is_exactly_independent_of_another_loops_load(plants, run):
    quiet, busy = plants(30.0, still=False, chiller_capacity_kw=140), plants(30.0, still=False, chiller_capacity_kw=140)
    changes = [ProfileChange(busy.time_s + 5, rack, NOMINAL, HIGH_LOAD) for rack in range(6)]
    np.testing.assert_array_equal(run(quiet, 3600)[:, 6:], run(busy, 3600, changes)[:, 6:])
    assert busy.state.water_c[0, 0] > quiet.state.water_c[0, 0]
    assert busy.state.water_c[0, 1] == quiet.state.water_c[0, 1]


def test_beyond_the_chillers_capacity_every_loop_warms(plants, run):
    """95 kW of nominal racks fit under 100 kW; with a loop of six under high load there are 109."""
    quiet, busy = plants(30.0, chiller_capacity_kw=100), plants(30.0, chiller_capacity_kw=100)
    changes = [ProfileChange(busy.time_s + 5, rack, NOMINAL, HIGH_LOAD) for rack in range(6)]
    run(quiet, 3600)
    run(busy, 3600, changes)
    np.testing.assert_allclose(
        quiet.state.water_c, quiet.params.water_setpoint_c + k.LOOP_DROOP_K * 7.9 / 12.5, rtol=1e-6
    )
    assert (busy.state.water_c > quiet.state.water_c + 0.5).all()


def test_two_worlds_without_effects_stay_equal_to_the_bit(plants, run):
    plant = plants(30.0, still=False, worlds=2)
    alone = plants(30.0, still=False)
    changes = [ProfileChange(100.0, 3, NOMINAL, THERMAL_EVENT), ProfileChange(2000.0, 3, THERMAL_EVENT, NOMINAL)]
    run(plant, 3600, changes)
    run(alone, 3600, changes)
    np.testing.assert_array_equal(plant.drivers.now, alone.drivers.now)
    for state in ("inlet_c", "outlet_c", "rack_kw", "tokens_ps", "fan_pct", "water_c", "chilled_water_c"):
        values = getattr(plant.state, state)
        np.testing.assert_array_equal(values[0], values[-1])
        np.testing.assert_array_equal(values[0], getattr(alone.state, state)[0])


def test_what_happens_in_one_world_does_not_touch_the_other(plants, run):
    plant, alone = plants(30.0, still=False, worlds=2), plants(30.0, still=False)
    plant.apply([FaultEffect("airflow", np.arange(12), np.array(0.8))])
    run(plant, 1800)
    run(alone, 1800)
    np.testing.assert_array_equal(plant.state.inlet_c[1], alone.state.inlet_c[0])
    assert (plant.state.outlet_c[0] != plant.state.outlet_c[1]).any()


class Steady:
    """A demand that is always the same, in deviations or in parts of the load."""

    def __init__(self, level=1.5, *, by_rate=False):
        self.level, self.by_rate = level, by_rate

    def __call__(self, _time_s):
        return np.full(12, self.level)


class Surge:
    """A burst that lasts."""

    def mean(self, _from_s, _until_s):
        return 1.2


def test_a_demand_by_rate_is_in_parts_of_the_load_and_a_burst_comes_on_top(plants, run):
    plant = plants(30.0, still=False, demand=Steady(-0.25, by_rate=True), surges=Surge())
    run(plant, 1800)
    np.testing.assert_allclose(plant.state.tokens_ps, 0.95 * plant.driver("offered_tokens_ps"), rtol=1e-9)


def test_demand_takes_the_place_of_the_loads_own_noise(plants, run):
    plant = plants(30.0, still=False, demand=Steady())
    run(plant, 1800)
    offered = plant.driver("offered_tokens_ps") * (1 + 1.5 * plant.driver("offered_tokens_sd"))
    np.testing.assert_allclose(plant.state.tokens_ps, offered, rtol=1e-9)
