"""Sensors: what is read of the truth, with noise, in units of the last written digit."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.engine.blocks import Array
from sim.engine.channel_values import ANSWERED, DERIVED, Readings, digits
from sim.incidents.sensor_faults import CellIndex
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS, Missing, measured, reading_sigma, within_limits
from sim.model.channels import Sensors as SensorSpec


class Sensors:
    """One sensor per rack and measured channel; the truth is never touched. Worlds share the sensors' noise."""

    def __init__(self, spec: SensorSpec, streams: Streams, channels: Sequence[str] = TELEMETRY_CHANNELS) -> None:
        self._spec = spec
        self.channels = measured(channels)
        self._rng = {name: streams.stream("sensor", name) for name in self.channels}
        self._resolution = {name: spec.resolution.get(name, 0.0) for name in self.channels}
        self._missing = (
            Lost(spec.missing, streams, self.channels) if spec.missing.single + spec.missing.silent else None
        )
        self._noise = {name: spec.noise_scale * spec.noise.get(name, CHANNELS[name].noise) for name in self.channels}
        self._errors: dict[str, Array] = {}
        self._lost: dict[str, npt.NDArray[np.bool_]] = {}

    def read(self, truths: Sequence[Mapping[str, Array]], days: Sequence[int] | None = None) -> list[dict[str, Array]]:
        """Return the disturbed values of a block by measured channel, (ticks, racks), for each world's truth.

        NaN where there is nothing to read. days: of the run, of each tick; all the first unless given.
        """
        values: list[dict[str, Array]] = [{} for _ in truths]
        for name in self.channels:
            noise = self._rng[name].standard_normal(truths[0][name].shape)
            noise *= self._noise[name]
            self._errors[name] = noise
            for world, truth in enumerate(truths):
                values[world][name] = self._reading(name, truth.__getitem__, noise.copy())
        if self._missing:
            self._lost = self._missing.next(truths[0]["inlet_c"].shape, days)
            for name, cells in self._lost.items():
                for of_world in values:
                    of_world[name][cells] = np.nan
        return values

    def reread(self, name: str, truth: Callable[[str], Array], cells: CellIndex) -> Array:
        """Return what was read last of a channel in some cells, had this been the truth: the noise is the same.

        truth: called with a channel's name, of the cells.
        """
        value = self._reading(name, truth, self._errors[name][cells])
        if self._lost:
            value[self._lost[name][cells]] = np.nan
        return value

    def _reading(self, name: str, truth: Callable[[str], Array], error: Array) -> Array:
        """Return a truth with an error, which is overwritten, as the sensor shows it."""
        value = self._disturbed(name, truth(name), error)
        if self._resolution[name]:
            np.rint(value / self._resolution[name], out=value)
            value *= self._resolution[name]
        if name in ANSWERED:
            value[np.minimum(truth(ANSWERED[name]), truth(name)) <= 0] = np.nan
        return value

    def sigma(self, name: str, truth: Array) -> Array:
        """Return the standard deviation of a healthy reading, its rounding included, like `truth` [channel's unit]."""
        return reading_sigma(self._spec, name, truth)

    @staticmethod
    def _disturbed(name: str, truth: Array, error: Array) -> Array:
        if CHANNELS[name].noise_kind == "relative":
            error += 1.0
            error *= truth
        else:
            error += truth
        return within_limits(name, error)


class Lost:
    """Samples that never arrive: single ones, and racks that say nothing for a day; the same in both worlds."""

    def __init__(self, spec: Missing, streams: Streams, channels: Sequence[str]) -> None:
        self._spec = spec
        self._single = {name: streams.stream("missing", name) for name in channels}
        self._silent = streams.stream("missing", "silent")
        self._by_day: list[npt.NDArray[np.bool_]] = []

    def next(self, shape: tuple[int, ...], days: Sequence[int] | None) -> dict[str, npt.NDArray[np.bool_]]:
        """Return which samples of the next ticks are lost, by channel, (ticks, racks)."""
        ticks, racks = shape
        of_tick = list(days) if days is not None else [0] * ticks
        while len(self._by_day) <= max(of_tick):
            self._by_day.append(self._silent.random(racks) < self._spec.silent)
        silent = np.array([self._by_day[day] for day in of_tick])
        return {name: silent | (rng.random(shape) < self._spec.single) for name, rng in self._single.items()}


def rounded(values: Mapping[str, Array], tick_s: float, channels: Sequence[str] = TELEMETRY_CHANNELS) -> Readings:
    """Return readings by channel in the order of the columns, MISSING where a value is NaN."""
    readings = {name: digits(name, value) for name, value in values.items()}
    readings |= {name: DERIVED[name](values, readings, tick_s) for name in channels if name in DERIVED}
    return {name: readings[name] for name in channels}
