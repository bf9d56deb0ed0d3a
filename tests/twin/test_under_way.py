"""A run in pieces, and incidents added while it is under way: the bytes of the run in one go that had planned them."""

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.engine.build import build, with_incidents
from sim.incidents.catalogue import CATALOGUE, SENSOR_FAULTS
from sim.runs.memory import MemorySink
from sim.scenario.checks import parse_scenario
from sim.scenario.files import load_scenario, shipped_scenarios
from tests.twin.worlds import TARGETS, Worlds, hall_of, live, told

SHORT = {"duration": "2h", "facility": {"rows": 4, "racks_per_row": 3}}
END_S = 7200.0
DRAWN = {"incident_rates": {"acceleration": 400}, **SHORT}


def begun(*incidents, block_ticks=7, **scenario):
    """Return a simulation that takes incidents, its hall, and what it hands out."""
    hall = hall_of(**({"incidents": list(incidents)} if incidents else {}), **(scenario or SHORT))
    kept = MemorySink(hall)
    return build(hall, [kept], block_ticks=block_ticks, interactive=True), hall, kept


def same(one, other):
    """Demand that two runs tell the same, bit by bit."""
    (tables, *rest), (other_tables, *other_rest) = told(one), told(other)
    assert [n for n, values in tables.items() if not np.array_equal(values, other_tables[n])] == []
    assert rest == other_rest


def ended(simulation, hall, kept):
    """Run to the end; return it, and the run in one go of the scenario that it has become."""
    simulation.advance(END_S)
    simulation.finish()
    planned = with_incidents(hall, simulation.scenario)
    again = MemorySink(planned)
    build(planned, [again]).run()
    return Worlds(hall, kept), Worlds(planned, again)


@cache
def in_one_go():
    return live(**DRAWN)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 7200).map(float) | st.floats(0, END_S), max_size=12).map(sorted), st.integers(5, 130))
@example([60.0, 60.0, 119.99999999999999, 120.0], 1)
def test_a_run_in_pieces_is_the_run_in_one_go(stops, block_ticks):
    hall = hall_of(**DRAWN)
    kept = MemorySink(hall)
    simulation = build(hall, [kept], block_ticks=block_ticks)
    for stop_s in stops:
        simulation.advance(stop_s)
    simulation.advance(END_S)
    simulation.finish()
    same(Worlds(hall, kept), in_one_go())


def test_it_goes_on_to_short_of_an_instant_and_no_farther_than_the_end():
    simulation, _, kept = begun(block_ticks=1)
    simulation.advance(600)
    assert (simulation.now_s, len(kept.telemetry_blocks)) == (600, 10)
    simulation.advance(600)
    assert len(kept.telemetry_blocks) == 10
    with pytest.raises(ValueError, match="until_s = 599 is over: the run has come to 600 s"):
        simulation.advance(599)
    with pytest.raises(ValueError, match="advance to its end"):
        simulation.finish()
    simulation.advance(1e9)
    assert (simulation.now_s, len(kept.telemetry_blocks)) == (END_S, 120)


ANYWHERE = sorted(name for name, kind in CATALOGUE.items() if not kind.rack_type and not kind.whole_job)
"""Kinds that racks of any hall can have."""


@st.composite
def additions(draw):
    """Draw when to add which incidents: [(added at, entry)], the later ones at or after the earlier."""
    entries, moments = [], st.floats(0, END_S - 600) | st.integers(0, 110).map(lambda minutes: 60.0 * minutes)
    for i, now_s in enumerate(sorted(draw(st.lists(moments, min_size=1, max_size=4)))):
        kind = CATALOGUE[draw(st.sampled_from(ANYWHERE))]
        level = draw(st.sampled_from(kind.target_levels))
        entry = {
            "kind": kind.name,
            "target": "plant" if level == "plant" else draw(st.sampled_from([TARGETS[level], f"random({level}, 1)"])),
            "duration": draw(st.sampled_from([30, 600, 1234.5])),
            "recovery": draw(st.sampled_from([0, 90])),
        }
        if draw(st.booleans()):
            entry["at"] = now_s + draw(st.integers(0, 599))
        if entries and draw(st.booleans()):
            after_s = draw(st.sampled_from([0, 60, 500.5]))
            entry["causes"] = [
                {"kind": "nodes_lost", "target": "random(rack, 2)", "after": after_s, "probability": 0.7}
            ]
        entries.append((now_s, {**entry, "id": f"added-{i}"} if draw(st.booleans()) else entry))
    return entries


