"""What is wrong with incidents is told in one message, with its place and what would be right; exit code 2."""

import json

import pytest

from sim.common.errors import InputError
from sim.common.streams import Streams
from sim.incidents.planning import plan_incidents
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

TRIP = {"kind": "pump_trip", "target": "loop:CL-2", "at": "1h"}
STUCK = {"kind": "sensor_stuck", "target": "rack:*", "at": 0}
SHIFT = {"kind": "traffic_shift", "target": "row:C", "at": 0}
A_TIME = "a time is an offset like 2d14h"


def problems(data):
    """Return the lines of the message about a scenario; none where it is fine."""
    try:
        scenario = parse_scenario({"name": "bad", "duration": "2d", **data}, "bad.yaml")
    except InputError as error:
        return str(error).split("\n  ")[1:]
    facility, streams = build_facility(scenario.facility), Streams(scenario.seed)
    plan_incidents(scenario, facility, streams)
    return []


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"kind": "pump_tripp"}, "incidents[0].kind", "did you mean 'pump_trip'?"),
        ({"kind": "gremlins"}, "incidents[0].kind", "--incidents lists them"),
        ({"kind": None}, "incidents[0].kind", "must be a valid string"),
        ({"target": "loop:CL-9"}, "incidents[0].target", "(loops: CL-1, CL-2, CL-3)"),
        ({"target": "row:C"}, "incidents[0].target", "pump_trip affects a loop, not a row"),
        ({"target": "pdu:PDU-C"}, "incidents[0].target", "is no selector; write it like rack:R-C-07, row:C, loop:CL-2"),
        ({"target": ""}, "incidents[0].target", "is no selector"),
        ({"target": "R-C-07"}, "incidents[0].target", "is no selector; did you mean 'rack:R-C-07'?"),
        ({"target": "CL-2"}, "incidents[0].target", "did you mean 'loop:CL-2'?"),
        ({"target": "C"}, "incidents[0].target", "did you mean 'row:C'?"),
        ({"target": "UPS-1"}, "incidents[0].target", "did you mean 'ups:UPS-1'?"),
        ({"severty": 1}, "incidents[0].severty", "unknown key; did you mean 'severity'?"),
        ({"target": None}, "incidents[0].target", "is missing; pump_trip affects a loop"),
        ({"target": []}, "incidents[0].target", "the list is empty"),
        ({"target": ["loop:CL-1", "loop:CL-7"]}, "incidents[0].target", "'loop:CL-7' is not in the facility"),
        ({"target": "random(loop, 9)"}, "incidents[0].target", "asks for 9; the hall has 3 of level loop"),
        ({"target": "random(loop, 0)"}, "incidents[0].target", "asks for 0"),
        ({"target": f"random(loop, {'9' * 5000})"}, "incidents[0].target", "is no selector"),
        ({"at": "2d"}, "incidents[0].at", "is past the run's end"),
        ({"at": "9d"}, "incidents[0].at", "is past the run's end, 2d after its start"),
        ({"at": "fri 14:00"}, "incidents[0].at", "is past the run's end"),
        ({"at": "2025-01-05T23:59:59Z"}, "incidents[0].at", "is before the run's start"),
        ({"at": -5}, "incidents[0].at", "is before the run's start"),
        ({"at": float("nan")}, "incidents[0].at", A_TIME),
        ({"at": "nan"}, "incidents[0].at", A_TIME),
        ({"at": float("inf")}, "incidents[0].at", A_TIME),
        ({"at": "noon"}, "incidents[0].at", A_TIME),
        ({"at": True}, "incidents[0].at", A_TIME),
        ({"duration": 0}, "incidents[0].duration", "must be between 1 s and 3650d"),
        ({"duration": 1e-300}, "incidents[0].duration", "must be between 1 s and 3650d"),
        ({"duration": 1e300}, "incidents[0].duration", "1e+300 must be between 1 s and 3650d"),
        ({"duration": "-1h"}, "incidents[0].duration", "a duration is"),
        ({"duration": float("nan")}, "incidents[0].duration", "must be a finite number"),
        ({"recovery": -1}, "incidents[0].recovery", "must be between 0 s and 3650d"),
        ({"rise": 0, "shape": "ramp"}, "incidents[0].rise", "must be between 1 s"),
        ({"period": "inf"}, "incidents[0].period", "must be a finite number"),
        ({"severity": 1.5}, "incidents[0].severity", "less than or equal to 1"),
        ({"severity": float("nan")}, "incidents[0].severity", "must be a finite number"),
        ({"shape": "square"}, "incidents[0].shape", "'step', 'ramp', 'drift', 'sawtooth', 'pulse' or 'wave'"),
        ({"shape": "wave"}, "incidents[0].shape", "swings to both sides of the healthy value, which pump_trip cannot"),
        ({"parameters": {"flow": 0.1}}, "incidents[0].parameters.flow", "(parameters: flow_left)"),
        ({"parameters": {"flow_left": 2}}, "incidents[0].parameters.flow_left", "2 is not within 0 to 1"),
        ({"parameters": {"flow_left": -0.001}}, "incidents[0].parameters.flow_left", "-0.001 is not within 0 to 1"),
        ({"parameters": {"flow_left": float("nan")}}, "incidents[0].parameters.flow_left", "must be a finite number"),
        ({"parameters": {"flow_left": 10**400}}, "incidents[0].parameters.flow_left", "must be a finite number"),
        ({"parameters": {"flow_left": "low"}}, "incidents[0].parameters.flow_left", "'low' must be a number"),
        ({"parameters": {"flow_left": True}}, "incidents[0].parameters.flow_left", "a parameter is a number, a text"),
        ({"colour": 1}, "incidents[0].colour", "unknown key"),
        ({"causes": [{"incident": "x"}]}, "incidents[0].causes[0].incident", "is not the id of an incident"),
        ({"causes": [{}]}, "incidents[0].causes[0]", "give either kind, or incident"),
        ({"causes": [{**STUCK, "at": "1h"}]}, "incidents[0].causes[0].at", "unknown key"),
        ({"causes": [{"kind": "nope", "target": "row:A"}]}, "incidents[0].causes[0].kind", "is not a kind"),
        (
            {"causes": [{"kind": "nodes_lost", "target": "row:A", "probability": 1.01}]},
            "incidents[0].causes[0].probability",
            "less than or equal to 1",
        ),
        (
            {"causes": [{"kind": "nodes_lost", "target": "row:A", "after": -1}]},
            "incidents[0].causes[0].after",
            "-1s must not be negative",
        ),
        ({"id": "a|b"}, "incidents[0].id", "must be a name of letters, digits"),
        ({"note": "x" * 501}, "incidents[0].note", "at most 500 characters"),
    ],
)
def test_one_wrong_field_is_one_line_with_its_place(change, place, said):
    (line,) = problems({"incidents": [{**TRIP, **change}]})
    assert line.startswith(f"{place}: ")
    assert said in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("incident", "said"),
    [
        ({**STUCK, "parameters": {"channel": "delta_t"}}, "must be one of inlet_c, outlet_c"),
        ({**STUCK, "parameters": {"channel": ["inlet_c"]}}, "must be one of inlet_c, outlet_c"),
        ({**STUCK, "kind": "sensor_swap", "parameters": {"channel": "pdu_kw"}}, "inlet_c, outlet_c, fan_rpm_pct, pump"),
        ({**SHIFT, "parameters": {"to": "row:C"}}, "load cannot move from a rack to itself"),
        ({**SHIFT, "parameters": {"to": "plant"}}, "load cannot move from a rack to itself"),
        ({**SHIFT, "parameters": {"to": []}}, "the list is empty"),
        ({**SHIFT, "parameters": {"to": 5}}, "must be a selector like row:D"),
        ({**SHIFT, "parameters": {"to": "row:Z"}}, "is not in the facility"),
        ({**SHIFT, "parameters": {"to": "random(rack, 3)"}}, "nothing is drawn at random here"),
        (
            {**SHIFT, "target": "random(rack, 2)", "parameters": {"to": "row:D"}},
            "load cannot move from a rack to itself",
        ),
        ({**SHIFT, "target": "row:*"}, "nobody is left to take its load"),
        ({**SHIFT, "target": "random(rack, 72)"}, "nobody is left to take its load"),
        ({**SHIFT, "target": ["row:A", "row:B", "row:C", "random(row, 3)"]}, "nobody is left to take its load"),
    ],
)
def test_sensors_and_takers_of_load_must_be_there(incident, said):
    (line,) = problems({"incidents": [incident]})
    assert line.startswith("incidents[0].parameters.")
    assert said in line


