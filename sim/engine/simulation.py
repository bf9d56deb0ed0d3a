"""A run: the SimPy clock from 0 to the scenario's end."""

import simpy

from sim.agents.base import guarded
from sim.engine.sampler import Sampler


class Simulation:
    """Runs the processes of a hall over [0, until_s)."""

    def __init__(self, env: simpy.Environment, sampler: Sampler, *, until_s: float) -> None:
        self.env = env
        self._sampler = sampler
        self._until_s = until_s
        env.process(guarded(sampler.live(), "sampler", env))

    def run(self) -> None:
        """Run to the end and hand out everything."""
        self.env.run(until=self._until_s)
        self._sampler.finish()
