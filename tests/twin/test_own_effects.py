"""Whose departure it is where incidents meet: each is told of as it is when all else happens with it and without it."""

import numpy as np
import pytest

from sim.engine.build import resolve
from sim.scenario.files import load_scenario
from tests.twin.leave_one_out import Reference, departure, run_of, run_without
from tests.twin.worlds import hall_of


def calm(*incidents):
    """Return the calm hall of 72 racks with incidents."""
    return resolve(load_scenario("calm", ("seed=72",), {"incidents": list(incidents)}))


WORK = {"kind": "setpoint_tuning", "target": "loop:CL-3", "at": "1h", "duration": "5h"}
ERROR = {"kind": "setpoint_error", "target": "loop:CL-3", "at": "3h", "duration": "1h", "causes": []}


def test_planned_work_hides_no_fault():
    """The fault alone reaches 26.8 sigmas on the 24 racks of its loop."""
    run = run_of(calm(WORK, ERROR))
    anomalous = run.incident_labels("physical")
    assert anomalous.any(axis=0).sum() == 24
    assert anomalous[3 * 60 + 5 : 4 * 60].sum() > 24 * 50
    assert not anomalous[: 3 * 60].any()
    assert (run.marked[anomalous] != "").all()


def test_a_fault_beside_maintenance_is_an_anomaly():
    work = {"kind": "planned_maintenance", "target": "rack:R-E-02", "at": "1h", "duration": "3h"}
    fan = {"kind": "fan_failure", "target": "rack:R-E-02", "at": "2h", "duration": "1h"}
    run = run_of(calm(work, fan))
    rack = run.hall.facility.racks.index("R-E-02")
    assert run.incident_labels("physical")[2 * 60 + 10 : 3 * 60, rack].all()
    assert not run.incident_labels("physical")[: 2 * 60].any()


def test_planned_work_becomes_no_fault():
    """The cap reaches 0.4 sigmas."""
    work = {"kind": "planned_maintenance", "target": "rack:R-E-02", "at": "1h", "duration": "4h"}
    cap = {"kind": "power_cap", "target": "rack:R-E-05", "severity": 0.02, "at": "2h", "duration": "2h"}
    hall = calm(work, cap)
    run = run_of(hall)
    assert departure(run, run_without(hall, "power_cap-1"), 72).max() < 1
    assert not run.incident_labels("physical").any()
    assert not run.incident_labels("persistent").any()
    assert run.events["power_cap-1"].affected == ()
    assert run.events["planned_maintenance-1"].affected


def test_a_faults_rows_do_not_go_to_one_that_cannot_be_seen():
    coil = {"kind": "fouled_coil", "target": "rack:R-E-02", "severity": 0.02, "at": "1h", "duration": "4h"}
    run = run_of(calm(coil, {**ERROR, "at": "2h"}))
    assert run.events["fouled_coil-1"].onset_s is None
    rack = run.hall.facility.racks.index("R-E-02")
    seen = run.incident_labels("physical")[:, rack]
    assert seen[2 * 60 + 5 : 3 * 60].all()
    assert {"fouled_coil-1|setpoint_error-1"} == set(run.marked[2 * 60 + 5 : 3 * 60, rack])
    other = run.hall.facility.racks.index("R-F-02")
    assert set(run.marked[:, other]) == {"", "setpoint_error-1"}


TRIP = {"kind": "chiller_trip", "after": "1m", "duration": "5m", "probability": 1}
SAG = {"kind": "utility_sag", "at": "1h", "duration": "1m", "id": "sag", "causes": [TRIP]}


def test_in_a_chain_each_is_observed_from_its_own_effect_on():
    hall = calm(SAG)
    run = run_of(hall)
    trip = next(e for e in run.kept.incidents if e.kind == "chiller_trip")
    sag, own = run.events["sag"], departure(run, run_without(hall, trip.id), 72) > 3
    assert trip.onset_s == np.flatnonzero(own.any(axis=1))[0] * 60
    assert trip.onset_s > sag.onset_s
    assert trip.observable_end_s > sag.observable_end_s
    assert trip.persistent