@pytest.mark.parametrize(
    ("incidents", "said"),
    [
        ([TRIP, {**TRIP, "at": "70m"}], "incidents[1]: a pump_trip of CL-2 while incidents[0] still holds it"),
        (
            [TRIP, {**TRIP, "at": "70m", "target": ["loop:CL-2", "random(loop, 1)"]}],
            "incidents[1]: a pump_trip of CL-2 while incidents[0] still holds it",
        ),
        ([{**TRIP, "id": "a", "causes": [{"incident": "a"}]}], "a -> a: they set each other off without delay"),
        (
            [
                {**TRIP, "id": "a", "causes": [{"incident": "b"}]},
                {**TRIP, "target": "loop:CL-1", "id": "b", "causes": [{"incident": "a"}]},
            ],
            "a -> b -> a: they set each other off without delay",
        ),
        ([{**TRIP, "id": "a"}, {**TRIP, "target": "loop:CL-1", "id": "a"}], "the id 'a' is given twice"),
        (
            [{**TRIP, "id": "a"}, {**TRIP, "target": "loop:CL-1", "id": "a.2"}],
            "the id 'a.2' is what 'a' is called when it happens again",
        ),
        ([{"kind": "pump_trip", "target": "loop:CL-1"}], "no other incident sets off 'pump_trip-1'"),
        (
            [{**TRIP, "id": "a"}, {**STUCK, "causes": [{"incident": "a", "after": "1h", "duration": "1h"}]}],
            "incidents[1].causes[0]: duration: belongs to the incident 'a' itself",
        ),
    ],
)
def test_incidents_must_agree_with_each_other(incidents, said):
    (line,) = problems({"incidents": incidents})
    assert said in line


