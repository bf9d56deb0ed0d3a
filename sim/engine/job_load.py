"""What a training job asks of its racks: their load follows what the job is about, whatever their profiles say."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sim.agents.training_job import CRASHED_S, JobState
from sim.engine.blocks import Array
from sim.incidents.active import Occurrence
from sim.model.facility import Indices
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES

NO_JOB = -1
"""State of racks that no job has."""

BUSY = 0.95
"""Of the time while it runs in which a job's GPUs compute; a lower clock lowers its pace almost at once; assumed."""

_OFFERED, _CAPACITY = DRIVER_NAMES.index("offered_tokens_ps"), DRIVER_NAMES.index("capacity")
_INSTEAD = {
    "tokens_per_request": np.inf,  # nobody asks anything of it: no queue, and no latency
    "token_energy": 1.0,
    "offered_tokens_sd": 1.0,  # of what the plant puts in place of noise, so that no demand reaches it
    "request_size_sd": 0.0,
}
"""What holds on a job's racks in place of their profiles' drivers; air and water are their profiles' own."""


class JobLoad:
    """Follows a job and gives its racks' drivers.

    tokens_ps: load of a standard rack by state, (states, racks of the job) [tokens/s].
    """

    def __init__(self, racks: Indices, tokens_ps: Array) -> None:
        self.racks = racks
        self._tokens_ps = tokens_ps
        self._capacity = np.maximum(tokens_ps[JobState.RUNNING], 1.0) / (BUSY * k.CAPACITY_TOKENS_PS)
        self._course: list[tuple[float, JobState]] = [(-np.inf, JobState.RUNNING)]
        self._crashed_s: list[float] = []
        self._rows = np.array([DRIVER_NAMES.index(name) for name in _INSTEAD])
        self._values = np.array(list(_INSTEAD.values()))[:, None]

    def job_enters(self, time_s: float, state: JobState) -> None:
        """Note what the job is about from a time on [s]."""
        self._course.append((time_s, state))
        if state is JobState.CRASHED:
            self._crashed_s.append(time_s)

    def over(self, drivers: Array, from_s: float, until_s: float) -> Array:
        """Return drivers over a span of time and at its end with those of the job's racks, (2, drivers, racks)."""
        self._forget(from_s)
        driven = drivers.copy()
        driven[:, self._rows[:, None], self.racks] = self._values
        driven[:, _CAPACITY, self.racks] = self._capacity
        driven[:, _OFFERED, self.racks] = self._mean(from_s, until_s), self._tokens_ps[self._at(until_s)]
        return driven

    def _at(self, time_s: float) -> JobState:
        """Return what the job is about at a time [s] that is not forgotten."""
        return next(state for since_s, state in reversed(self._course) if since_s <= time_s)

    def _mean(self, from_s: float, until_s: float) -> Array:
        """Return the mean load over a span of time; exact, however short its parts."""
        begins = np.clip([since_s for since_s, _ in self._course], from_s, until_s)
        lasts_s = np.diff([*begins, until_s])
        states = [state for _, state in self._course]
        return np.asarray(lasts_s @ self._tokens_ps[states] / (until_s - from_s))

    def _forget(self, before_s: float) -> None:
        """Forget what ended before a time [s]."""
        while len(self._course) > 1 and self._course[1][0] <= before_s:
            del self._course[0]

    def crashes(self) -> int:
        """Return how often it has crashed by itself since the last call."""
        count, self._crashed_s = len(self._crashed_s), []
        return count

    def states(self, racks: int, time_s: float, occurrences: Iterable[Occurrence]) -> npt.NDArray[np.int8]:
        """Return what the job is about on each rack at a time [s], NO_JOB elsewhere; what crashes it counts too."""
        states = np.full(racks, NO_JOB, dtype=np.int8)
        states[self.racks] = self._at(time_s)
        for o in occurrences:
            if o.incident.kind.whole_job and o.start_s <= time_s < o.over_s:
                crashed = time_s < o.start_s + CRASHED_S
                states[o.incident.racks] = JobState.CRASHED if crashed else JobState.RESTARTING
        return states


def job_tokens_ps(running_kw: Array, checkpoint_part: float, air_share: Array | float) -> Array:
    """Return the load of a job's racks by state, (states, racks): while it checkpoints they draw a part of their power.

    running_kw: of a standard rack, (racks,); air_share: of the air of racks without plates. Once the job has crashed,
    and while it restarts, GPUs idle.
    """
    running, checkpoint = (_tokens_at(kw, air_share) for kw in (running_kw, checkpoint_part * running_kw))
    none = np.zeros_like(running_kw)
    return np.array([running, checkpoint, none, none])


def _tokens_at(rack_kw: Array, air_share: Array | float) -> Array:
    """Return the load at which a standard rack in usual air draws a power [kW]; none where that is below idle."""
    fans_kw = relations.server_fans_kw(air_share * relations.wanted_m3s(rack_kw, np.array(k.SETPOINT_INLET_C)))
    gpu_kw = (rack_kw - k.HOST_IDLE_KW - fans_kw) / (1 + k.HOST_PER_GPU_KW)
    dynamic_kw = gpu_kw / relations.leakage(k.SETPOINT_INLET_C + k.GPU_KELVIN_PER_KW * gpu_kw) - k.GPU_IDLE_KW
    return np.maximum(dynamic_kw / (k.GPU_J_PER_TOKEN / 1000), 0.0)
