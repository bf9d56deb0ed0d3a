"""What rows are told of the incidents that own them, and what events say of an effect that the run cuts off."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents
from sim.incidents.attribution import Claim, Claims, Stretch
from sim.incidents.labels import PHASES, painted
from sim.incidents.planning import plan_incidents
from tests.process.stage import quiet_hall, run

FIRST, TICKS, RACKS, TICK_S = 1, 10, 8, 60
ONSET, HOLD, RECOVERY = (PHASES.index(name) for name in ("onset", "hold", "recovery"))


def begun(*incidents):
    """Return occurrences of incidents, all begun as planned."""
    hall = quiet_hall(incidents=list(incidents))
    active = ActiveIncidents(TICK_S)
    for incident in plan_incidents(hall.scenario, hall.facility, Streams(1)).values():
        active.begins(incident, incident.at_s, None)
    return active.occurrences


def owned(occurrence, racks, *, seen=True, observed=True, lasts=False):
    """Return an occurrence's part of ten ticks: all ticks of some racks, which depart from the first on or never."""
    ticks = range(FIRST, FIRST + TICKS)
    stretches = [Stretch(ticks, lasts)] if observed else []
    return Claims(occurrence, [Claim(r, [ticks], stretches, FIRST if seen else None) for r in racks])


def told(*parts):
    return painted(range(FIRST, FIRST + TICKS), RACKS, parts, TICK_S)


def of_rack(kind, rack="R-A-01", **more):
    return {"kind": kind, "target": f"rack:{rack}", "at": 0, "duration": "1h", "recovery": 0, **more}


def in_phase(phase, kind, severity):
    """Return an incident that is in a phase in all of the ticks, and whether its racks are seen to depart."""
    over = {"duration": FIRST * TICK_S, "recovery": "1h"} if phase == RECOVERY else {}
    return of_rack(kind, severity=severity, **over), phase == HOLD


@pytest.mark.parametrize(
    ("phases", "tells"), [((HOLD, ONSET), HOLD), ((ONSET, HOLD), HOLD), ((RECOVERY, ONSET), ONSET)]
)
def test_where_incidents_meet_all_are_named_as_they_began_and_the_strongest_and_latest_phase_are_told(phases, tells):
    (first, first_seen), (second, second_seen) = (
        in_phase(phases[0], "fan_failure", 0.9),
        in_phase(phases[1], "nodes_lost", 0.3),
    )
    one, other = begun(first, second)
    meet = told(owned(other, [0, 1], seen=second_seen), owned(one, [0], seen=first_seen))
    names = np.array(meet.incident_names)[meet.incidents]
    assert set(names[:, 0]) == {"fan_failure-1|nodes_lost-1"}
    assert set(names[:, 1]) == {"nodes_lost-1"}
    assert set(names[:, 2:].flat) == {""}
    assert set(meet.phase[:, 0].tolist()) == {tells}
    assert set(meet.phase[:, 1].tolist()) == {phases[1]}
    # over nine ticks of the hour of recovery 0.9 falls to 0.765, never to the other's 0.3
    left = 1 - np.arange(TICKS) * TICK_S / 3600 if phases[0] == RECOVERY else np.ones(TICKS)
    assert meet.severity[:, 0] == pytest.approx(0.9 * left)
    assert meet.severity[:, 1] == pytest.approx(0.3)


def test_racks_in_turn_are_told_to_be_affected_in_their_own_turn_only():
    (roll,) = begun({"kind": "firmware_roll", "target": "row:A", "at": FIRST * TICK_S, "duration": "8m", "recovery": 0})
    severity = told(owned(roll, [0, 1, 2, 3])).severity
    ticks = [(FIRST + np.flatnonzero(severity[:, rack])).tolist() for rack in range(5)]
    assert ticks == [[1, 2], [3, 4], [5, 6], [7, 8], []]


def test_observed_rows_are_anomalous_by_what_owns_them_and_never_by_planned_work():
    fault, sensor, work = begun(
        of_rack("fan_failure"), of_rack("sensor_noise", "R-A-02"), of_rack("planned_maintenance", "R-A-03")
    )
    seen = told(*(owned(o, [rack], lasts=True) for rack, o in enumerate((fault, sensor, work))))
    for flags, racks in ((seen.physical, [0]), (seen.sensor, [1]), (seen.persistent, [0, 1])):
        assert np.flatnonzero(flags.any(axis=0)).tolist() == racks
        assert flags[:, racks].all()
    assert np.array(seen.sensor_names)[seen.sensors][0].tolist() == ["", "inlet_c", *[""] * 6]


def test_rows_that_are_owned_but_not_observed_are_no_anomaly():
    (fault,) = begun(of_rack("fan_failure"))
    quiet = told(owned(fault, [0], observed=False))
    assert not (quiet.physical | quiet.persistent).any()
    assert quiet.incidents[:, 0].all()


def test_a_drift_is_in_its_onset_as_long_as_it_rises():
    drift = of_rack("fouled_coil", duration=(FIRST + 4) * TICK_S, recovery="1h")
    told_ = told(owned(*begun(drift), [0]))
    assert told_.phase[:, 0].tolist() == [ONSET] * 4 + [RECOVERY] * (TICKS - 4)


def test_a_ramp_is_in_its_onset_until_it_has_risen():
    ramp = of_rack("fan_failure", shape="ramp", rise=(FIRST + 4) * TICK_S)
    assert told(owned(*begun(ramp), [0])).phase[:, 0].tolist() == [ONSET] * 4 + [HOLD] * (TICKS - 4)


def test_two_faulty_sensors_of_one_channel_are_one_channel():
    one, other = begun(of_rack("sensor_noise"), of_rack("sensor_offset"))
    both = told(owned(one, [0]), owned(other, [0]))
    assert set(np.array(both.sensor_names)[both.sensors][:, 0]) == {"inlet_c"}


@pytest.mark.parametrize("block_ticks", [7, 100])
def test_an_effect_that_lasts_at_the_runs_end_has_no_end_and_one_that_is_over_ends_after_its_last_tick(block_ticks):
    dark = {"kind": "breaker_trip", "target": "rack:R-A-01", "at": "10m", "duration": "5m", "recovery": 0}
    lasting = {**dark, "target": "rack:R-B-01", "at": "30m", "duration": "2h"}
    seen = run(quiet_hall(incidents=[dark, lasting]), block_ticks=block_ticks)
    over, cut = sorted(seen.incidents, key=lambda e: e.start_s)
    assert (cut.onset_s, cut.observable_end_s, cut.end_s) == (31 * 60, None, 9000)
    away = np.abs(seen.truth["pdu_kw"] - seen.twin_truth["pdu_kw"])[:, 0] > 1
    assert over.observable_end_s > np.flatnonzero(away)[-1] * 60


def test_a_sensors_fault_that_is_seen_in_the_runs_last_tick_has_no_end_though_its_plan_is_over():
    fault = {"kind": "sensor_offset", "target": "rack:R-A-01", "at": "30m", "duration": 29 * TICK_S + 30}
    (event,) = run(quiet_hall(incidents=[fault])).incidents
    assert event.end_s < 3600
    assert event.observable_end_s is None
