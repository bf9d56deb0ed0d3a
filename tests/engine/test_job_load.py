"""What a training job asks of its racks: exact means over any step, and nothing of the others."""

import numpy as np
import pytest

from sim.agents.training_job import JobState
from sim.engine.job_load import NO_JOB, JobLoad, job_tokens_ps
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES

OFFERED = DRIVER_NAMES.index("offered_tokens_ps")
RACKS = np.array([1, 3])
TOKENS_PS = np.array([[9000.0, 8000.0], [3000.0, 2000.0], [0.0, 0.0], [0.0, 0.0]])


def load(*course):
    job = JobLoad(RACKS, TOKENS_PS)
    for time_s, state in course:
        job.job_enters(time_s, state)
    return job


def offered(job, from_s, until_s):
    drivers = np.full((2, len(DRIVER_NAMES), 4), 7.0)
    driven = job.over(drivers, from_s, until_s)
    assert (driven[:, :, [0, 2]] == 7.0).all()
    assert (drivers == 7.0).all()
    return driven[:, OFFERED, RACKS]


def test_the_mean_over_a_step_counts_each_state_for_as_long_as_it_lasts():
    job = load((1800, JobState.CHECKPOINT), (1815, JobState.RUNNING))
    mean, end = offered(job, 1780, 1840)
    np.testing.assert_allclose(mean, (45 * TOKENS_PS[0] + 15 * TOKENS_PS[1]) / 60, rtol=1e-12)
    assert end.tolist() == TOKENS_PS[0].tolist()


def test_steps_of_one_tick_see_only_what_is_theirs_though_the_whole_tick_is_known():
    job = load((1800, JobState.CHECKPOINT), (1815, JobState.RUNNING))
    seen = [offered(job, from_s, from_s + 10) for from_s in (1780, 1790, 1800, 1810)]
    assert [of[1].tolist() == TOKENS_PS[0].tolist() for of in seen] == [True, False, False, True]
    np.testing.assert_allclose(seen[0][0], TOKENS_PS[0])
    np.testing.assert_allclose(seen[2][0], TOKENS_PS[1])
    np.testing.assert_allclose(seen[3][0], (TOKENS_PS[0] + TOKENS_PS[1]) / 2)


def test_states_are_told_of_the_jobs_racks_only():
    job = load((60, JobState.CRASHED))
    assert job.states(4, 59.0, ()).tolist() == [NO_JOB, JobState.RUNNING, NO_JOB, JobState.RUNNING]
    assert job.states(4, 60.0, ()).tolist() == [NO_JOB, JobState.CRASHED, NO_JOB, JobState.CRASHED]


@pytest.mark.parametrize("kw", [6.0, 9.9])
def test_racks_draw_the_power_that_their_load_was_solved_for(kw):
    """The relations of the plant, the other way round."""
    tokens_ps = job_tokens_ps(np.array([kw]), 0.5, 1.0)[0]
    air = relations.wanted_m3s(np.array(kw), np.array(k.SETPOINT_INLET_C))
    gpu_kw = relations.settled_gpu_kw(tokens_ps, np.array(1.0), np.array(k.SETPOINT_INLET_C))
    np.testing.assert_allclose(relations.rack_kw(gpu_kw, air), kw, rtol=1e-9)


def test_less_than_idle_power_is_no_load():
    assert (job_tokens_ps(np.array([8.0]), 0.05, 1.0)[1:] == 0).all()
