"""Whatever a scenario holds, it is a scenario or an InputError, soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.schema import IncidentRates, IncidentSpec, KindRate, TriggerSpec
from sim.scenario.checks import parse_scenario
from sim.scenario.schema import Scenario
from tests.examples import examples

SECTIONS = {name: field.annotation for name, field in Scenario.model_fields.items()}
KEYS = sorted(
    {key for kind in SECTIONS.values() for key in (name for name in getattr(kind, "model_fields", {}))}
    | set(SECTIONS)
    | {"nominal", "siesta", "inlet_c", "low", "high", "typical", "feeds", "racks", "size", "A", "C", "extends"}
)
VALUES = ["7d", "-1h", "nan", "CL-1", "A", "UPS-1", "2025-01-06", "trace", "lognormal", "standard", 10**400, -(2**70)]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(VALUES)
)
keys = st.sampled_from(KEYS) | st.text(max_size=5) | st.integers() | st.none() | st.booleans()
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=20,
)


def is_a_scenario_or_an_input_error(data):
    try:
        scenario = parse_scenario(data, "any.yaml")
    except InputError as error:
        message = str(error)
        return message.startswith("any.yaml: ") and len(error.args) == 1
    return scenario.tick_count >= 1


@examples(300)
@given(nested)
def test_any_data_is_a_scenario_or_an_input_error(data):
    assert is_a_scenario_or_an_input_error(data)


@examples(300)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, nested)))
def test_any_values_under_known_keys_are_a_scenario_or_an_input_error(data):
    assert is_a_scenario_or_an_input_error({"name": "hall", **data})


def _inside(section):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS[section].model_fields, nested))


@examples(300)
@given(
    st.fixed_dictionaries({}, optional={s: _inside(s) for s in ("facility", "occupancy", "dwell", "demand", "sensors")})
)
def test_any_values_inside_known_sections_are_a_scenario_or_an_input_error(data):
    assert is_a_scenario_or_an_input_error({"name": "hall", **data})


SELECTORS = ["rack:*", "row:C", "loop:CL-1", "plant", "ups:*", "random(rack, 3)", "random(row, 99)", "rack:R-A-01"]
TIMES = [0, "1h", "6d", "8d", "mon 14:00", "2025-01-07T00:00:00Z", -1, "nan", 1e-9, 1e300, "0s"]
sound = {
    "kind": st.sampled_from(sorted(CATALOGUE)),
    "target": st.sampled_from(SELECTORS) | st.lists(st.sampled_from(SELECTORS), max_size=3),
    "parameters": st.dictionaries(
        st.sampled_from(["to", "channel", "share", "sigmas", "flow_left", "load"]),
        st.sampled_from(["row:D", "inlet_c", 0.5, -3, True, 10**400, None]) | st.lists(st.sampled_from(SELECTORS)),
        max_size=2,
    ),
} | dict.fromkeys(("at", "duration", "rise", "period", "recovery", "after", "spacing"), st.sampled_from(TIMES))


def _fields(section, **more):
    """Return mappings of a section's keys, to what they may hold and to anything."""
    values = {name: sound.get(name, nested) | nested for name in section.model_fields}
    return st.fixed_dictionaries({}, optional=values | more)


causes = st.lists(_fields(TriggerSpec, incident=st.sampled_from(["a", "b", "pump_trip-1"])), max_size=2)
incidents = st.lists(_fields(IncidentSpec, causes=causes, id=st.sampled_from(["a", "b"])), max_size=4)
rates = _fields(
    IncidentRates,
    kinds=st.dictionaries(sound["kind"] | st.text(max_size=4), _fields(KindRate, within=sound["target"]), max_size=3),
)


@examples(200)
@given(st.fixed_dictionaries({}, optional={"incidents": incidents, "incident_rates": rates}))
def test_any_incidents_and_rates_are_a_scenario_or_an_input_error(data):
    assert is_a_scenario_or_an_input_error({"name": "hall", **data})


@examples(100)
@given(nested, st.sampled_from(sorted(SECTIONS)))
def test_one_bad_section_hides_no_fault_of_another(value, section):
    """`colour` is always reported, and the fault of the section too if it has one alone."""
    alone, together = [{"name": "hall", **extra, section: value} for extra in ({}, {"colour": 1})]
    with pytest.raises(InputError) as both:
        parse_scenario(together, "any.yaml")
    said = str(both.value).split("\n  ")[1:]
    assert "colour: unknown key" in said
    try:
        parse_scenario(alone, "any.yaml")
    except InputError as error:
        assert set(str(error).split("\n  ")[1:]) <= set(said)  # noqa: PT017 - a scenario without fault is fine too
