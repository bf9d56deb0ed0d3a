"""Mean-reverting noise (Ornstein-Uhlenbeck), stepped exactly, so that its law does not depend on the step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.plant import constants as k
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class Component:
    """One noise process: its stationary standard deviation and time constant [s]."""

    name: str
    sd: float
    tau_s: float


LOAD_NOISE = (
    Component("load_slow", k.LOAD_SLOW_VARIANCE**0.5, k.LOAD_SLOW_TAU_S),
    Component("load_fast", (1 - k.LOAD_SLOW_VARIANCE) ** 0.5, k.LOAD_FAST_TAU_S),
)
RACK_NOISE = (
    *LOAD_NOISE,
    Component("airflow_slow", 1.0, k.AIR_SLOW_TAU_S),
    Component("request_size", 1.0, k.REQUEST_SIZE_TAU_S),
    Component("recirculation_slow", k.AIR_SLOW_VARIANCE**0.5, k.AIR_SLOW_TAU_S),
    Component("recirculation_fast", (1 - k.AIR_SLOW_VARIANCE) ** 0.5, k.AIR_FAST_TAU_S),
    Component("turbulence", k.TURBULENCE_K, k.TURBULENCE_TAU_S),
)
SIGNALS = {"load": 2, "airflow": 1, "request_size": 1, "recirculation": 2, "turbulence": 1}
"""What the racks' noise adds up to, each of so many components, in order."""

LOOP_NOISE = (Component("water_slow", k.WATER_SD_K, k.WATER_TAU_S),)


class Noise:
    """Independent processes for `width` assets, all at once: their means over a step and their values at its end.

    x <- x e^(-dt/tau) + sd sqrt(1 - e^(-2 dt/tau)) z, each component drawing z from its own generator. The mean over
    the step is drawn given both ends: w (x0 + x1) + sd sqrt(2 tau/dt (1 - 2 w)) y, w = tau/dt tanh(dt / 2 tau).
    Source: the Ornstein-Uhlenbeck bridge. parts: how many components in turn add up to each signal; one unless given.
    """

    _BLOCK = 128

    def __init__(
        self,
        components: Sequence[Component],
        generators: Sequence[np.random.Generator],
        width: int,
        step_s: float,
        parts: Iterable[int] = (),
    ) -> None:
        self._generators = generators
        self.first_parts = np.cumsum([0, *(parts or (1,) * len(components))])[:-1]
        """Number of the first component of each signal."""
        sd = np.array([c.sd for c in components])[:, None]
        tau = np.array([c.tau_s for c in components])[:, None]
        self._decay = np.exp(-step_s / tau)
        self._kick = sd * np.sqrt(-np.expm1(-2 * step_s / tau))
        self._weight = tau / step_s * np.tanh(step_s / (2 * tau))
        self._bridge = sd * np.sqrt(np.maximum(2 * tau / step_s * (1 - 2 * self._weight), 0.0))
        first = sd * np.array([g.standard_normal(width) for g in generators])
        self.course = np.array([first, first])
        """Their means over the last step and their values now, (2, components, width)."""
        self.signals = np.add.reduceat(self.course, self.first_parts, axis=1)
        """What they add up to, (2, signals, width)."""
        self._draws = np.empty((len(components), self._BLOCK, 2, width))
        self._courses = np.empty((self._BLOCK, 2, len(components), width))
        self._signals = self._courses
        self._next = self._BLOCK

    @property
    def value(self) -> Array:
        """The processes now, (components, width)."""
        values: Array = self.course[1]
        return values

    @property
    def mean(self) -> Array:
        """Their means over the last step, (components, width)."""
        means: Array = self.course[0]
        return means

    def advance(self) -> None:
        """Step every process by one step."""
        if self._next == self._BLOCK:
            self._draw()
            self._next = 0
        self.course, self.signals = self._courses[self._next], self._signals[self._next]
        self._next += 1

    def _draw(self) -> None:
        """Work out the next block of steps; all but the way from value to value in whole arrays."""
        before = value = self.value.copy()
        for draws, generator in zip(self._draws, self._generators, strict=True):
            generator.standard_normal(out=draws)
        drawn = self._draws.transpose(1, 2, 0, 3)
        means, values = self._courses[:, 0], self._courses[:, 1]
        np.multiply(drawn[:, 0], self._kick, out=values)
        for kick in values:
            value = np.add(kick, value * self._decay, out=kick)
        np.add(before, values[0], out=means[0])
        np.add(values[:-1], values[1:], out=means[1:])
        means *= self._weight
        means += drawn[:, 1] * self._bridge
        self._signals = np.add.reduceat(self._courses, self.first_parts, axis=2)
