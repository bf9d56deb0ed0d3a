"""How far a hall is from its other worlds, channel by channel, at one tick."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim.common.worlds import ACTUAL
from sim.engine.blocks import Array
from sim.engine.channel_values import RELATIONS, true_values
from sim.engine.sensors import Sensors


class Departures:
    """Measures in standard deviations of healthy sensors; channels: measured ones."""

    def __init__(self, sensors: Sensors, size_of_rack: Array, channels: Sequence[str]) -> None:
        self._sensors = sensors
        self._size = size_of_rack
        self._relations = {name: RELATIONS[name] for name in channels}

    def measure(self, fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return how far the actual world is from each, by channel, (worlds or 1, racks) [sigmas]."""
        truth = true_values(self._relations, fields, self._size)
        return {name: self._apart(name, of) for name, of in truth.items()}

    def _apart(self, name: str, truth: Array) -> Array:
        return np.asarray(np.abs(truth - truth[ACTUAL]) / self._sensors.sigma(name, truth))
