"""What gives a benchmark's anomalies away is seen, and shortened benchmarks have nothing of it."""

from dataclasses import replace

import numpy as np
import pytest

from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.quality import planned_faults
from sim.runs.memory import record
from sim.scenario.files import read_scenario
from training.leaks import area, artefacts, calendar


def shortened(**rates):
    scenario = read_scenario("benchmark_mixed").data
    kinds = {"incident_rates": {**scenario["incident_rates"], "after": "1d", **rates}}
    return {**scenario, "duration": "2d", **kinds}


@pytest.fixture(scope="module")
def facts():
    return Counterfactual(record(shortened()))


def test_artefacts_alone_do_not_tell_faults(facts):
    [check] = artefacts(facts)
    assert check.passed, str(check)


def test_readings_that_are_repeated_with_their_noise_give_themselves_away(facts):
    readings = {name: values.copy() for name, values in facts.run.readings.items()}
    for tick, racks in enumerate(facts.anomalous):
        for name in ("inlet_c", "outlet_c", "tokens_ps"):
            readings[name][tick, racks] = readings[name][tick - 5, racks]
    [check] = artefacts(Counterfactual(replace(facts.run, readings=readings)))
    assert check.value > 0.8


def test_energy_that_is_not_the_powers_gives_itself_away(facts):
    energy = np.where(facts.anomalous, 1000.0, 0.0) + facts.run.readings["gpu_energy_j"]
    [check] = artefacts(Counterfactual(replace(facts.run, readings={**facts.run.readings, "gpu_energy_j": energy})))
    assert check.value > 0.9


def test_places_and_times_alone_do_not_tell_when_faults_come():
    [check] = calendar(shortened())
    assert check.passed, str(check)


def test_places_that_are_the_same_in_every_seed_are_seen():
    [check] = calendar(shortened(spared=["loop:CL-2", "loop:CL-3"]))
    assert not check.passed


def test_faults_are_planned_on_two_thirds_of_the_racks():
    where, faulty = planned_faults(shortened())
    assert where.shape == (48 * 72, 3)
    assert set(where[:, 2]) == {1.0}
    clean = {*range(72)} - {int(rack) for rack in where[faulty, 0]}
    assert len(clean) >= 24


def test_what_is_learnt_of_one_half_tells_the_other_only_where_it_is_true_of_both():
    """Of n pairs an AUC of chance has a standard error of about 1 / sqrt(3 n)."""
    rng = np.random.default_rng(0)
    rows, truth = rng.random((4000, 3)), rng.random(4000) < 0.5
    told = np.column_stack([rows, truth])
    assert area(told[:2000], truth[:2000], told[2000:], truth[2000:]) == pytest.approx(1.0)
    assert abs(area(rows[:2000], truth[:2000], rows[2000:], truth[2000:]) - 0.5) <= 3.5 / 3000**0.5
