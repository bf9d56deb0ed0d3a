"""Many incidents at once, and plants at their limit, against the same seed without any."""

from functools import cache

import numpy as np
import pytest

from sim.incidents.catalogue import CATALOGUE
from sim.model.channels import TELEMETRY_CHANNELS
from tests.twin.worlds import HALL, live

CROWD = {"acceleration": 4000, "spacing": 0}
SMALL_PLANT = {"facility": {**HALL["facility"], "chiller_capacity_kw": 158}}
SURGE = {"kind": "added_ai_nodes", "target": "row:C", "at": "1h", "duration": "1h30m", "recovery": "10m"}
SURGE["parameters"] = {"load": 3, "capacity": 3, "idle_kw": 5}


@cache
def crowd(seed):
    return live(incident_rates=CROWD, duration="4h", seed=seed)


@pytest.mark.parametrize("seed", [3, 4])
def test_hundreds_of_drawn_incidents_leave_the_twin_the_run_without_them(seed):
    run, plain = crowd(seed), live(duration="4h", seed=seed)
    assert len(run.events) >= 200
    assert len({e.kind for e in run.events.values()}) >= 30
    for name in TELEMETRY_CHANNELS:
        assert np.array_equal(run.twin_readings[name], plain.readings[name]), name
    assert np.isfinite(np.stack(list(run.truth.values()))).all()


@pytest.mark.parametrize("seed", [3, 4])
def test_nothing_differs_from_the_twin_where_no_incident_reaches(seed):
    run = crowd(seed)
    reached = np.zeros(run.touched.shape, dtype=bool)
    for event in run.events.values():
        incident = run.planned[event.id.split(".")[0] if event.id not in run.planned else event.id]
        begun = run.ticks_s[:, None] >= event.start_s
        reached[:, slice(None) if event.saturated else incident.reaches] |= begun
    assert not run.touched[~reached].any()


def test_incidents_shift_no_draw_of_each_other():
    """One more incident on another loop leaves the first one's world as it was."""
    one = {"kind": "sensor_noise", "target": "rack:R-A-01", "at": "1h", "duration": "2h"}
    heat = {"kind": "pump_trip", "target": "loop:CL-1", "at": "1h"}
    other = {"kind": "nodes_lost", "target": "row:E", "at": "30m", "duration": "3h"}
    alone, together = live(one, heat), live(other, one, heat)
    for name in TELEMETRY_CHANNELS:
        assert np.array_equal(alone.readings[name][:, :6], together.readings[name][:, :6]), name


def test_a_saturated_plant_couples_loops_from_then_on_and_labels_and_events_say_so():
    run = live(SURGE, **SMALL_PLANT)
    event = run.events["added_ai_nodes-1"]
    incident = run.planned["added_ai_nodes-1"]
    assert event.saturated
    outside = ~np.isin(np.arange(len(run.hall.facility.racks)), incident.reaches)
    first = np.flatnonzero(run.touched[:, outside].any(axis=1))[0]
    assert run.ticks_s[first] > 3600 + 300, "the chilled water's mass takes its time"
    assert not run.sigmas[:first, outside].any()
    seen = run.sigmas > 3
    assert seen[:, outside].any()
    assert set(run.marked[seen]) == {"added_ai_nodes-1"}
    names = np.array(run.hall.facility.racks)
    assert list(event.affected) == names[seen.any(axis=0)].tolist()
    assert set(np.array(run.marked[:first, outside]).flat) == {""}


def test_below_its_capacity_the_plant_couples_nothing():
    run = live(SURGE)
    assert not run.events["added_ai_nodes-1"].saturated
    assert not np.delete(run.touched, run.planned["added_ai_nodes-1"].reaches, axis=1).any()


def test_an_incident_does_not_answer_for_a_plant_that_its_twin_saturates_as_well():
    """A fault on one loop that changes nothing for the plant, in a hall whose plant is always at its limit."""
    tight = {"facility": {**HALL["facility"], "chiller_capacity_kw": 100}}
    fault = {"kind": "sensor_offset", "target": "rack:R-A-01", "at": "1h"}
    run = live(fault, **tight)
    assert set(run.marked[:, 1:].flat) == {""}


def test_a_rack_that_fails_beside_a_chiller_trip_does_not_answer_for_the_warm_hall():
    """The water stays warm for half an hour after the chillers are back; no rack gets so hot that it shuts down."""
    trip = {"kind": "chiller_trip", "at": "1h", "duration": "10m", "recovery": 0}
    run = live(trip, {"kind": "fan_failure", "target": "rack:R-A-01", "at": "50m", "duration": "5h"})
    others = np.array([not name.startswith(("R-A", "R-B")) for name in run.hall.facility.racks])
    assert (run.sigmas[:, others] > 3).any()
    assert set(run.marked[:, others].flat) == {"", "chiller_trip-1"}
    assert set(run.marked[run.sigmas > 3].flat) == {"chiller_trip-1", "fan_failure-1", "fan_failure-1|chiller_trip-1"}


@pytest.mark.parametrize("kind", ["breaker_trip", "pump_trip", "nodes_lost", "traffic_shift"])
def test_two_that_overlap_leave_nothing_behind(kind):
    """One ends while the other lasts, then all comes back to where the twin is, but for what walls give back."""
    where = "loop:CL-1" if kind == "pump_trip" else "rack:R-B-02"
    first = {"kind": kind, "target": where, "at": "1h", "duration": "40m", "recovery": 0}
    other = {"kind": "row_fan_fault", "target": "row:B", "at": "80m", "duration": "1h", "recovery": 0}
    run = live(first, other)
    assert run.sigmas[-60:].max() < 1, "no sensor tells it"
    both = slice(100, 138)
    assert run.sigmas[both, 4].max() > 3


def test_every_kind_is_in_the_draw():
    assert set(CATALOGUE) >= {e.kind for e in crowd(3).events.values()}
