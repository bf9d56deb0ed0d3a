"""How large a profile's noise is: as large as its narrowest channel allows, so that ranges are filled and kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.model.channels import CHANNELS
from sim.model.profiles import PROFILE_CHANNELS, Profile, Range
from sim.plant import constants as k
from sim.plant.drivers import DRIVER_NAMES, Drivers
from sim.plant.relations import Array
from sim.plant.steady_state import BoundaryConditions, steady_state

IN_RANGE_SD = 2.0
"""How many standard deviations lie between a channel's mean and the nearer end: 95 % of a normal signal stay inside."""

LEAVES_ROOM_SD = 2.1
"""The same for recirculation, which comes before airflow and would leave it nothing."""

SKEWED_SD = 2.3
"""The same for latency, whose queueing lends it a longer tail above than a normal signal has."""

FULL_SPEED_PCT = 100.0

_NOISE = {"offered_tokens_ps": "offered_tokens_sd", "recirculation": "recirculation_sd", "airflow": "airflow_sd"}
_LIMIT = {"offered_tokens_ps": 0.12, "recirculation": 0.06, "airflow": 0.05}
_RELATIVE = ("offered_tokens_ps", "airflow", "token_energy")
REQUEST_SIZE_LIMIT = 0.12
"""Latency at one load differs by 10 to 15 % with the mix of requests; assumed in between."""
_ALWAYS = 0.2
"""The part of a channel's deviation that each noise may add even where the others have taken all of it."""

_OTHERS_SD = {
    "recirculation": k.PLACE_RECIRCULATION_SD,
    "coil": k.COIL_SD,
    "water_c": k.WATER_SD_K,
    "token_energy": k.ENERGY_SD,
}
"""What moves the channels besides a profile's own noise: the racks' places and the loop's water."""

_STEPS = {
    "offered_tokens_ps": 0.06,
    "recirculation": 0.03,
    "airflow": 0.025,
    "coil": 0.1,
    "water_c": 0.2,
    "token_energy": 0.05,
}
_CASES = [(name, sign * step) for name, step in _STEPS.items() for sign in (-1, 0, 1)]


@dataclass(frozen=True, slots=True)
class _Sensitivity:
    """How the channels' steady states answer to one driver, each (channels, profiles).

    slope: per unit, the steeper way of the two. bend: half the second difference, by which noise of unit deviation
    moves the mean: a channel whose steady state is convex lies above it on average.
    """

    slope: Array
    bend: Array


@dataclass(frozen=True, slots=True)
class _Moments:
    """How far the channels' mean lies off their aim and their variance around it, each (channels, profiles)."""

    shift: Array
    variance: Array

    def plus(self, sensitivity: _Sensitivity, sd: Array) -> "_Moments":
        """Return the moments with one more independent noise."""
        return _Moments(self.shift + sensitivity.bend * sd**2, self.variance + (sensitivity.slope * sd) ** 2)


@dataclass(frozen=True, slots=True)
class _Margin:
    """How far channels may lie below and above their aims, each (channels, profiles).

    It is infinite where a profile leaves a channel out, and above a speed whose range ends at 100 %.
    """

    below: Array
    above: Array

    @classmethod
    def of(cls, profiles: Sequence[Profile]) -> "_Margin":
        """Return the margin that profiles' ranges leave."""
        ranges = [[profile.ranges.get(channel) for profile in profiles] for channel in PROFILE_CHANNELS]
        below = [[np.inf if r is None else r.typical - r.low for r in of_channel] for of_channel in ranges]
        above = [
            [np.inf if r is None or _saturates(channel, r) else r.high - r.typical for r in of_channel]
            for channel, of_channel in zip(PROFILE_CHANNELS, ranges, strict=True)
        ]
        return cls(np.array(below), np.array(above))

    def holds(self, moments: _Moments, sds: float = IN_RANGE_SD) -> npt.NDArray[np.bool_]:
        """Return in which channels the mean and so many deviations stay inside, (channels, profiles)."""
        reach = sds * np.sqrt(moments.variance)
        return np.asarray((reach - moments.shift <= self.below) & (reach + moments.shift <= self.above))

    @property
    def half_width(self) -> Array:
        """The room on the nearer side."""
        return np.asarray(np.minimum(self.below, self.above))