@pytest.mark.parametrize(
    ("rates", "place", "said"),
    [
        ({"kinds": {"nope": {}}}, "incident_rates.kinds.nope", "is not a kind of incident"),
        ({"kinds": ["nope"]}, "incident_rates.kinds.nope", "is not a kind of incident"),
        ({"kinds": []}, "incident_rates.kinds", "the list is empty; name kinds, or leave it out for all"),
        ({"speed": 3}, "incident_rates.speed", "unknown key"),
        ({"kinds": {"pump_trip": {"colour": 3}}}, "incident_rates.kinds.pump_trip.colour", "unknown key"),
        ({"acceleration": 0}, "incident_rates.acceleration", "greater than 0"),
        ({"acceleration": float("inf")}, "incident_rates.acceleration", "must be a finite number"),
        ({"after": "8d"}, "incident_rates.after", "is not before the run's end"),
        ({"spacing": -1}, "incident_rates", "must not be negative"),
        (
            {"kinds": {"pump_trip": {"per_year": -1}}},
            "incident_rates.kinds.pump_trip.per_year",
            "greater than or equal",
        ),
        (
            {"kinds": {"pump_trip": {"severity": [0.9, 0.1]}}},
            "incident_rates.kinds.pump_trip.severity",
            "low end comes",
        ),
        ({"kinds": {"pump_trip": {"within": "row:C"}}}, "incident_rates.kinds.pump_trip.within", "affects a loop"),
        ({"kinds": {"pump_trip": {"within": []}}}, "incident_rates.kinds.pump_trip.within", "the list is empty"),
        (
            {"kinds": {"pump_trip": {"within": "random(loop, 2)"}}},
            "incident_rates.kinds.pump_trip.within",
            "nothing is drawn at random here",
        ),
        (
            {"kinds": {"traffic_shift": {"parameters": {"to": "row:Z"}}}},
            "incident_rates.kinds.traffic_shift.parameters.to",
            "is not in the facility",
        ),
        (
            {"kinds": {"pump_trip": {"duration": {"shortest": "2h"}}}},
            "incident_rates.kinds.pump_trip.duration",
            "shortest, median and longest must lie between 1 s and 3650d, in this order",
        ),
        (
            {"acceleration": 1e6, "kinds": {"nodes_lost": {"per_year": 1e6}}},
            "incident_rates",
            "more than 20,000 incidents are to be expected",
        ),
    ],
)
def test_one_wrong_rate_is_one_line_with_its_place(rates, place, said):
    (line,) = problems({"incident_rates": rates})
    assert line.startswith(f"{place}: ")
    assert said in line


