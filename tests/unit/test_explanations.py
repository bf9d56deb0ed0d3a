"""What the format and the catalogue say of themselves."""

import json

import pytest

from sim.domain.catalogue import CATALOGUE
from sim.domain.errors import InputError
from sim.domain.levers import LEVERS
from sim.explanations import kind_explained, kind_list, scenario_schema
from sim.io.scenario_files import read_scenario, shipped_scenarios


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


@pytest.mark.parametrize("name", shipped_scenarios())
def test_the_schema_knows_every_key_of_the_shipped_scenarios(name):
    known = set(json.loads(scenario_schema())["properties"])
    assert set(read_scenario(name)) <= known


def test_the_schema_takes_durations_as_text_and_as_numbers():
    assert json.loads(scenario_schema())["properties"]["duration"]["type"] == ["string", "number"]


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
        assert LEVERS[effect.lever].text in text


def test_a_kind_that_is_not_there_is_refused_with_the_one_that_was_meant():
    with pytest.raises(InputError, match="'pump_tripp' is not a kind of incident; did you mean 'pump_trip'"):
        kind_explained("pump_tripp")
