"""Mean-reverting noise (Ornstein-Uhlenbeck), stepped exactly, so that its law does not depend on the step."""

from dataclasses import dataclass

import numpy as np

from sim.plant import constants as k


@dataclass(frozen=True, slots=True)
class Component:
    """One noise process: its stationary standard deviation and time constant [s]."""

    name: str
    sd: float
    tau_s: float


RACK_NOISE = (
    Component("load_slow", k.LOAD_SLOW_VARIANCE**0.5, k.LOAD_SLOW_TAU_S),
    Component("load_fast", (1 - k.LOAD_SLOW_VARIANCE) ** 0.5, k.LOAD_FAST_TAU_S),
    Component("recirculation_slow", k.AIR_SLOW_VARIANCE**0.5, k.AIR_SLOW_TAU_S),
    Component("recirculation_fast", (1 - k.AIR_SLOW_VARIANCE) ** 0.5, k.AIR_FAST_TAU_S),
    Component("airflow_slow", 1.0, k.AIR_SLOW_TAU_S),
)
LOOP_NOISE = (Component("water_slow", k.WATER_SD_K, k.WATER_TAU_S),)


class Noise:
    """Independent processes for `width` assets, all at once.

    x <- x e^(-dt/tau) + sd sqrt(1 - e^(-2 dt/tau)) z, each component drawing z from its own generator.
    """

    _BLOCK = 256

    def __init__(
        self, components: tuple[Component, ...], generators: list[np.random.Generator], width: int, step_s: float
    ) -> None:
        self._generators = generators
        sd = np.array([c.sd for c in components])[:, None]
        tau = np.array([c.tau_s for c in components])[:, None]
        self._decay = np.exp(-step_s / tau)
        self._kick = sd * np.sqrt(-np.expm1(-2 * step_s / tau))
        self.value = sd * np.array([g.standard_normal(width) for g in generators])
        """The processes now, (components, width)."""
        self._kicks = np.empty((len(components), self._BLOCK, width))
        self._next = self._BLOCK

    def advance(self) -> None:
        """Step every process by one step."""
        if self._next == self._BLOCK:
            for kicks, generator, kick in zip(self._kicks, self._generators, self._kick, strict=True):
                np.multiply(generator.standard_normal(out=kicks), kick, out=kicks)
            self._next = 0
        self.value *= self._decay
        self.value += self._kicks[:, self._next]
        self._next += 1
