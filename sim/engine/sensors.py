"""Sensors: what is read of the truth, with noise, in units of the last written digit."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim.common.streams import Streams
from sim.engine.blocks import Array, Integers
from sim.model.channels import CHANNELS, MEASURED, MISSING, within_limits
from sim.model.channels import Sensors as SensorSpec

Readings = dict[str, Integers]


class Sensors:
    """One sensor per rack and measured channel; the truth is never touched. Worlds share the sensors' noise."""

    def __init__(self, spec: SensorSpec, streams: Streams) -> None:
        self._rng = {name: streams.stream("sensor", name) for name in MEASURED}
        self._noise = {name: spec.noise_scale * spec.noise.get(name, CHANNELS[name].noise) for name in MEASURED}

    def read(self, truths: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """Return the disturbed values of a block by measured channel, (ticks, racks), for each world's truth."""
        values: list[dict[str, Array]] = [{} for _ in truths]
        for name in MEASURED:
            noise = self._rng[name].standard_normal(truths[0][name].shape)
            noise *= self._noise[name]
            for world, truth in enumerate(truths):
                error = noise if world == len(truths) - 1 else noise.copy()
                values[world][name] = self._disturbed(name, truth[name], error)
        return values

    def sigma(self, name: str, truth: Array) -> Array:
        """Return the standard deviation of a healthy reading, its rounding included, like `truth` [channel's unit]."""
        scale = np.abs(truth) if CHANNELS[name].noise_kind == "relative" else 1.0
        rounding = 10.0 ** -CHANNELS[name].decimals / 12**0.5
        return np.asarray(np.hypot(self._noise[name] * scale, rounding))

    @staticmethod
    def _disturbed(name: str, truth: Array, error: Array) -> Array:
        if CHANNELS[name].noise_kind == "relative":
            error += 1.0
            error *= truth
        else:
            error += truth
        return within_limits(name, error)


def rounded(values: Mapping[str, Array], tick_s: float) -> Readings:
    """Return readings by channel in the order of the columns, MISSING where a value is NaN.

    gpu_energy_j is taken from the GPU power reading before it is rounded; delta_t from the rounded temperatures.
    """
    readings = {name: _rounded(value, CHANNELS[name].decimals) for name, value in values.items()}
    joules = values["gpu_power_kw"] * (1000 * tick_s)
    readings["gpu_energy_j"] = _rounded(joules, CHANNELS["gpu_energy_j"].decimals)
    lost = (readings["outlet_c"] == MISSING) | (readings["inlet_c"] == MISSING)
    readings["delta_t"] = np.where(lost, MISSING, readings["outlet_c"] - readings["inlet_c"])
    return {name: readings[name] for name in CHANNELS}


def _rounded(value: Array, decimals: int) -> Integers:
    scaled = value * 10.0**decimals
    np.rint(scaled, out=scaled)
    lost = np.isnan(scaled)
    if not lost.any():
        return scaled.astype(np.int64)
    scaled[lost] = 0.0
    return np.where(lost, MISSING, scaled.astype(np.int64))
