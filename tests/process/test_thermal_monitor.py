"""Heat and cold of incidents put racks in a profile by event, with hysteresis, over chains that run on underneath."""

from types import SimpleNamespace

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents
from sim.incidents.planning import plan_incidents
from sim.incidents.thermal_monitor import COLD_C, HOT_C, HYSTERESIS_K, ThermalMonitor
from tests.process.conftest import NAMES
from tests.process.stage import busy_hall, quiet_hall, run

SIGMA_K = 0.05
THERMAL, OVERCOOLED = NAMES.index("thermal_event"), NAMES.index("overcooled")
TRIP = {"kind": "pump_trip", "target": "loop:CL-1", "at": "1h", "duration": "30m"}


class Racks:
    """Eight racks that write down what they are told."""

    def __init__(self, log):
        self.log, self.now_s = log, 0

    def __iter__(self):
        return iter(self.all)

    def make(self):
        def rack(i):
            return SimpleNamespace(
                override=lambda profile, incident: self.log.append((self.now_s, i, NAMES[profile], incident)),
                release=lambda: self.log.append((self.now_s, i, "back", None)),
            )

        self.all = [rack(i) for i in range(8)]
        return self.all


@pytest.fixture
def monitored(log):
    """Let the monitor see a rack's inlet go along temperatures, minute by minute, and return what the rack was told."""

    def of(inlets_c, *incidents, twin_c=22.0, rack=0, **scenario):
        hall = quiet_hall(incidents=list(incidents), duration="6h", **scenario)
        planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
        active, racks = ActiveIncidents(60), Racks(log)
        watching = ThermalMonitor(racks.make(), active, {name: i for i, name in enumerate(NAMES)})
        for minute, inlet_c in enumerate(inlets_c):
            racks.now_s = 60 * minute
            for incident in planned.values():
                if incident.at_s == racks.now_s:
                    active.begins(incident, racks.now_s, None)
            active.without.part(active.open, racks.now_s)
            inlet = np.full((len(active.without.sources), 8), 22.0)
            inlet[0, rack], inlet[1:, rack] = inlet_c, twin_c
            for o in active.open:  # what does not reach the rack is not why
                if rack not in o.incident.reaches:
                    inlet[active.without.world_of(o), rack] = inlet_c
                elif o.incident.kind.is_normal:
                    inlet[active.without.planned, rack] = inlet_c
                elif rack not in o.incident.racks:  # a part of it is
                    inlet[active.without.world_of(o), rack] = (inlet_c + twin_c) / 2
            watching.look(inlet, np.abs(inlet - inlet[0]) / SIGMA_K)
        return log

    return of


def fan(**more):
    return {"kind": "fan_failure", "target": "rack:R-A-01", "at": 0, "duration": "5h", **more}


def test_a_rack_that_passes_27_degc_is_in_a_thermal_event_until_half_a_kelvin_below(monitored):
    assert (HOT_C, COLD_C, HYSTERESIS_K) == (27.0, 19.0, 0.5)
    assert monitored([26.9, 27.0, 27.01, 26.8, 26.51, 27.2, 26.5, 26.9, 27.1], fan()) == [
        (120, 0, "thermal_event", "fan_failure-1"),
        (360, 0, "back", None),
        (480, 0, "thermal_event", "fan_failure-1"),
    ]


def test_a_rack_below_19_degc_is_overcooled_until_half_a_kelvin_above(monitored):
    assert monitored([19.0, 18.99, 19.3, 19.49, 19.5, 19.2], fan()) == [
        (60, 0, "overcooled", "fan_failure-1"),
        (240, 0, "back", None),
    ]


def test_a_rack_may_go_from_hot_to_cold_at_once(monitored):
    told = monitored([28, 18, 22], fan())
    assert [(when, what) for when, _, what, _ in told] == [(0, "thermal_event"), (60, "overcooled"), (120, "back")]


def test_from_cold_a_rack_is_hot_at_the_limit_itself(monitored):
    assert [what for _, _, what, _ in monitored([18, 26.8, 27.1], fan())] == ["overcooled", "back", "thermal_event"]


def test_from_hot_a_rack_is_cold_at_the_limit_itself(monitored):
    assert [what for _, _, what, _ in monitored([28, 19.2, 18.9], fan())] == ["thermal_event", "back", "overcooled"]


def test_what_its_twin_does_too_is_not_the_incidents(monitored):
    assert monitored([28.0], fan(), twin_c=27.5) == []
    assert monitored([18.0], fan(), twin_c=18.5) == []