@pytest.mark.parametrize(
    "data",
    [
        {"incidents": [{**SHIFT, "target": "random(rack, 3)"}]},
        {"incidents": [{**SHIFT, "target": ["row:C", "row:D"]}]},
        {"incidents": [{**SHIFT, "parameters": {"to": "ups:UPS-2"}}]},
        {"incident_rates": {"kinds": {"traffic_shift": {"parameters": {"to": "row:C"}}}}},
        {"facility": {"rows": 1, "racks_per_row": 1}, "incident_rates": {"acceleration": 5000}},
        {"facility": {"rows": 1}, "incident_rates": {"acceleration": 1000, "kinds": ["planned_maintenance"]}},
        {"incident_rates": None, "incidents": []},
        {"incidents": [{**TRIP, "duration": "20m"}, {**TRIP, "at": "80m"}]},  # it trips again as it comes back
        {"incidents": [{**TRIP, "at": "80m"}, {**TRIP, "duration": "20m"}]},
        {"incidents": [{**TRIP, "parameters": {"flow_left": 0}}]},
        {"incidents": [{**TRIP, "parameters": {"flow_left": 1}}]},
        {"incidents": [{**TRIP, "at": 1e-9}, {**TRIP, "target": "loop:CL-1", "at": 3600.5}]},
    ],
)
def test_what_can_be_done_is_no_problem(data):
    assert problems(data) == []


def test_ids_that_are_made_give_way_to_those_that_are_given():
    causing = {**TRIP, "id": "z", "causes": [{"kind": "nodes_lost", "target": "rack:R-A-01"}]}
    given = {"kind": "nodes_lost", "target": "rack:R-F-01", "at": "2h", "id": "z.nodes_lost"}
    drawn = {"kind": "nodes_lost", "target": "rack:R-F-02", "at": "2h", "id": "nodes_lost-r1"}
    rates = {"kinds": ["nodes_lost"], "acceleration": 100}
    s = parse_scenario({"name": "ids", "incidents": [causing, given, drawn], "incident_rates": rates}, "ids")
    facility, streams = build_facility(s.facility), Streams(1)
    planned = plan_incidents(s, facility, streams)
    assert planned["z.nodes_lost"].assets == ("R-F-01",)
    assert planned["z.nodes_lost-2"].assets == ("R-A-01",)
    assert [c.id for c in planned["z"].triggers] == ["z.nodes_lost-2"]
    assert planned["nodes_lost-r1"].assets == ("R-F-02",)
    assert planned["nodes_lost-r1-2"].origin == "drawn"
    assert all(incident.id == name for name, incident in planned.items())


BAD = {
    "duration": "1d",
    "incidents": [
        {"kind": "pump_tripp", "target": "loop:CL-2", "at": "1h"},
        {**TRIP, "target": "loop:CL-9"},
        {**TRIP, "at": "3d"},
        {**TRIP, "duration": 0, "colour": 1},
        {**STUCK, "parameters": {"channel": "delta_t"}, "severity": 2},
        {**SHIFT, "parameters": {"to": "row:C"}, "causes": [{"incident": "who", "probability": 7}]},
    ],
    "incident_rates": {"speed": 1, "kinds": {"nope": {}, "pump_trip": {"severity": [1, 0.5]}}},
}
OFFENDERS = (
    "incidents[0].kind: ", "incidents[1].target: ", "incidents[2].at: ", "incidents[3].duration: ",
    "incidents[3].colour: ", "incidents[4].parameters.channel: ", "incidents[4].severity: ",
    "incidents[5].parameters.to: ", "incidents[5].causes[0].incident: ", "incidents[5].causes[0].probability: ",
    "incident_rates.speed: ", "incident_rates.kinds.nope: ", "incident_rates.kinds.pump_trip.severity: ",
)  # fmt: skip


