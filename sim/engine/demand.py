"""Real demand: a request trace replayed as the load inside the profiles."""

import numpy as np

from sim.engine.blocks import Array
from sim.scenario.request_trace import RequestTrace

LIMIT_SD = 2.5
"""Bursts beyond this many deviations are cut off, so that a settled rack stays in its profile's ranges."""

_CONSTANT = 1e-9
"""A spread smaller than this part of the mean is rounding, not demand."""


class TraceDemand:
    """A trace as relative load, tiled over the run; each rack reads it later by its own lag.

    The logarithm of the rate is brought to mean 0 and deviation 1 and cut off at LIMIT_SD, so it takes the place of
    the profile's own load noise and scales with it. What is read is the mean over a step, so that every bin counts
    alike whatever the step, and the mean over the trace stays 0.
    """

    def __init__(self, trace: RequestTrace, lag_of_rack_s: Array, step_s: float) -> None:
        self._level = relative_load(trace.rates_ps)
        self._sum_s = np.concatenate([[0.0], np.cumsum(self._level)]) * trace.bin_s
        self._bin_s = trace.bin_s
        self._lag_s = lag_of_rack_s
        self._step_s = step_s

    def __call__(self, time_s: float) -> Array:
        """Return each rack's mean relative load over the step that ends at a time [s], (racks,), in deviations."""
        until_s = time_s - self._lag_s
        mean: Array = (self._integral(until_s) - self._integral(until_s - self._step_s)) / self._step_s
        return mean

    def _integral(self, time_s: Array) -> Array:
        """Return the level summed from 0 to a time [s], of the trace repeated for ever in both directions."""
        turns, rest_s = np.divmod(time_s, self._bin_s * len(self._level))
        number = np.minimum((rest_s / self._bin_s).astype(np.intp), len(self._level) - 1)
        inside = self._sum_s[number] + self._level[number] * (rest_s - number * self._bin_s)
        return np.asarray(turns * self._sum_s[-1] + inside)


def relative_load(rates_ps: Array) -> Array:
    """Return token rates as load in deviations: mean 0, most within LIMIT_SD; 0 throughout for a constant rate."""
    if np.ptp(rates_ps) <= _CONSTANT * rates_ps.mean():
        return np.zeros_like(rates_ps)
    logs = np.log(np.maximum(rates_ps, 0.05 * rates_ps.mean()))
    level = np.clip((logs - logs.mean()) / logs.std(), -LIMIT_SD, LIMIT_SD)
    return np.asarray(level - level.mean())
