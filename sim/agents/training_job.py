"""A training job: one agent over many racks that runs in step, saves checkpoints, crashes and restarts."""

from enum import IntEnum
from typing import Protocol

import numpy as np
import simpy

from sim.agents.base import Steps, guarded

HOUR_S = 3600.0
CRASHED_S = 60.0
"""From a crash until its scheduler has noticed and begins the restart; assumed."""


class JobState(IntEnum):
    """What a job is about, on all of its racks at once."""

    RUNNING = 0
    CHECKPOINT = 1
    CRASHED = 2
    RESTARTING = 3


class JobObserver(Protocol):
    """Whoever follows a job."""

    def job_enters(self, time_s: float, state: JobState) -> None:
        """Note what the job is about from a time on [s]."""


class TrainingJob:
    """Runs from the start, checkpoints by the clock, and fails as often as its GPUs do: one stops all of them.

    By the clock, so that one that crashed checkpoints again when it would have.
    """

    def __init__(
        self,
        env: simpy.Environment,
        observer: JobObserver,
        rng: np.random.Generator,
        *,
        checkpoint_every_s: float,
        checkpoint_s: float,
        restart_s: float,
        failures_per_h: float,
    ) -> None:
        self._env = env
        self._observer = observer
        self._rng = rng
        self._every_s = checkpoint_every_s
        self._checkpoint_s = checkpoint_s
        self._restart_s = restart_s
        self._failures_per_h = failures_per_h

    def start(self) -> None:
        """Begin to live; it runs already."""
        self._env.process(guarded(self.live(), "training job", self._env))

    def live(self) -> Steps:
        """Work until a GPU fails, crash, restart, and so on."""
        while True:
            fails_s = self._env.now + self._lasts_s()
            yield from self._work(fails_s)
            self._enter(JobState.CRASHED)
            yield self._env.timeout(CRASHED_S)
            self._enter(JobState.RESTARTING)
            yield self._env.timeout(self._restart_s)

    def _work(self, fails_s: float) -> Steps:
        """Run, and checkpoint whenever the clock says so, until a time [s]."""
        while True:
            self._enter(JobState.RUNNING)
            saves_s = (self._env.now // self._every_s + 1) * self._every_s
            for state, until_s in ((JobState.CHECKPOINT, saves_s), (None, saves_s + self._checkpoint_s)):
                yield self._env.timeout(min(until_s, fails_s) - self._env.now)
                if until_s >= fails_s:
                    return
                if state is not None:
                    self._enter(state)

    def _lasts_s(self) -> float:
        """Return how long it works until it fails."""
        drawn = float(self._rng.standard_exponential())
        return drawn / self._failures_per_h * HOUR_S if self._failures_per_h else float("inf")

    def _enter(self, state: JobState) -> None:
        self._observer.job_enters(self._env.now, state)


class _Crashes:
    """Counts a job's crashes."""

    def __init__(self) -> None:
        self.count = 0

    def job_enters(self, _time_s: float, state: JobState) -> None:
        """Count a crash."""
        self.count += state is JobState.CRASHED


def crashes(rng: np.random.Generator, until_s: float, failures_per_h: float, restart_s: float) -> int:
    """Return how often a job by itself crashes until a time [s]."""
    env, counted, daily_s = simpy.Environment(), _Crashes(), 86_400.0
    job = TrainingJob(
        env,
        counted,
        rng,
        checkpoint_every_s=daily_s,
        checkpoint_s=1.0,
        restart_s=restart_s,
        failures_per_h=failures_per_h,
    )
    job.start()
    env.run(until=until_s)
    return counted.count
