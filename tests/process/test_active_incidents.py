"""Active incidents: what is under way makes the plant's condition, span by span; each end leaves the rest alone."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents
from sim.incidents.kinds import FAULT_INPUTS
from sim.incidents.observed import QUIET_S
from sim.incidents.planning import plan_incidents
from sim.plant.health import Health
from tests.process.stage import quiet_hall

STEP_S = 60.0


class Plant:
    """A plant of which only its condition is looked at; it is short where what its chillers have left falls below."""

    def __init__(self, short_below=0.0):
        self.health = Health(2, 8, 1)
        self.applied = 0
        self.short_below = short_below

    @property
    def saturated(self):
        return self.health.of["chiller"][:, 0] < self.short_below

    def become(self, worlds):
        self.health = Health(len(worlds), 8, 1)

    def apply(self, effects, transfers):
        self.applied += 1
        self.health.set(effects, transfers)


class Stage:
    """Active incidents and their plant; incidents begin as planned, and a fault input is followed step by step."""

    def __init__(self, *incidents):
        hall = quiet_hall(incidents=list(incidents))
        self.planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
        self.active, self.plant = ActiveIncidents(STEP_S), Plant()

    def follow(self, fault_input, until_s, asset=0):
        seen = []
        for from_s in np.arange(0, until_s, STEP_S):
            for incident in self.planned.values():
                if from_s <= incident.at_s < from_s + STEP_S:
                    self.active.begins(incident, incident.at_s, None)
            self.move_on(from_s)
            seen.append(float(self.plant.health.of[fault_input][0, asset]))
        return seen

    def move_on(self, from_s, step_s=STEP_S):
        self.active.part(self.plant, from_s)
        self.active.act(self.plant, from_s, from_s + step_s)


def affected(kind, at, duration, target="rack:R-A-01", **more):
    return {"kind": kind, "target": target, "at": at, "duration": duration, "recovery": 0, **more}


def test_an_incident_holds_its_fault_input_from_its_start_to_its_end_to_the_second():
    stage = Stage(affected("breaker_trip", 90, 105))
    assert stage.follow("powered", 300) == pytest.approx([1, 0.5, 0, 0.75, 1])


def test_the_end_of_one_does_not_repair_another_of_the_same_fault_input():
    stage = Stage(affected("breaker_trip", 0, 240), affected("pdu_loss", 60, 60, "row:A"))
    assert stage.follow("powered", 300) == [0, 0, 0, 0, 1]
    stage = Stage(affected("nodes_lost", 0, 120), affected("batch_surge", 60, 180, shape="step"))
    assert stage.follow("capacity", 300) == pytest.approx([0.55, 0.55 * 0.93, 0.93, 0.93, 1])
    stage = Stage(affected("fan_failure", 0, 120), affected("row_fan_fault", 60, 120, "row:A"))
    assert stage.follow("fan_ceiling_pct", 300) == [16, 16, 40, 100, 100]


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_one_that_begins_as_its_like_ends_acts_anew(severity):
    stage = Stage(
        affected("fan_failure", 0, 120, severity=severity),
        affected("fan_failure", 120, 120, severity=severity, parameters={"fan_left_pct": 60}),
    )
    one, other = 100 - 84 * severity, 100 - 40 * severity
    assert stage.follow("fan_ceiling_pct", 300) == pytest.approx([one, one, other, other, 100])
    again = Stage(affected("fan_failure", 0, 120), affected("fan_failure", 120, 120, "rack:R-A-02"))
    assert again.follow("fan_ceiling_pct", 300, asset=0) == [16, 16, 100, 100, 100]
    assert again.plant.health.of["fan_ceiling_pct"][0, 1] == 100


def nothing_seen(stage):
    """Return departures in which no rack of any world departs."""
    return np.zeros((len(stage.plant.health.of["chiller"]), 8), dtype=np.float32)


def test_one_is_open_until_no_rack_showed_it_for_15_minutes_after_its_planned_course():
    stage = Stage(affected("breaker_trip", 0, 600, recovery=60))
    stage.active.begins(stage.planned["breaker_trip-1"], 0.0, None)
    open_at = {}
    for tick in range(60):
        stage.move_on(tick * STEP_S)
        departure = nothing_seen(stage)
        if tick == 20:
            departure[stage.active.without.world_of(stage.active.open[0]), 3] = 5.0
        stage.active.observe(tick, departure)
        open_at[tick] = bool(stage.active.open)
    assert max(tick for tick, is_open in open_at.items() if is_open) == 20 + QUIET_S / STEP_S - 1
    (occurrence,) = stage.active.occurrences
    assert (occurrence.onset_tick, occurrence.last_tick, occurrence.racks) == (20, 20, {3})


def test_each_acts_in_every_world_but_the_twin_and_its_own():
    stage = Stage(
        affected("breaker_trip", 0, 600),
        affected("pdu_loss", 60, 600, "row:A"),
        affected("setpoint_tuning", 60, 600, "loop:CL-1"),
    )
    stage.follow("powered", 120)
    dark, row, work = stage.active.occurrences
    without, powered = stage.active.without, stage.plant.health.of["powered"]
    setpoint_k = stage.plant.health.of["loop_setpoint_k"]
    assert {without.world_of(o) for o in (dark, row, work)} | {without.planned} == {2, 3, 4, 5}
    for world, rack_0, rack_1 in ((0, 0, 0), (1, 1, 1), (without.world_of(dark), 0, 0), (without.world_of(row), 0, 1)):
        assert powered[world, :2].tolist() == [rack_0, rack_1]
    assert powered[without.planned].tolist() == [1] * 8
    assert setpoint_k[[0, without.planned]].all()
    assert not setpoint_k[[1, without.world_of(work)]].any()


def test_worlds_are_given_again_once_they_are_free():
    stage = Stage(*(affected("breaker_trip", at, 60) for at in (0, 600, 3000)))
    counts = []
    for tick in range(60):
        for incident in stage.planned.values():
            if incident.at_s == tick * STEP_S:
                stage.active.begins(incident, incident.at_s, None)
        stage.move_on(tick * STEP_S)
        stage.active.observe(tick, nothing_seen(stage))
        counts.append(len(stage.plant.health.of["chiller"]))
    assert (counts[5], counts[12], counts[45], counts[52]) == (3, 4, 2, 3)


def test_what_holds_is_applied_to_the_plant_once_and_its_end_in_the_step_it_ends_and_after_it():
    """A step that ends where an incident ends has it all along, and not at its end."""
    stage = Stage(affected("breaker_trip", 60, 3000))
    stage.follow("powered", 3600)
    assert stage.plant.applied == 3


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_load_moves_by_the_share_asked_for_the_severity_and_the_strength(severity):
    """A ramp over four minutes has risen by an eighth on average in the first of them, and by seven in the last."""
    more = {"parameters": {"share": 0.8}, "shape": "ramp", "rise": 240, "severity": severity}
    stage = Stage(affected("traffic_shift", 0, 300, **more))
    stage.active.begins(stage.planned["traffic_shift-1"], 0.0, None)
    parts = []
    for from_s in np.arange(0, 360, STEP_S):
        stage.move_on(from_s)
        parts += [t.part.tolist() for t in stage.plant.health.transfers] or [[0.0]]
    expected = 0.8 * severity * np.array([1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 0])
    assert np.concatenate(parts) == pytest.approx(expected)


def test_racks_that_are_touched_in_turn_are_touched_one_after_another():
    stage = Stage(affected("firmware_roll", 0, 480, "row:A"))
    seen = {rack: [] for rack in range(5)}
    for from_s in np.arange(0, 600, STEP_S):
        if not from_s:
            stage.active.begins(stage.planned["firmware_roll-1"], 0.0, None)
        stage.move_on(from_s)
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
        stage.move_on(from_s, tick_s)
        lost_s += (1 - stage.plant.health.of["loop_pump"][0, 0]) * tick_s
    assert lost_s == pytest.approx(0.7 * (333 + 77) / 2, rel=1e-9)


def who_saturates(stage):
    for from_s in np.arange(0, 1800, STEP_S):
        for incident in stage.planned.values():
            if incident.at_s == from_s:
                stage.active.begins(incident, from_s, None)
        stage.move_on(from_s)
    return {o.id: o.saturated_s for o in stage.active.occurrences}


def test_those_answer_for_a_plant_out_of_capacity_without_which_it_would_not_be():
    stage = Stage(affected("chiller_trip", 60, 600, "plant"), affected("fan_failure", 0, 1800))
    stage.plant.short_below = 0.5
    assert who_saturates(stage) == {"chiller_trip-1": 120, "fan_failure-1": None}


def test_nobody_answers_for_a_plant_that_is_short_without_incidents_too():
    stage = Stage(affected("chiller_trip", 60, 600, "plant"), affected("fan_failure", 0, 1800))
    stage.plant.short_below = 2.0
    assert set(who_saturates(stage).values()) == {None}


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
