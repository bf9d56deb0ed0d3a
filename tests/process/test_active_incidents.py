"""Active incidents: what is under way makes the plant's condition, span by span; each end leaves the rest alone."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.active import LINGERS_S, ActiveIncidents
from sim.incidents.kinds import FAULT_INPUTS
from sim.incidents.planning import plan_incidents
from sim.plant.health import Health
from tests.process.stage import quiet_hall

STEP_S = 60.0


class Plant:
    """A plant of which only its condition is looked at."""

    def __init__(self):
        self.health = Health(2, 8, 1)
        self.applied = 0
        self.saturated = np.array([False, False])

    def apply(self, effects, transfers):
        self.applied += 1
        self.health.set(effects, transfers)


class Stage:
    """Active incidents and their plant; incidents begin as planned, and a fault input is followed step by step."""

    def __init__(self, *incidents):
        hall = quiet_hall(incidents=list(incidents))
        self.planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
        self.active, self.plant = ActiveIncidents(), Plant()

    def follow(self, fault_input, until_s, asset=0):
        seen = []
        for from_s in np.arange(0, until_s, STEP_S):
            for incident in self.planned.values():
                if from_s <= incident.at_s < from_s + STEP_S:
                    self.active.begins(incident, incident.at_s, None)
            self.active.act(self.plant, from_s, from_s + STEP_S)
            seen.append(float(self.plant.health.of[fault_input][0, asset]))
        return seen


def affected(kind, at, duration, target="rack:R-A-01", **more):
    return {"kind": kind, "target": target, "at": at, "duration": duration, "recovery": 0, **more}


def test_an_incident_holds_its_fault_input_from_its_start_to_its_end_to_the_second():
    stage = Stage(affected("breaker_trip", 90, 105))
    assert stage.follow("powered", 300) == pytest.approx([1, 0.5, 0, 0.75, 1])


def test_the_end_of_one_does_not_repair_another_of_the_same_fault_input():
    stage = Stage(affected("breaker_trip", 0, 240), affected("pdu_loss", 60, 60, "row:A"))
    assert stage.follow("powered", 300) == [0, 0, 0, 0, 1]
    stage = Stage(affected("nodes_lost", 0, 120), affected("gpu_throttle", 60, 180))
    assert stage.follow("capacity", 300) == pytest.approx([0.55, 0.55 * 0.6, 0.6, 0.6, 1])
    stage = Stage(affected("fan_failure", 0, 120), affected("row_fan_fault", 60, 120, "row:A"))
    assert stage.follow("fan_ceiling_pct", 300) == [25, 25, 40, 100, 100]


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_one_that_begins_as_its_like_ends_acts_anew(severity):
    stage = Stage(
        affected("fan_failure", 0, 120, severity=severity),
        affected("fan_failure", 120, 120, severity=severity, parameters={"fan_left_pct": 60}),
    )
    one, other = 100 - 75 * severity, 100 - 40 * severity
    assert stage.follow("fan_ceiling_pct", 300) == pytest.approx([one, one, other, other, 100])
    again = Stage(affected("fan_failure", 0, 120), affected("fan_failure", 120, 120, "rack:R-A-02"))
    assert again.follow("fan_ceiling_pct", 300, asset=0) == [25, 25, 100, 100, 100]
    assert again.plant.health.of["fan_ceiling_pct"][0, 1] == 100


def test_what_is_over_may_still_be_felt_for_two_hours():
    """Heat outlasts its cause: the board keeps who may be why."""
    stage = Stage(affected("breaker_trip", 0, 600, recovery=60))
    stage.active.begins(stage.planned["breaker_trip-1"], 0.0, None)
    known_s = []
    for from_s in np.arange(0, 4 * 3600, STEP_S):
        stage.active.act(stage.plant, from_s, from_s + STEP_S)
        known_s += [from_s] if stage.active.lately else []
    assert known_s[-1] == 600 + 60 + LINGERS_S - STEP_S
    assert LINGERS_S == 7200


def test_what_holds_is_applied_to_the_plant_once_and_its_end_once():
    stage = Stage(affected("breaker_trip", 60, 3000))
    stage.follow("powered", 3600)
    assert stage.plant.applied == 2


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_load_moves_by_the_share_asked_for_the_severity_and_the_strength(severity):
    """A ramp over four minutes has risen by an eighth on average in the first of them, and by seven in the last."""
    more = {"parameters": {"share": 0.8}, "shape": "ramp", "rise": 240, "severity": severity}
    stage = Stage(affected("traffic_shift", 0, 300, **more))
    stage.active.begins(stage.planned["traffic_shift-1"], 0.0, None)
    parts = []
    for from_s in np.arange(0, 360, STEP_S):
        stage.active.act(stage.plant, from_s, from_s + STEP_S)
        parts += [t.part.tolist() for t in stage.plant.health.transfers] or [[0.0]]
    expected = 0.8 * severity * np.array([1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 0])
    assert np.concatenate(parts) == pytest.approx(expected)


def test_racks_that_are_touched_in_turn_are_touched_one_after_another():
    stage = Stage(affected("firmware_roll", 0, 480, "row:A"))
    seen = {rack: [] for rack in range(5)}
    for from_s in np.arange(0, 600, STEP_S):
        if not from_s:
            stage.active.begins(stage.planned["firmware_roll-1"], 0.0, None)
        stage.active.act(stage.plant, from_s, from_s + STEP_S)
        for rack, levels in seen.items():
            levels.append(float(stage.plant.health.of["offered_tokens_ps"][0, rack]) < 1)
    assert [np.flatnonzero(levels).tolist() for levels in seen.values()] == [[0, 1], [2, 3], [4, 5], [6, 7], []]


def test_when_all_is_over_every_fault_input_has_its_healthy_bits():
    kinds = ("breaker_trip", "nodes_lost", "stuck_valve", "added_ai_nodes", "batch_surge", "overcooled_row")
    stage = Stage(
        *(affected(kind, 7 * i, 100 + 13 * i, recovery=50) for i, kind in enumerate(kinds)),
        affected("coolant_leak", 30, 200, "loop:CL-1"),
        affected("heat_wave", 40, 300, "plant"),
        affected("planned_maintenance", 50, 200),
    )
    stage.follow("powered", 900)
    health = stage.plant.health
    for name, fault_input in FAULT_INPUTS.items():
        assert np.all(health.of[name] == fault_input.healthy), name
    flags = health.drivers_differ, health.power_differs, health.limits_differ, health.transfers
    assert flags == (False, False, False, ())


@pytest.mark.parametrize("tick_s", [10, 30, 60])
@pytest.mark.parametrize("offset_s", [0, 1, 29.5, 59])
def test_strength_times_time_is_the_same_whatever_the_step(tick_s, offset_s):
    stage = Stage(affected("pump_wear", 600 + offset_s, 333, "loop:CL-1", recovery=77))
    stage.active.begins(stage.planned["pump_wear-1"], 600 + offset_s, None)
    lost_s = 0.0
    for from_s in np.arange(0, 1800, tick_s):
        stage.active.act(stage.plant, from_s, from_s + tick_s)
        lost_s += (1 - stage.plant.health.of["loop_pump"][0, 0]) * tick_s
    assert lost_s == pytest.approx(0.7 * (333 + 77) / 2, rel=1e-9)


@pytest.mark.parametrize(("from_s", "coupled_s"), [(0, 60), (120, 180), (180, 240), (240, None), (300, None)])
def test_who_acts_or_just_did_when_the_plant_runs_out_of_capacity_answers_for_it(from_s, coupled_s):
    """What saturates the plant shows at the end of a step, and reaches racks in the next one."""
    stage = Stage(affected("nodes_lost", 0, 170))
    stage.active.begins(stage.planned["nodes_lost-1"], 0.0, None)
    for step_s in np.arange(0, 600, STEP_S):
        stage.plant.saturated = np.array([step_s >= from_s, False])
        stage.active.act(stage.plant, step_s, step_s + STEP_S)
    assert stage.active.occurrences[0].saturated_s == coupled_s


def short_from_the_trip_on(stage, *, until_s, anyway_from_s=float("inf")):
    """Let all begin as planned, and the plant be short from 60 s to a time."""
    for step_s in np.arange(0, 1800, STEP_S):
        for incident in stage.planned.values():
            if incident.at_s == step_s:
                stage.active.begins(incident, step_s, None)
        stage.plant.saturated = np.array([60 <= step_s < until_s, anyway_from_s <= step_s < until_s])
        stage.active.act(stage.plant, step_s, step_s + STEP_S)
    return {o.incident.kind.name: o.saturated_s for o in stage.active.occurrences}


def test_who_affected_the_chiller_plant_answers_until_its_water_is_cold_again():
    """The chillers are back at 120 s, the water is warm until 1200 s: no rack's fault is why."""
    faults = (
        affected("chiller_trip", 0, 120, "plant"),
        affected("fan_failure", 0, 1800),
        affected("nodes_lost", 600, 900),
    )
    coupled = {"chiller_trip": 120, "fan_failure": None, "nodes_lost": None}
    assert short_from_the_trip_on(Stage(*faults), until_s=1200) == coupled


