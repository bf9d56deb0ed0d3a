"""What is planned of an incident: whom it affects, who takes its load, how far it reaches, and what it sets off."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.planning import plan_incidents
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

FACILITY = {"rows": 6, "racks_per_row": 3}
"""Rows A and B are on loop CL-1, C and D on CL-2, E and F on CL-3."""


def plan(incident, **scenario):
    """Return what a hall plans for one incident at one hour, by id, and the hall."""
    given = {"name": "plan", "facility": FACILITY, "incidents": [{"at": "1h", **incident}], **scenario}
    scenario = parse_scenario(given, "plan")
    facility = build_facility(scenario.facility)
    return plan_incidents(scenario, facility, Streams(1)), facility


def only(kind, target, **more):
    planned, facility = plan({"kind": kind, "target": target, "causes": [], **more})
    (incident,) = planned.values()
    names = np.array(facility.racks)
    return incident, lambda which: names[which].tolist()


def of_rows(rows):
    return [f"R-{row}-0{k}" for row in rows for k in (1, 2, 3)]


def test_what_several_selectors_name_is_affected_once():
    incident, named = only("fan_failure", ["rack:R-A-02", "rack:R-A-*", "rack:R-A-02"])
    assert sorted(incident.assets) == named(incident.racks) == of_rows("A")


@pytest.mark.parametrize(
    ("target", "takers"),
    [
        ("rack:R-C-02", ["R-C-01", "R-C-03"]),
        (["rack:R-C-01", "rack:R-D-01"], ["R-C-02", "R-C-03", "R-D-02", "R-D-03"]),
        ("row:C", of_rows("D")),
        ("rack:R-C-*", of_rows("ABDEF")),
        (["row:C", "row:D"], of_rows("ABEF")),
    ],
)
def test_load_moves_to_the_rest_of_the_row_or_the_loop_and_else_to_the_rest_of_the_hall(target, takers):
    incident, named = only("traffic_shift", target)
    assert named(incident.to_racks) == takers


def test_load_moves_where_the_scenario_says():
    incident, named = only("traffic_shift", "rack:R-C-02", parameters={"to": ["row:E", "rack:R-F-01"]})
    assert named(incident.to_racks) == [*of_rows("E"), "R-F-01"]


@pytest.mark.parametrize(
    ("kind", "target", "more", "rows"),
    [
        ("fan_failure", "rack:R-C-02", {}, "CD"),
        ("row_fan_fault", "row:B", {}, "AB"),
        ("pump_trip", "loop:CL-3", {}, "EF"),
        ("heat_wave", "plant", {}, "ABCDEF"),
        ("traffic_shift", "row:A", {"parameters": {"to": "row:E"}}, "ABEF"),
    ],
)
def test_a_fault_reaches_all_who_share_water_with_whom_it_affects_or_gives_load(kind, target, more, rows):
    incident, named = only(kind, target, **more)
    assert named(incident.reaches) == of_rows(rows)


def test_a_sensors_fault_reaches_its_own_rack_alone():
    incident, named = only("sensor_noise", ["rack:R-C-02", "rack:R-E-01"])
    assert named(incident.reaches) == ["R-C-02", "R-E-01"]


def test_a_kind_sets_off_its_own_consequences_with_their_own_lengths_delays_and_chances():
    planned, _ = plan({"kind": "utility_sag"})
    sag = planned["utility_sag-1"]
    for cause, told in zip(sag.triggers, CATALOGUE["utility_sag"].triggers, strict=True):
        follow = planned[cause.id]
        assert (follow.kind.name, follow.duration_s) == (told.kind, told.duration_s)
        assert (cause.after_s, cause.probability) == (told.after_s, told.probability)
        assert follow.at_s is None
        assert follow.duration_s != follow.kind.duration_s, "or this could not tell"


@pytest.mark.parametrize(("utc_offset", "hours"), [(0, 14), (3, 11), (-5, 19)])
def test_a_clock_time_is_planned_by_the_sites_clock(utc_offset, hours):
    planned, _ = plan({"kind": "nodes_lost", "target": "rack:R-A-01", "at": "mon 14:00"}, utc_offset=utc_offset)
    assert planned["nodes_lost-1"].at_s == hours * 3600


def test_what_a_scenario_says_of_an_incident_goes_before_what_its_kind_says():
    more = {"duration": "33m", "severity": 0.4, "shape": "ramp", "rise": "3m", "recovery": "7m"}
    incident, _ = only("fan_failure", "rack:R-C-02", parameters={"fan_left_pct": 40}, **more)
    assert (incident.duration_s, incident.severity, incident.shape) == (1980, 0.4, "ramp")
    assert (incident.rise_s, incident.recovery_s, incident.parameter("fan_left_pct")) == (180, 420, 40)
    plain, _ = only("fan_failure", "rack:R-C-02")
    kind = CATALOGUE["fan_failure"]
    assert (plain.duration_s, plain.shape, plain.recovery_s) == (kind.duration_s, kind.shape, kind.recovery_s)
    assert plain.parameter("fan_left_pct") == 16
    assert (plain.severity, plain.rise_s, plain.period_s) == (1, kind.duration_s / 4, kind.duration_s / 4)