def test_a_surge_under_a_heat_wave_begins_when_it_is_felt_itself():
    wave = {"kind": "heat_wave", "at": "30m", "duration": "3h"}
    surge = {"kind": "batch_surge", "target": "row:A", "at": "1h", "duration": "1h"}
    hall = calm(wave, surge)
    run = run_of(hall)
    own = departure(run, run_without(hall, "batch_surge-1"), 72) > 3
    assert run.events["batch_surge-1"].onset_s == np.flatnonzero(own.any(axis=1))[0] * 60


def test_no_gap_is_bridged_between_two_incidents():
    caps = [
        {"kind": "power_cap", "target": "rack:R-E-05", "at": at, "duration": "2m", "recovery": 0}
        for at in ("1h", "76m")
    ]
    run = run_of(calm(*caps))
    rack = run.hall.facility.racks.index("R-E-05")
    anomalous = run.incident_labels("physical")[:, rack]
    assert anomalous[62]
    assert anomalous[78]
    assert not anomalous[68:76].any()
    assert not run.incident_labels("persistent").any()
    assert not any(e.persistent for e in run.kept.incidents)


def of_sensor(kind, channel, at, duration, **more):
    parameters = {"channel": channel, **more}
    return {"kind": f"sensor_{kind}", "target": "rack:R-E-05", "at": at, "duration": duration, "parameters": parameters}


def test_no_gap_is_bridged_between_two_sensors():
    run = run_of(calm(of_sensor("offset", "inlet_c", "1h", "2m"), of_sensor("offset", "pdu_kw", "76m", "2m")))
    assert np.array_equal(run.incident_labels("sensor"), run.touched)
    assert run.touched.sum() == 4


def test_a_drift_beside_an_offset_is_observed_when_it_has_drifted():
    """25 sigmas in five hours pass 3 after 36 minutes, whatever another sensor of the rack or the same one shows."""
    for channel in ("pdu_kw", "inlet_c"):
        run = run_of(calm(of_sensor("offset", channel, "10m", "4h"), of_sensor("drift", "inlet_c", "10m", "290m")))
        passed_s = 600 + 290 * 60 * 3 / 25
        assert run.events["sensor_drift-1"].onset_s == -(-passed_s // 60) * 60


def test_a_sensors_fault_that_another_covers_is_not_seen():
    run = run_of(calm(of_sensor("offset", "inlet_c", "1h", "2h"), of_sensor("stuck", "inlet_c", "2h", "1h")))
    assert run.events["sensor_offset-1"].observable_end_s == 7200


def weak(severity):
    """Return a fault that reaches 88 sigmas times its severity, in a loop whose racks pass 27 degC now and then."""
    fault = {"kind": "setpoint_error", "target": "loop:CL-2", "at": "1h", "duration": "4h", "causes": []}
    return {**fault, "severity": severity}


def test_heat_that_cannot_be_observed_puts_no_rack_in_a_profile():
    """A fault too weak to be seen takes racks that are close to the limit past it, by hundredths."""
    run = run_of(hall_of(incidents=[weak(0.03)]))
    past = (run.truth["inlet_c"] > 27) & (run.twin_truth["inlet_c"] <= 27)
    assert past.any()
    assert run.events["setpoint_error-1"].onset_s is None
    assert not any(e.incident for e in run.kept.episodes)


def test_weak_faults_that_are_seen_only_together_are_an_anomaly_that_names_both():
    reference = Reference(hall_of(incidents=[weak(0.03), weak(0.02)]))
    jointly = reference.jointly()
    assert jointly.any()
    assert reference.run.incident_labels("physical")[jointly].all()
    assert set(reference.run.marked[jointly]) == {"|".join(e.id for e in reference.begun)}


@pytest.mark.parametrize("work", ["planned_maintenance", "firmware_roll"])
def test_planned_work_alone_is_no_anomaly_and_owns_what_it_changes(work):
    target = "rack:R-C-02" if work == "planned_maintenance" else "row:C"
    run = run_of(hall_of(incidents=[{"kind": work, "target": target, "at": "1h", "duration": "2h"}]))
    assert not run.incident_labels("physical").any()
    assert (run.marked[run.sigmas > 3] == f"{work}-1").all()