FLASH = {"kind": "flash_crowd", "target": "row:A", "duration": 300}


@settings(max_examples=20, deadline=None)
@given(additions(), st.sampled_from([{}, {"incident_rates": {"acceleration": 300}}]), st.integers(5, 130))
@example([(3600.0, {"kind": "sensor_late", "target": "rack:R-A-01", "duration": "1h"})], {}, 1)
@example(  # of one instant: what the clock begins, in the order of the list, then what others set off
    [(0.0, {"kind": "nodes_lost", "target": "row:A", "at": 60, "causes": [{**FLASH, "after": 600}]}),
     (600.0, {"kind": "gpu_throttle", "target": "row:A", "at": 660}),
     (660.0, {"kind": "job_drain", "target": "row:A"})],
    {}, 5,
)  # fmt: skip
def test_an_incident_added_under_way_is_the_one_that_the_scenario_would_have_planned(added, rates, block_ticks):
    simulation, hall, kept = begun(block_ticks=block_ticks, **SHORT, **rates)
    for now_s, entry in added:
        simulation.advance(now_s)
        try:
            simulation.add_incident(entry)
        except InputError as error:  # one of an exclusive kind is there, or nobody is left to take load
            assert "still holds it" in str(error) or "nobody is left" in str(error)  # noqa: PT017
    if simulation.scenario.has_incidents:
        same(*ended(simulation, hall, kept))


@pytest.mark.parametrize("kind", [k.name for k in SENSOR_FAULTS])
def test_a_sensors_fault_added_late_sees_the_past_that_it_needs(kind):
    """A late sensor shows what it read an hour before it was added."""
    simulation, hall, kept = begun(block_ticks=3)
    simulation.advance(4000)
    needed = {"sensor_late": {"delay_s": 3600}, "sensor_spike": {"share": 0.5}}  # of 20 samples some are a spike
    more = {"parameters": needed.get(kind, {})}
    simulation.add_incident({"kind": kind, "target": "rack:R-B-02", "duration": "20m", **more})
    live_run, planned = ended(simulation, hall, kept)
    same(live_run, planned)
    assert live_run.incident_labels("sensor").any()


def test_a_run_that_takes_incidents_and_gets_none_reads_what_one_without_reads():
    simulation, hall, kept = begun()
    run, plain = ended(simulation, hall, kept)
    for name, values in plain.readings.items():
        assert np.array_equal(run.readings[name], values), name
        assert np.array_equal(run.twin_readings[name], values), name
    assert set(run.marked.flat) == {""}


def test_an_added_incident_is_named_as_one_more_of_the_list_and_may_set_off_those_before():
    fan = {"kind": "fan_failure", "target": "rack:R-A-01", "at": "90m", "id": "fan", "duration": "30m"}
    simulation, hall, kept = begun(fan)
    simulation.advance(1800)
    assert simulation.add_incident({"kind": "fan_failure", "target": "rack:R-B-01"}) == "fan_failure-2"
    trip = {"kind": "breaker_trip", "target": "rack:R-C-01", "causes": [{"incident": "fan", "after": "1m"}]}
    assert simulation.add_incident({**trip, "at": "40m"}) == "breaker_trip-1"
    run, planned = ended(simulation, hall, kept)
    same(run, planned)
    assert {e.id: (e.start_s, e.triggered_by) for e in run.kept.incidents} == {
        "fan_failure-2": (1800, None),
        "breaker_trip-1": (2400, None),
        "fan": (2460, "breaker_trip-1"),
        "fan.2": (5400, None),
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "pump_tripp", "target": "loop:CL-1"}, "add_incident: 1 problem\n  incidents[1].kind: 'pump_tripp'"),
        (
            {"kind": "fan_failure", "target": "rack:R-A-01", "at": "10m"},
            "[1].at: '10m' is over: the run has come to",
        ),
        ({"kind": "fan_failure", "target": "rack:R-A-01", "at": "3h"}, "is past the run's end"),
        ({"kind": "fan_failure", "target": "rack:R-A-01", "id": "surge"}, "the id 'surge' is given twice"),
        ({"kind": "fan_failure", "target": "rack:R-A-01", "id": "surge.nodes_lost"}, "is the id of another incident"),
        ({"kind": "fan_failure", "target": "rack:R-Z-01", "severity": 2}, "2 problems"),
    ],
)
def test_what_cannot_be_added_is_told_and_changes_nothing(entry, message):
    surge = {"kind": "flash_crowd", "at": "20m", "id": "surge", "causes": [{"kind": "nodes_lost", "target": "row:A"}]}
    simulation, hall, kept = begun(surge)
    simulation.advance(1800)
    with pytest.raises(InputError) as error:
        simulation.add_incident(entry)
    assert message in str(error.value)
    same(*ended(simulation, hall, kept))
    assert simulation.scenario == hall.scenario


