"""Whose departure it is, against independent runs: the same dense hall without one incident at a time.

Seeds are those of the day: its number since year 1 times 100, and up to 99 more, so that nobody can tune to them.
SEED_DAY=2026-11-27 brings a day back.
"""

import os
from datetime import UTC, date, datetime

import numpy as np
from hypothesis import given, note
from hypothesis import strategies as st

from tests.examples import examples
from tests.twin.leave_one_out import Reference
from tests.twin.worlds import hall_of

DAY = date.fromisoformat(os.environ.get("SEED_DAY") or datetime.now(UTC).date().isoformat()).toordinal()

HALLS = [
    {"facility": {"rows": 2, "racks_per_row": 3}},
    {"facility": {"rows": 4, "racks_per_row": 2}, "tick": 120},
    {"facility": {"rows": 4, "racks_per_row": 2, "chiller_capacity_kw": 85}},  # runs short of it in a busy hour
]
CROWDED = ["batch_surge", "breaker_trip", "chiller_trip", "fan_failure", "firmware_roll", "fouled_coil", "heat_wave",
           "nodes_lost", "planned_maintenance", "power_cap", "pump_trip", "setpoint_error", "setpoint_tuning",
           "traffic_shift", "utility_sag", "sensor_drift", "sensor_offset", "sensor_stuck"]  # fmt: skip


@st.composite
def crowds(draw):
    """Draw a hall in which a dozen incidents meet in two hours."""
    kinds = draw(st.lists(st.sampled_from(CROWDED), min_size=2, max_size=5, unique=True))
    short = {"median": "15m", "shape": 0.8, "shortest": "1m", "longest": "1h"}
    rates = {kind: {"per_year": 10 / len(kinds), "severity": [0.02, 1.0], "duration": short} for kind in kinds}
    hall = draw(st.sampled_from(HALLS))
    seed = 100 * DAY + draw(st.integers(0, 99))
    spread = 365.25 * 24 / 2 / 8  # ten a year on each of eight assets become a dozen in two hours
    return {**hall, "duration": "2h", "seed": seed, "incident_rates": {"acceleration": spread, "kinds": rates}}


@examples(15)
@given(crowds())
def test_labels_and_events_say_of_each_incident_what_the_run_without_it_says(scenario):
    hall = hall_of(**scenario)
    note(f"{scenario}")
    if not 1 < len(hall.incidents) <= 40:
        return
    check(Reference(hall))


def check(reference):
    """Demand that labels and events are what independent runs say."""
    run, tick_s = reference.run, reference.tick_s
    together = {sensors: reference.jointly(sensors=sensors) for sensors in (False, True)}
    jointly = together[False] | together[True]
    for event in reference.begun:
        own = reference.own[event.id]
        if event.ticks == 0 and not own.owned.any():
            continue
        racks = [run.hall.facility.racks.index(name) for name in event.affected]
        assert racks == own.racks, event.id
        assert event.onset_s == (own.lit[0] * tick_s if own.lit.size else None), event.id
        lasts = own.lit.size and own.lit[-1] == reference.shape[0] - 1
        end_s = None if not own.lit.size or lasts else (own.lit[-1] + 1) * tick_s
        assert event.observable_end_s == end_s, event.id
        assert event.peak_s == (None if own.peak is None else own.peak * tick_s), event.id
        assert event.persistent == own.persistent, event.id
        named = np.array([[event.id in cell.split("|") for cell in row] for row in run.marked])
        wrong = named != own.owned
        if event.group not in ("sensor", "normal"):
            wrong &= ~together[False]
        assert not wrong.any(), (event.id, np.argwhere(wrong)[:5])
        assert event.ticks == named.any(axis=1).sum(), event.id
    for sensors, name in ((False, "physical"), (True, "sensor")):
        faults = reference.faults(sensors=sensors)
        observed = np.any([np.zeros(reference.shape, dtype=bool), *(reference.own[e.id].observed for e in faults)], 0)
        told = run.incident_labels(name)
        observed = observed | together[sensors]
        assert np.array_equal(told, observed), (name, np.argwhere(told != observed)[:5])
    of_all = [reference.own[e.id].lasting for e in reference.begun if e.group != "normal"]
    lasting = np.any([np.zeros(reference.shape, dtype=bool), *of_all], axis=0)
    told = run.incident_labels("persistent")
    assert np.array_equal(told & ~jointly, lasting & ~jointly)
    assert (run.marked[jointly] != "").all()
