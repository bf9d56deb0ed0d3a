"""What the format and the catalogue say of themselves."""

import json

import pytest
from jsonschema import Draft202012Validator

from sim.cli.explanations import kind_explained, kind_list, kind_yaml, scenario_schema
from sim.common.errors import InputError
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.kinds import FAULT_INPUTS
from sim.scenario.files import parse_yaml, scenario_of, shipped_scenarios


def test_every_key_of_a_scenario_is_described_where_it_is_defined():
    schema = json.loads(scenario_schema())
    sections = {"scenario": schema, **schema["$defs"]}
    silent = [
        f"{section}.{key}"
        for section, of in sections.items()
        for key, value in of.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []


def as_json(text):
    return json.loads(json.dumps(parse_yaml(text), default=str))


@pytest.mark.parametrize("name", shipped_scenarios())
def test_the_schema_takes_the_shipped_scenarios_as_they_are_written(name):
    schema = Draft202012Validator(json.loads(scenario_schema()))
    assert list(schema.iter_errors(as_json(shipped_scenarios()[name].read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        "facility: {rows: [A, {name: B, racks: 3}], loops: [{name: CL-1, feeds: [A, B]}]}",
        "dwell: {mean: {thermal_event: 20m, overcooled: 600}}",
        "incidents: [{kind: pump_trip, target: 'loop:*', at: mon 14:00, causes: [{incident: a, after: 8m}]}]",
        "incidents: [{kind: gpu_throttle, target: ['row:C'], at: 60, parameters: {clock_left: 0.5}}]",
        "incident_rates: {kinds: [pump_trip], acceleration: 5}",
    ],
)
def test_the_schema_takes_every_form_that_the_loader_takes(text):
    schema = Draft202012Validator(json.loads(scenario_schema()))
    assert list(schema.iter_errors(as_json(text))) == []
    assert list(schema.iter_errors({"incidents": [{"kind": "pump_trip", "sevrity": 1}]}))


def test_every_kind_is_listed_once_with_one_line():
    lines = [line.split()[0] for line in kind_list().splitlines() if line.startswith("  ")]
    assert lines == list(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_kind_explains_every_parameter_and_effect_with_its_unit_and_source(name):
    kind, text = CATALOGUE[name], kind_explained(name)
    for parameter in kind.parameters:
        assert f"parameter {parameter.name} = {parameter.default:g} {parameter.unit}" in text
        assert parameter.source in text
    for effect in kind.effects:
        assert FAULT_INPUTS[effect.fault_input].text in text


def test_a_kind_that_is_not_there_is_refused_with_the_one_that_was_meant():
    with pytest.raises(InputError, match="'pump_tripp' is not a kind of incident; did you mean 'pump_trip'"):
        kind_explained("pump_tripp")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_kind_as_yaml_can_be_pasted_into_a_scenario(name):
    keys = parse_yaml(kind_yaml(name))
    [spec] = keys["incidents"]
    kind = CATALOGUE[name]
    scenario = scenario_of("calm", {"duration": "4d", **keys})
    assert scenario.incidents[0].duration == kind.duration_s
    assert {p.name: p.default for p in kind.parameters}.items() <= spec.get("parameters", {}).items()
    schema = Draft202012Validator(json.loads(scenario_schema()))
    assert list(schema.iter_errors(as_json(kind_yaml(name)))) == []


@pytest.mark.parametrize(
    "text",
    [
        "incidents: [{kind: pump_tripp, target: 'loop:*', at: 1h}]",
        "incidents: [{kind: pump_trip, target: 'loop:*', at: noon}]",
        "incidents: [{kind: pump_trip, target: 'loop:*', at: 1h, duration: 20 minutes}]",
        "incidents: [{kind: pump_trip, target: 'loop:*', at: 1h, causes: [{kind: gremlins}]}]",
        "incident_rates: {kinds: [gremlins]}",
        "incident_rates: {kinds: {gremlins: {}}}",
        "sensors: {noise: {inlet: 1}}",
        "duration: a week",
    ],
)
def test_the_schema_knows_kinds_channels_and_times(text):
    schema = Draft202012Validator(json.loads(scenario_schema()))
    assert list(schema.iter_errors(as_json(text)))


@pytest.mark.parametrize("at", ["2d14h", "mon 14:00", "Fri 9:05", "90", "1.5h", "1e3", "2025-01-08T14:00:00Z"])
def test_the_schema_takes_every_time_that_the_loader_takes(at):
    text = f"incidents: [{{kind: pump_trip, target: 'loop:*', at: '{at}'}}]"
    assert scenario_of("week", parse_yaml(text)).incidents
    schema = Draft202012Validator(json.loads(scenario_schema()))
    assert list(schema.iter_errors(as_json(text))) == []


def test_editors_find_the_schema_by_the_second_line_of_every_shipped_scenario():
    """What yaml-language-server calls a modeline; VS Code, Neovim and JetBrains follow it."""
    for path in shipped_scenarios().values():
        line = path.read_text(encoding="utf-8").splitlines()[1]
        assert line.startswith("# yaml-language-server: $schema="), path
        named = path.parent / line.partition("=")[2]
        assert named.read_text(encoding="utf-8") == f"{scenario_schema()}\n", "stale: python run_sim.py --schema > FILE"