def test_one_message_tells_all_offenders_and_the_exit_code_is_2(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(json.dumps({"name": "bad", **BAD}))
    code, said = run("--scenario", "bad.yaml")
    assert code == 2
    assert [o for o in OFFENDERS if said.count(o) != 1] == []
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "text",
    [
        "incidents:\n- kind: pump_trip\n  target: loop:CL-2\n  at: 14:00\n",
        "incidents: {kind: pump_trip, target: loop:CL-2, at: 1h}\n",
        "incidents:\n- pump_trip\n- \n- [1]\n",
        "incidents:\n- &a {kind: pump_trip, target: [loop:CL-1], at: 1h, causes: [*a]}\n",
        "incidents:\n- {kind: pump_trip, target: {loop: CL-2}, at: 1h}\n",
        "incidents:\n- {kind: nodes_lost, target: random(rack, 3), at: 1h}\n",
        "incidents:\n- {kind: pump_trip, target: loop:CL-2, at: 2025-01-06, parameters: [flow_left]}\n",
        "incident_rates: [pump_trip]\n",
        "incident_rates:\n  kinds: pump_trip\n",
        "incident_rates:\n  kinds: {pump_trip: 3, 5: {}}\n",
    ],
)
def test_odd_yaml_is_told_not_guessed(run, tmp_path, text):
    (tmp_path / "odd.yaml").write_text(f"name: odd\nduration: 2d\n{text}")
    code, said = run("--scenario", "odd.yaml", "--check")
    assert code == 2, said
    assert "Traceback" not in said


def test_yaml_that_is_merely_unusual_is_taken(run, tmp_path):
    text = """
name: fine
duration: 2d
facility: {rows: 2, racks_per_row: 4}
incidents:
- &trip {kind: pump_trip, target: loop:CL-1, at: 2025-01-06T03:00:00Z, duration: 20m}
- {<<: *trip, at: Mon 14:00}
- {kind: nodes_lost, target: 'random( rack , 3 )', at: 90, severity: 1, note: 0x1F is a number, causes: []}
incident_rates: {kinds: {chiller_trip: {}}}
"""
    (tmp_path / "fine.yaml").write_text(text)
    assert run("--scenario", "fine.yaml", "--check")[0] == 0


@pytest.mark.parametrize("confined", [{"within": "rack:R-A-01"}, {"per_year": 1e6 / 72}])
def test_as_many_incidents_are_expected_as_the_assets_named_can_have(confined):
    """One rack of 72 takes what the whole hall may not: 5,480 in two days."""
    spikes = {"sensor_spike": {"per_year": 1e6, "duration": {"law": "fixed", "median": "1m"}, **confined}}
    assert problems({"incident_rates": {"acceleration": 1, "kinds": spikes}}) == []


def test_no_incident_is_expected_before_any_may_begin():
    rates = {"acceleration": 10, "after": "47h30m", "kinds": {"sensor_spike": {"per_year": 1e5}}}
    assert problems({"incident_rates": rates}) == []


@pytest.mark.parametrize(
    ("ending", "place", "said"),
    [
        ({"incident": "pump_trip-2", "at": "2h"}, "incident", "'pump_trip-2' is not the id of an incident (ids: pump"),
        ({"incident": "pump_wear-r1", "at": "2h"}, "incident", "'pump_wear-r1' is not the id"),
        ({"incident": "", "at": "2h"}, "incident", "at least 1 character"),
        ({"incident": "pump_trip-1", "at": "2d"}, "at", "is past the run's end"),
        ({"incident": "pump_trip-1", "at": "-1h"}, "at", A_TIME),
        ({"incident": "pump_trip-1"}, "at", "is missing"),
    ],
)
def test_an_end_before_its_time_is_of_an_incident_and_within_the_run(ending, place, said):
    (line,) = problems({"incidents": [TRIP], "endings": [ending]})
    assert line.startswith(f"endings[0].{place}: ")
    assert said in line


