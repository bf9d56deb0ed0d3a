"""Real demand: a request trace replayed as the load inside the profiles."""

import numpy as np

from sim.engine.blocks import Array
from sim.scenario.request_trace import RequestTrace

LIMIT_SD = 2.5
"""Bursts beyond this many deviations are cut off, so that a settled rack dwell in its profile's ranges."""


class TraceDemand:
    """A trace as relative load, tiled over the run; each rack reads it later by its own lag.

    The logarithm of the rate is brought to mean 0 and deviation 1 and cut off at LIMIT_SD, so it takes the place of
    the profile's own load noise and scales with it.
    """

    def __init__(self, trace: RequestTrace, lag_of_rack_s: Array) -> None:
        rates = np.log(np.maximum(trace.rates_ps, 0.05 * trace.rates_ps.mean()))
        spread = rates.std()
        self._level = np.clip((rates - rates.mean()) / (spread if spread > 0 else 1.0), -LIMIT_SD, LIMIT_SD)
        self._bin_s = trace.bin_s
        self._lag_s = lag_of_rack_s

    def __call__(self, time_s: float) -> Array:
        """Return each rack's relative load at a time [s], (racks,), in deviations."""
        bins = np.floor_divide(time_s - self._lag_s, self._bin_s).astype(np.intp)
        level: Array = self._level[bins % len(self._level)]
        return level