def test_a_plant_that_is_short_without_incidents_too_couples_whoever_acts():
    faults = affected("chiller_trip", 0, 120, "plant"), affected("nodes_lost", 600, 900)
    stage = Stage(*faults)
    assert short_from_the_trip_on(stage, until_s=1200, anyway_from_s=300) == {"chiller_trip": 120, "nodes_lost": 660}


def test_racks_in_turn_end_together_with_the_whole():
    """Seven turns of a seventh of 4 h each add up to a little more than 4 h."""
    racks = ["rack:R-A-*", *(f"rack:R-B-0{i}" for i in (1, 2, 3))]
    stage = Stage(affected("firmware_roll", 0, "4h", racks, recovery="10m"))
    stage.active.begins(stage.planned["firmware_roll-1"], 0.0, None)
    occurrence = stage.active.occurrences[0]
    assert len(occurrence.envelopes) == 7
    assert (occurrence.end_s, occurrence.over_s) == (14_400, 15_000)


def test_each_rack_in_turn_rises_within_its_own_turn():
    stage = Stage(affected("firmware_roll", 0, 480, "row:A", shape="ramp"))
    stage.active.begins(stage.planned["firmware_roll-1"], 0.0, None)
    envelopes = stage.active.occurrences[0].envelopes
    assert [c.at(c.start_s + c.duration_s / 4) for c in envelopes] == [1.0] * 4