def test_only_what_an_incident_reaches_counts(monitored):
    assert monitored([28.0]) == []
    assert monitored([28.0], {"kind": "sensor_offset", "target": "rack:R-A-01", "at": 0}) == []
    assert monitored([28.0], {"kind": "setpoint_tuning", "target": "loop:CL-1", "at": 0}) == []


def test_a_rack_is_put_down_to_what_affects_it_before_what_only_reaches_it(monitored):
    near = {"kind": "pump_trip", "target": "loop:CL-1", "at": 0}
    beside = {"kind": "fan_failure", "target": "rack:R-B-01", "at": 0}
    assert monitored([28.0], fan(), beside)[0][3] == "fan_failure-1"
    assert monitored([28.0], beside)[-1][3] == "fan_failure-1"
    assert monitored([28.0], near, fan(), beside)[-1][3] == "fan_failure-1"


def test_a_rack_is_not_put_down_to_what_cannot_reach_it(monitored):
    """Rows A and B have loops of their own: what began last is on the other one."""
    loops = [{"name": "CL-1", "feeds": ["A"]}, {"name": "CL-2", "feeds": ["B"]}]
    faults = {"kind": "pump_trip", "target": "loop:CL-1", "at": 0}, fan(target="rack:R-B-01")
    told = monitored([28.0], *faults, facility={"rows": 2, "racks_per_row": 4, "loops": loops})
    assert told == [(0, 0, "thermal_event", "pump_trip-1")]


def test_what_cannot_be_observed_puts_no_rack_in_a_profile(monitored):
    """Three sigmas of the sensor are 0.15 K."""
    assert monitored([27.03, 27.1], fan(), twin_c=26.96) == []
    assert [what for _, _, what, _ in monitored([27.03, 27.1, 27.12], fan(), twin_c=26.96)] == ["thermal_event"]


@pytest.fixture(scope="module")
def tripped():
    return run(quiet_hall(incidents=[TRIP], duration="4h"))


@pytest.fixture(scope="module")
def calm():
    return run(quiet_hall(duration="4h"))


def test_profiles_in_the_labels_are_what_true_inlets_say(tripped, calm):
    inlet_c, twin_c = tripped.truth["inlet_c"], calm.truth["inlet_c"]
    expected, state = np.zeros_like(tripped.profile), np.zeros(inlet_c.shape[1], dtype=int)
    for t in range(len(inlet_c)):
        hot = inlet_c[t] > np.where(state == 1, HOT_C - HYSTERESIS_K, HOT_C)
        cold = inlet_c[t] < np.where(state == -1, COLD_C + HYSTERESIS_K, COLD_C)
        reached = (t >= 60) | (state != 0)
        state = np.where(
            reached & hot & (twin_c[t] <= HOT_C), 1, np.where(reached & cold & (twin_c[t] >= COLD_C), -1, 0)
        )
        expected[t] = np.choose(state + 1, [OVERCOOLED, 0, THERMAL])
    assert np.array_equal(tripped.profile, expected)
    assert (expected == THERMAL).any()


def test_episodes_of_heat_name_their_incident(tripped):
    assert {(e.profile, e.incident, e.cause) for e in tripped.episodes} == {(THERMAL, "pump_trip-1", None)}
    assert all(3600 < e.start_s < e.end_s < 2.5 * 3600 for e in tripped.episodes)


def test_agents_go_on_underneath_and_a_rack_ends_where_its_twin_is():
    """What the chains do is the same to the last event; heat only covers it."""
    trip = {**TRIP, "duration": "40m"}
    affected, twin = run(busy_hall(incidents=[trip])), run(busy_hall())
    covered = affected.profile != twin.profile
    assert covered.any()
    ticks = np.flatnonzero(covered.any(axis=1))
    assert ticks[0] >= 60
    assert ticks[-1] < len(covered) - 60
    assert set(affected.profile[covered].tolist()) <= {THERMAL, OVERCOOLED}
    assert np.array_equal(affected.row_profile, twin.row_profile)
    assert np.array_equal(affected.loop_profile, twin.loop_profile)
    own = [e for e in affected.episodes if e.asset.startswith(("row", "CL"))]
    assert [e.name for e in own] == [e.name for e in twin.episodes if e.asset.startswith(("row", "CL"))]


def test_a_rack_that_was_covered_is_back_in_what_its_agents_led_it_to_meanwhile():
    trip = {**TRIP, "duration": "40m"}
    affected, twin = run(busy_hall(incidents=[trip])), run(busy_hall())
    covered = affected.profile != twin.profile
    leaves = covered[:-1] & ~covered[1:]
    assert np.array_equal(affected.profile[1:][leaves], twin.profile[1:][leaves])
    assert set(twin.profile[covered].tolist()) > {0}, "some were in a profile of their own beneath"
