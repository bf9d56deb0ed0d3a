"""A hall with a training job: its racks follow the job and no demand, and labels tell what it is about."""

import numpy as np
import pytest

from sim.agents.training_job import JobState
from sim.engine.job_load import NO_JOB
from sim.model.profiles import LOAD
from sim.plant import constants as k
from sim.runs.memory import record

FACILITY = {"rows": 2, "racks_per_row": 3}
JOB = {"racks": "row:B", "checkpoint_every": "20m", "checkpoint": "90s", "gpu_hours_per_failure": None}
DAY = {"facility": FACILITY, "duration": "6h", "start": "2025-01-06T09:00:00Z"}
B = slice(3, 6)


@pytest.fixture(scope="module")
def trained():
    return record({**DAY, "training_job": JOB, "demand": {"bursts": {"per_day": 60}}})


def test_its_racks_draw_one_plateau_together_and_less_while_they_checkpoint(trained):
    """At 76 % of 13 kW, each by its own energy per token and what its GPUs' warmth leaks."""
    kw, job = trained.truth["pdu_kw"][:, B], trained.job[:, B]
    running = (job == JobState.RUNNING).all(axis=1)
    long = np.convolve(running, np.ones(5), "full")[: len(running)] == 5  # means over ticks within one state
    assert np.median(kw[long], axis=0) == pytest.approx(0.76 * k.RACK_LIMIT_KW, rel=3 * k.ENERGY_SD)
    assert (kw[long].std(axis=0) < 0.03 * kw[long].mean(axis=0)).all()
    assert kw.min() < 0.5 * 0.76 * k.RACK_LIMIT_KW


def test_it_answers_nobody_and_no_demand_reaches_it(trained):
    assert np.isnan(trained.readings["latency_p95_ms"][:, B]).all()
    assert (trained.readings["queue_depth"][:, B] == 0).all()
    tokens = trained.truth["tokens_ps"][:, B]
    running = trained.job[:, 3] == JobState.RUNNING
    assert np.ptp(tokens[running], axis=0) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(trained.readings["latency_p95_ms"][:, :3]).all()


def test_its_racks_show_no_profile_that_requests_bring(trained):
    loads = [i for i, profile in enumerate(trained.hall.profiles.values()) if profile.anomaly_kind == LOAD]
    assert not np.isin(trained.profile[:, B], loads).any()
    assert np.isin(trained.profile[:, :3], loads).any()
    assert (trained.job[:, :3] == NO_JOB).all()


def test_racks_of_another_loop_are_to_the_bit_as_they_would_be_without_it():
    """Agents, noise and sensors draw the same, and the chillers have capacity."""
    hall = {**DAY, "facility": {"rows": 4, "racks_per_row": 3}, "duration": "3h"}
    with_job, alone = record({**hall, "training_job": {**JOB, "racks": "row:D"}}), record(hall)
    for name, values in alone.readings.items():
        np.testing.assert_array_equal(with_job.readings[name][:, :6], values[:, :6], err_msg=name)
    assert alone.job is None


def test_the_tick_changes_nothing_of_a_job():
    """Power is the mean over a tick, whatever begins and ends within it: energy of an hour to a thousandth."""
    fine, coarse = (record({**DAY, "duration": "2h", "tick": tick, "training_job": JOB}) for tick in (10, 60))
    energies = [run.truth["pdu_kw"][1:, B].mean(axis=0) for run in (fine, coarse)]
    np.testing.assert_allclose(*energies, rtol=5e-3)
