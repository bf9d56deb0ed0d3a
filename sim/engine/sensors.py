"""Sensors: what is read of the truth, with noise, in units of the last written digit."""

from collections.abc import Mapping

import numpy as np

from sim.domain.channels import CHANNELS, MEASURED
from sim.domain.scenario import Sensors as SensorSpec
from sim.domain.streams import Streams
from sim.engine.blocks import Array, Integers


class Sensors:
    """One sensor per rack and measured channel; the truth is never touched."""

    def __init__(self, spec: SensorSpec, streams: Streams) -> None:
        self._rng = {name: streams.stream("sensor", name) for name in MEASURED}
        self._noise = {name: spec.noise_scale * spec.noise.get(name, CHANNELS[name].noise) for name in MEASURED}

    def read(self, truth: Mapping[str, Array], tick_s: float) -> dict[str, Integers]:
        """Return the readings of a block by channel, (ticks, racks), in the order of the columns.

        gpu_energy_j is taken from the GPU power reading before it is rounded; delta_t from the rounded temperatures.
        """
        readings = {}
        for name in MEASURED:
            value = self._disturbed(name, truth[name])
            readings[name] = _rounded(value, CHANNELS[name].decimals)
            if name == "gpu_power_kw":
                readings["gpu_energy_j"] = _rounded(value * (1000 * tick_s), CHANNELS["gpu_energy_j"].decimals)
        readings["delta_t"] = readings["outlet_c"] - readings["inlet_c"]
        return {name: readings[name] for name in CHANNELS}

    def _disturbed(self, name: str, truth: Array) -> Array:
        error = self._rng[name].standard_normal(truth.shape)
        error *= self._noise[name]
        if CHANNELS[name].noise_kind == "relative":
            error += 1.0
            error *= truth
        else:
            error += truth
        if not name.endswith("_c"):  # only temperatures can be negative
            np.maximum(error, 0.0, out=error)
        if name.endswith("_pct"):
            np.minimum(error, 100.0, out=error)
        return error


def _rounded(value: Array, decimals: int) -> Integers:
    scaled = value * 10.0**decimals
    return np.rint(scaled, out=scaled).astype(np.int64)
