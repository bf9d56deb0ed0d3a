"""A training job: what it is about when, and how often it fails."""

import numpy as np
import pytest
import simpy

from sim.agents.training_job import CRASHED_S, JobState, TrainingJob, crashes

R, C, X, S = JobState.RUNNING, JobState.CHECKPOINT, JobState.CRASHED, JobState.RESTARTING


class Log:
    """Writes down what a job enters."""

    def __init__(self):
        self.told = []

    def job_enters(self, time_s, state):
        self.told.append((time_s, state))


class Draws:
    """A generator whose exponential draws are these, in turn."""

    def __init__(self, *draws):
        self._draws = iter(draws)

    def standard_exponential(self):
        return next(self._draws)


def lived(until_s, rng, failures_per_h, every_s=1800.0, checkpoint_s=60.0, restart_s=600.0):
    env, log = simpy.Environment(), Log()
    TrainingJob(
        env,
        log,
        rng,
        checkpoint_every_s=every_s,
        checkpoint_s=checkpoint_s,
        restart_s=restart_s,
        failures_per_h=failures_per_h,
    ).start()
    env.run(until=until_s)
    return log.told


def test_a_job_that_never_fails_checkpoints_by_the_clock():
    told = lived(4000, Draws(1.0), 0.0)
    assert told == [(0, R), (1800, C), (1860, R), (3600, C), (3660, R)]


def test_a_job_that_fails_restarts_and_checkpoints_when_it_would_have():
    told = lived(5000, Draws(0.25, 100.0), 1.0)  # once an hour: it fails after a quarter of one
    assert told == [(0, R), (900, X), (900 + CRASHED_S, S), (1560, R), (1800, C), (1860, R), (3600, C), (3660, R)]


def test_a_job_may_fail_while_it_checkpoints_and_misses_those_while_it_restarts():
    told = lived(3700, Draws(1830 / 3600, 100.0), 1.0, restart_s=1750.0)
    assert told == [(0, R), (1800, C), (1830, X), (1890, S), (3640, R)]


@pytest.mark.parametrize("gpus", [64, 576])
def test_it_fails_once_in_so_many_hours_of_its_gpus_at_work(gpus):
    """Poisson: within 3.5 standard deviations of the hours that it worked, over ten years."""
    per_h = gpus / 50_700
    failures = crashes(np.random.default_rng(5), 10 * 8766 * 3600.0, per_h, restart_s=600.0)
    worked_h = 10 * 8766 - failures * (CRASHED_S + 600) / 3600
    assert abs(failures - per_h * worked_h) <= 3.5 * (per_h * worked_h) ** 0.5