def test_a_run_that_was_not_built_for_it_takes_no_incidents():
    simulation = build(hall_of(**SHORT), [])
    with pytest.raises(InputError, match="build it with interactive=True"):
        simulation.add_incident(FLASH)


@settings(max_examples=20, deadline=None)
@given(
    additions(), st.lists(st.floats(0, END_S - 1) | st.integers(0, 119).map(lambda m: 60.0 * m), min_size=1),
    st.randoms(use_true_random=False), st.integers(1, 130),
)  # fmt: skip
@example(  # racks in turn: some have had theirs, one is at it, the others never begin
    [(0.0, {"kind": "firmware_roll", "target": "row:A", "duration": 3000, "recovery": 90})], [1500.0], None, 5
)
@example([(0.0, {"kind": "utility_sag", "duration": 600})], [300.0], None, 1)
@example(
    [(0.0, {"kind": "sensor_noise", "target": "rack:R-A-01", "duration": 3000, "recovery": 600})], [61.0], None, 50
)
def test_an_incident_ended_under_way_is_the_one_whose_end_the_scenario_would_have_told(added, ends, rng, block_ticks):
    simulation, hall, kept = begun(block_ticks=block_ticks)
    for now_s, entry in sorted([*added, *((end_s, None) for end_s in ends)], key=lambda a: a[0]):
        simulation.advance(now_s)
        ended_already = {ending.incident for ending in simulation.scenario.endings}
        names = [o.id for o in simulation.begun if now_s < o.end_s and o.id not in ended_already]
        if entry is None:
            for name in names[-1:] if rng is None else rng.sample(names, min(1, len(names))):
                simulation.end_incident(name)
            continue
        try:
            simulation.add_incident(entry)
        except InputError as error:
            assert "still holds it" in str(error) or "nobody is left" in str(error)  # noqa: PT017
    if simulation.scenario.has_incidents:
        same(*ended(simulation, hall, kept))


def test_what_is_ended_fades_from_there_and_its_kind_may_begin_again():
    simulation, hall, kept = begun()
    trip = {"kind": "breaker_trip", "target": "rack:R-A-01", "duration": "1h", "recovery": 0}
    simulation.advance(1800)
    simulation.add_incident(trip)
    simulation.advance(2400)
    with pytest.raises(InputError, match="still holds it"):
        simulation.add_incident(trip)
    simulation.end_incident("breaker_trip-1")
    simulation.advance(2460)
    simulation.add_incident({**trip, "duration": 60})
    run, planned = ended(simulation, hall, kept)
    same(run, planned)
    assert {e.id: (e.start_s, e.end_s) for e in run.kept.incidents} == {
        "breaker_trip-1": (1800, 2400),
        "breaker_trip-2": (2460, 2520),
    }
    dark = run.truth["pdu_kw"][:, 0] == 0
    assert np.flatnonzero(dark).tolist() == [*range(31, 41), 42]


def test_only_what_is_under_way_can_be_ended_and_once():
    simulation, _, _ = begun({"kind": "fan_failure", "target": "rack:R-A-01", "at": "10m", "duration": "10m"})
    for now_s in (0, 600, 1200):
        simulation.advance(now_s)
        with pytest.raises(InputError, match="'fan_failure-1' is not under way"):
            simulation.end_incident("fan_failure-1")
    simulation, _, _ = begun({"kind": "fan_failure", "target": "rack:R-A-01", "at": "10m", "duration": "10m"})
    simulation.advance(660)
    simulation.end_incident("fan_failure-1")
    with pytest.raises(InputError, match="'fan_failure-1' is ended twice"):
        simulation.end_incident("fan_failure-1")


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_a_scenario_written_out_is_the_same_scenario(name):
    """Adding goes through the document, so that all checks of scenarios apply."""
    scenario = load_scenario(name, (), {})
    assert parse_scenario(scenario.model_dump(exclude_unset=True), name) == scenario