def test_ends_of_what_is_drawn_or_set_off_may_be_told_and_each_once():
    ends = [{"incident": name, "at": "2h"} for name in ("pump_trip-1.nodes_lost", "pump_wear-r1", "pump_trip-1")]
    assert problems({"incidents": [TRIP], "incident_rates": {}, "endings": ends}) == []
    (line,) = problems({"incidents": [TRIP], "endings": [ends[2], ends[2]]})
    assert line == "endings[1].incident: 'pump_trip-1' is ended twice"


def test_a_kind_of_liquid_cooled_racks_is_refused_where_others_are_meant():
    rows = [{"name": "A", "racks": 1}, {"name": "B", "racks": 2, "rack_type": "dlc"}]
    given = {"name": "bad", "facility": {"rows": rows}, "incidents": [{"kind": "loss_of_flow", "at": 0}]}
    parse_scenario({**given, "incidents": [{"kind": "loss_of_flow", "at": 0, "target": "rack:R-B-*"}]}, "good")
    with pytest.raises(InputError) as error:
        parse_scenario({**given, "incidents": [{"kind": "loss_of_flow", "at": 0, "target": "rack:*"}]}, "bad")
    assert "incidents[0].target: 'rack:*': loss_of_flow affects racks of type dlc (R-B-01, R-B-02), not R-A-01" in str(
        error.value
    )


def test_rates_bring_kinds_of_liquid_cooled_racks_to_those_only():
    rates = {"acceleration": 1000, "kinds": ["loss_of_flow", "clogged_filter"]}
    for rack_type, anywhere in (("standard", False), ("dlc", True)):
        rows = [{"name": "A", "racks": 2}, {"name": "B", "racks": 2, "rack_type": rack_type}]
        scenario = parse_scenario({"name": "r", "facility": {"rows": rows}, "incident_rates": rates}, "r")
        planned = plan_incidents(scenario, build_facility(scenario.facility), Streams(1))
        assert bool(planned) is anywhere
        assert {asset for i in planned.values() for asset in i.assets} <= {"R-B-01", "R-B-02"}


JOB_HALL = {"name": "job", "facility": {"rows": 2, "racks_per_row": 2}}


def test_a_crash_needs_a_training_job_and_one_of_its_racks():
    crash = {"kind": "job_crash", "target": "rack:R-A-01", "at": 0}
    assert problems({**JOB_HALL, "incidents": [crash]}) == [
        "incidents[0].kind: job_crash affects a training job; the scenario has no training_job"
    ]
    job = {"training_job": {"racks": "row:B"}}
    assert problems({**JOB_HALL, **job, "incidents": [crash]}) == [
        "incidents[0].target: R-A-01: not among the training job's racks (R-B-01, R-B-02)"
    ]
    parse_scenario({**JOB_HALL, **job, "incidents": [{**crash, "target": "rack:R-B-02"}]}, "good")


def test_a_training_job_that_cannot_be_says_what_is_wrong_with_it():
    job = {"racks": ["row:C"], "checkpoint": "10m", "checkpoint_every": "5m"}
    assert problems({**JOB_HALL, "training_job": job}) == [
        "training_job.racks: 'row:C' is not in the facility (rows: A, B)",
        "training_job.checkpoint: 10m must be shorter than checkpoint_every, 5m",
    ]


def test_rates_bring_crashes_to_racks_of_the_training_job_only_and_they_strike_all_of_it():
    rates = {"acceleration": 1000, "kinds": {"job_crash": {"per_year": 3}}}
    for job, racks in ((None, set()), ({"racks": "row:B"}, {"R-B-01", "R-B-02"})):
        scenario = parse_scenario({**JOB_HALL, "incident_rates": rates, "training_job": job}, "rates")
        facility = build_facility(scenario.facility)
        planned = plan_incidents(scenario, facility, Streams(1)).values()
        assert {asset for i in planned for asset in i.assets} == racks
        assert all(i.racks.tolist() == [2, 3] for i in planned)
