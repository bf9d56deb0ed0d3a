"""What a profile drives, and how a rack's drivers follow the profile that it is in."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from sim.model.facility import Indices
from sim.plant import constants as k
from sim.plant.gains import gain, step_gains
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class Drivers:
    """The inputs of a rack's physics that its profile sets, each (profiles,); the channels follow from them.

    Ratios are 1 for a reference rack. Those that noise scales come first, in the order of their deviations, then that
    which it is added to. `recirculation` is the part of its own exhaust that a rack breathes, a bias is
    what a controller asks for beyond its law [%]. The `_sd` fields size the mean-reverting noise: relative for load,
    airflow and the size of requests, absolute for recirculation.
    """

    offered_tokens_ps: Array
    airflow: Array
    tokens_per_request: Array
    recirculation: Array
    token_energy: Array
    capacity: Array
    fan_bias_pct: Array
    pump_bias_pct: Array
    offered_tokens_sd: Array
    airflow_sd: Array
    request_size_sd: Array
    recirculation_sd: Array

    def table(self) -> Array:
        """Return all drivers as one array, (drivers, profiles), in the order of DRIVER_NAMES."""
        return np.array([getattr(self, name) for name in DRIVER_NAMES])


MEAN, END = 0, 1
"""Of what moves during a step: its mean over it, and as it stands at its end."""

DRIVER_NAMES: tuple[str, ...] = tuple(f.name for f in fields(Drivers))


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A rack enters a profile at a time [s]; profiles and racks by index."""

    time_s: float
    rack: int
    old: int
    new: int


class DriverLag:
    """Drivers of every rack, behind those of its profile by a first-order lag, exact at the instant of a change.

    table: of the profiles, (drivers, profiles). target: of each rack's profile, (drivers, racks). course: means over
    the last step and as they stand, (2, drivers, racks), settled at first.
    """

    def __init__(self, drivers: Drivers, profile_of_rack: Indices) -> None:
        self.table = drivers.table()
        self.target = self.table[:, profile_of_rack]
        self.course = np.array([self.target, self.target])

    @property
    def now(self) -> Array:
        """Drivers as they stand, (drivers, racks)."""
        now: Array = self.course[1]
        return now

    def advance(self, dt_s: float, time_s: float, changes: Sequence[ProfileChange]) -> None:
        """Move by a step that ends at a time [s]. `changes` are those of the step, in order of time."""
        way, gains = self.target - self.now, step_gains(dt_s)
        self.course = self.now + way * gains.driver_course
        if changes:
            self._enter_profiles(dt_s, time_s, changes)

    def _enter_profiles(self, dt_s: float, time_s: float, changes: Sequence[ProfileChange]) -> None:
        """Add what each change adds from its own instant on; the lag is linear, so the split is exact."""
        for change in changes:  # a rack may have several in one step; of those the last one stands
            left_s = time_s - change.time_s
            gone = gain(left_s, k.DRIVER_TAU_S)
            way = self.table[:, change.new] - self.table[:, change.old]
            self.course[MEAN, :, change.rack] += way * ((left_s - k.DRIVER_TAU_S * gone) / dt_s)
            self.course[END, :, change.rack] += way * gone
            self.target[:, change.rack] = self.table[:, change.new]
