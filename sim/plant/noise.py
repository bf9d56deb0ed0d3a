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

BLOCK_STEPS, BLOCK_VALUES = 64, 65_536
"""Steps that are drawn at once, at most; and steps times assets, so that memory does not grow with the hall."""


def block_steps(width: int) -> int:
    """Return how many steps are drawn at once for so many assets."""
    return max(1, min(BLOCK_STEPS, BLOCK_VALUES // width))


class Noise:
    """Independent processes for `width` assets, all at once: their means over a step and their values at its end.

    x <- x e^(-dt/tau) + sd sqrt(1 - e^(-2 dt/tau)) z, each component drawing z from its own generator. The mean over
    the step is drawn given both ends: w (x0 + x1) + sd sqrt(2 tau/dt (1 - 2 w)) y, w = tau/dt tanh(dt / 2 tau).
    Source: the Ornstein-Uhlenbeck bridge. parts: how many components in turn add up to each signal; one unless given.
    common: noise of one asset that all assets' first signal takes up, with as many steps in a block. block: steps that
    are drawn at once, by the width unless given; no draw depends on it.
    """

    def __init__(
        self,
        components: Sequence[Component],
        generators: Sequence[np.random.Generator],
        width: int,
        step_s: float,
        parts: Iterable[int] = (),
        common: "Noise | None" = None,
        block: int | None = None,
    ) -> None:
        self._generators = generators
        self.parts = tuple(parts) or (1,) * len(components)
        self._common = common
        sd = np.array([c.sd for c in components])[:, None]
        tau = np.array([c.tau_s for c in components])[:, None]
        self._decay = np.exp(-step_s / tau)
        self._kick = sd * np.sqrt(-np.expm1(-2 * step_s / tau))
        self._weight = tau / step_s * np.tanh(step_s / (2 * tau))
        self._bridge = sd * np.sqrt(np.maximum(2 * tau / step_s * (1 - 2 * self._weight), 0.0))
        self._last = sd * np.array([g.standard_normal(width) for g in generators])
        self.course = np.array([self._last, self._last])
        """Their means over the last step and their values now, (2, components, width)."""
        self.signals = np.empty((2, len(self.parts), width))
        """What they add up to, (2, signals, width)."""
        _add_up(self.parts, self.course, self.signals)
        if common:
            self.signals[:, 0] += common.signals[:, 0]
        steps = block or block_steps(width)
        self._draws = np.empty((len(components), steps, 2, width))
        self._courses = np.empty((steps, 2, len(components), width))
        self._signals = np.empty((steps, 2, len(self.parts), width))
        self._next = steps

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
        if self._next == len(self._courses):
            self.draw_block()
            self._next = 0
        self.course, self.signals = self._courses[self._next], self._signals[self._next]
        self._next += 1

    def draw_block(self) -> Array:
        """Return the signals of the next block of steps, (steps, 2, signals, width); one array for all blocks.

        All but the way from value to value is worked out in whole arrays.
        """
        before = value = self._last
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
        self._last = values[-1].copy()
        _add_up(self.parts, self._courses, self._signals)
        if self._common:
            self._signals[:, :, 0] += self._common.draw_block()[:, :, 0]
        return self._signals


def _add_up(parts: Sequence[int], courses: Array, signals: Array) -> None:
    """Write into signals, (.., signals, width), the sums of so many components in turn, (.., components, width)."""
    components = iter(range(courses.shape[-2]))
    for i, of_signal in enumerate(parts):
        signals[..., i, :] = courses[..., next(components), :]
        for _ in range(1, of_signal):
            signals[..., i, :] += courses[..., next(components), :]
