"""Real demand: a request trace replayed as the load inside the profiles."""

import numpy as np

from sim.engine.blocks import Array
from sim.scenario.request_trace import RequestTrace

LIMIT_SD = 2.5
"""Bursts beyond this many deviations are cut off, so that a settled rack stays in its profile's ranges."""

_CONSTANT = 1e-9
"""A spread smaller than this part of the mean is rounding, not demand."""


class TraceDemand:
    """A trace as relative load over the run; each rack reads it later by its own lag.

    The logarithm of the rate is brought to mean 0 and deviation 1 and cut off at LIMIT_SD, so it takes the place of
    the profile's own load noise and scales with it; or the rate is read as it is, against its mean (by_rate). What is
    read is the mean over a step, so that every bin counts alike whatever the step. The trace is repeated for ever, each
    time from its beginning or from a place that is drawn, so that a hall is not periodic.
    """

    def __init__(
        self,
        trace: RequestTrace,
        lag_of_rack_s: Array,
        step_s: float,
        *,
        by_rate: bool = False,
        places: np.random.Generator | None = None,
    ) -> None:
        self.by_rate = by_rate
        self._level = trace.rates_ps / trace.rates_ps.mean() - 1 if by_rate else relative_load(trace.rates_ps)
        self._sum_s = np.concatenate([[0.0], np.cumsum(self._level)]) * trace.bin_s
        self._bin_s = trace.bin_s
        self._lag_s = lag_of_rack_s
        self._step_s = step_s
        self._places = places
        self._begins = [0.0]  # where each turn begins in the trace [s]

    def __call__(self, time_s: float) -> Array:
        """Return each rack's mean relative load over the step that ends at a time [s], (racks,).

        In deviations, or by rate as a part of the mean that comes on top.
        """
        until_s = time_s - self._lag_s
        mean: Array = (self._integral(until_s) - self._integral(until_s - self._step_s)) / self._step_s
        return mean

    def _integral(self, time_s: Array) -> Array:
        """Return the level summed from 0 to a time [s], over the trace's turns in both directions."""
        turns, rest_s = np.divmod(time_s, self._bin_s * len(self._level))
        whole = turns * self._sum_s[-1]
        if self._places is None:
            return np.asarray(whole + self._inside(rest_s))
        begins = np.array([self._begin(int(turn)) for turn in turns.tolist()])
        return np.asarray(whole + self._around(begins + rest_s) - self._around(begins))

    def _begin(self, turn: int) -> float:
        """Return where a turn begins in the trace [s]; the first and all before it at its beginning."""
        while self._places is not None and len(self._begins) <= turn:
            self._begins.append(float(self._places.uniform(0, self._bin_s * len(self._level))))
        return self._begins[max(turn, 0)]

    def _around(self, time_s: Array) -> Array:
        turns, rest_s = np.divmod(time_s, self._bin_s * len(self._level))
        return np.asarray(turns * self._sum_s[-1] + self._inside(rest_s))

    def _inside(self, rest_s: Array) -> Array:
        number = np.minimum((rest_s / self._bin_s).astype(np.intp), len(self._level) - 1)
        return np.asarray(self._sum_s[number] + self._level[number] * (rest_s - number * self._bin_s))


SIZE_SIGMA = 0.5
"""Of the log-normal law of bursts' sizes; assumed."""

DAY_S = 86_400.0


class Surges:
    """Bursts of demand of a whole hall: they begin at random, last exponentially long, and add log-normal parts."""

    def __init__(self, per_day: float, size: float, duration_s: float, run_s: float, rng: np.random.Generator) -> None:
        count = int(rng.poisson(per_day * run_s / DAY_S))
        self._begin_s = rng.uniform(0, run_s, count)
        self._end_s = self._begin_s + rng.exponential(duration_s, count)
        self._size = size * np.exp(SIZE_SIGMA * rng.standard_normal(count))

    def mean(self, from_s: float, until_s: float) -> float:
        """Return what they make of the load on average over a span of time, 1 without any."""
        overlap_s = np.minimum(self._end_s, until_s) - np.maximum(self._begin_s, from_s)
        return 1.0 + float((np.maximum(overlap_s, 0.0) * self._size).sum()) / (until_s - from_s)


def relative_load(rates_ps: Array) -> Array:
    """Return token rates as load in deviations: mean 0, most within LIMIT_SD; 0 throughout for a constant rate."""
    if np.ptp(rates_ps) <= _CONSTANT * rates_ps.mean():
        return np.zeros_like(rates_ps)
    logs = np.log(np.maximum(rates_ps, 0.05 * rates_ps.mean()))
    level = np.clip((logs - logs.mean()) / logs.std(), -LIMIT_SD, LIMIT_SD)
    return np.asarray(level - level.mean())