def _saturates(channel: str, r: Range) -> bool:
    return channel.endswith("_pct") and r.high >= FULL_SPEED_PCT


def size_noise(profiles: Sequence[Profile], d: Drivers, place: BoundaryConditions) -> Drivers:
    """Return drivers with noise as large as each profile's narrowest channels allow, up to a limit.

    Load noise is sized first; what it, the racks' places and the water leave of the channels' room is filled by
    recirculation, then by airflow, and last, in latency alone, by the mix of requests.
    """
    margin = _Margin.of(profiles)
    sensitivities = _sensitivities(d, place)
    moments = _Moments(np.zeros_like(margin.below), np.zeros_like(margin.below))
    settled = steady_state(d, place)
    moments.variance[:] = [_sensor_sd(channel, settled[channel]) ** 2 for channel in PROFILE_CHANNELS]
    moments.variance[PROFILE_CHANNELS.index("outlet_c")] += k.TURBULENCE_K**2
    for name, sd in _OTHERS_SD.items():
        moments = moments.plus(sensitivities[name], np.full_like(d.airflow, sd))
    for name, field in _NOISE.items():
        limit = np.full_like(d.airflow, _LIMIT[name])
        if name == "recirculation":  # it cannot fall below none
            limit = np.minimum(limit, 0.4 * d.recirculation + 0.01)
        size = _largest(
            moments, sensitivities[name], margin, limit, LEAVES_ROOM_SD if name == "recirculation" else IN_RANGE_SD
        )
        moments = moments.plus(sensitivities[name], size)
        d = replace(d, **{field: size})
    latency = PROFILE_CHANNELS.index("latency_p95_ms")
    slope = np.zeros_like(margin.below)
    slope[latency] = settled["latency_p95_ms"]  # a request of twice the size takes twice as long
    limit = np.full_like(d.airflow, REQUEST_SIZE_LIMIT)
    size = _largest(moments, _Sensitivity(slope, np.zeros_like(slope)), margin, limit, SKEWED_SD)
    return replace(d, request_size_sd=size)


def _sensor_sd(channel: str, value: Array) -> Array:
    """Return how far a channel's readings scatter around its value, (profiles,)."""
    noise = CHANNELS[channel].noise
    return noise * value if CHANNELS[channel].noise_kind == "relative" else np.full_like(value, noise)


def _largest(
    moments: _Moments, sensitivity: _Sensitivity, margin: _Margin, limit: Array, sds: float = IN_RANGE_SD
) -> Array:
    """Return how much of one more noise there is room for, (profiles,), by bisection."""
    low, high = np.zeros_like(limit), limit
    for _ in range(40):
        middle = (low + high) / 2
        little = sensitivity.slope * middle <= _ALWAYS * margin.half_width / IN_RANGE_SD
        fits = (little | margin.holds(moments.plus(sensitivity, middle), sds)).all(axis=0)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.asarray(low)


def _sensitivities(d: Drivers, place: BoundaryConditions) -> dict[str, _Sensitivity]:
    """Return how the channels answer to each driver, from halls that are settled in one call, side by side.

    Steps are as large as noise gets, so that throttling and queueing near the edge count.
    """
    ones = np.ones_like(d.airflow)
    moved = {name: _moved(name, getattr(d, name)) for name in DRIVER_NAMES}
    moved_place = replace(place, water_c=_moved("water_c", place.water_c * ones))
    settled = steady_state(Drivers(**moved), moved_place, _moved("coil", ones))
    channels = np.array([np.split(settled[c], len(_CASES)) for c in PROFILE_CHANNELS])
    sensitivities = {}
    for i, (name, step) in enumerate(_STEPS.items()):
        down, still, up = (channels[:, 3 * i + j] for j in range(3))
        slope = np.maximum(np.abs(down - still), np.abs(up - still)) / step
        sensitivities[name] = _Sensitivity(slope, (down + up - 2 * still) / (2 * step**2))
    return sensitivities


def _moved(name: str, value: Array) -> Array:
    """Return a driver in all cases, (cases x profiles,): as it is but where it is the one that moves."""
    unit = value if name in _RELATIVE else np.ones_like(value)
    return np.concatenate([np.maximum(value + step * unit, 0.0) if who == name else value for who, step in _CASES])
