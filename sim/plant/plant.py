"""The plant of a run: it keeps time, noise, demand and the racks' drivers, and steps the state with them.

Demand, where it is given, is what replaces or adds to the noise of the load.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.incidents.kinds import FaultEffect, LoadTransfer
from sim.model.facility import Facility, Indices
from sim.plant.condition import effective_drivers, is_saturated
from sim.plant.drivers import DRIVER_NAMES, DriverLag, Drivers, ProfileChange
from sim.plant.health import Health, condition
from sim.plant.noise import LOAD_NOISE, LOOP_NOISE, RACK_NOISE, SIGNALS, Component, Noise, block_steps
from sim.plant.params import PlantParams, plant_params
from sim.plant.relations import Array
from sim.plant.state import Inputs, PlantState, first_state, of_worlds, with_warm_walls
from sim.plant.step import step

MAX_STEP_S = 60.0

SPIN_UP_S = 3600.0
"""Time given to the physics to settle in the first profiles before the run starts; the noise stands still."""


class Demand(Protocol):
    """What takes the place of the load's own noise; by rate, as parts of the load, else in the profile's deviations."""

    @property
    def by_rate(self) -> bool:
        """Whether it is in parts of the load."""

    def __call__(self, time_s: float) -> Array:
        """Return the mean over the step that ends at a time [s], (racks,)."""


class Job(Protocol):
    """What drives some racks in place of their profiles."""

    @property
    def racks(self) -> Indices:
        """Indices of those racks."""

    def over(self, drivers: Array, from_s: float, until_s: float) -> Array:
        """Return drivers of a span of time, mean and end, with those of its racks in them, (2, drivers, racks)."""


class Surges(Protocol):
    """Bursts of demand."""

    def mean(self, from_s: float, until_s: float) -> float:
        """Return what they make of the load on average over a span of time, 1 without any."""


class Plant:
    """All racks and loops of a hall between two instants. Built settled in the racks' first profiles.

    Worlds share their draws, so a difference between two of them has a cause.
    """

    def __init__(
        self,
        facility: Facility,
        drivers: Drivers,
        profile_of_rack: Indices,
        water_setpoint_c: float,
        step_s: float,
        streams: Streams,
        *,
        chiller_capacity_kw: float | None = None,
        demand: Demand | None = None,
        surges: Surges | None = None,
        job: Job | None = None,
        common: float = 0.0,
        worlds: int = 1,
    ) -> None:
        """Make a hall of `worlds` worlds that stands settled in its racks' first profiles, all healthy.

        common: part of the variance of the load's noise that all racks share. demand: takes that noise's place; surges:
        bursts of demand. job: drives some racks in place of profiles and demand.
        """
        if not 0 < step_s <= MAX_STEP_S:
            raise ValueError(f"a step of {step_s} s is outside 0..{MAX_STEP_S:g} s")
        racks, loops = len(facility.racks), len(facility.loops)
        self.time_s = 0.0
        self.step_s = step_s
        self.params = plant_params(facility, water_setpoint_c, streams, chiller_capacity_kw)
        self.drivers = DriverLag(drivers, profile_of_rack)
        self.rack_noise = _noise(
            _part_of(RACK_NOISE, 1 - common),
            racks,
            step_s,
            streams,
            parts=SIGNALS.values(),
            common=_common_noise(common, racks, step_s, streams) if common else None,
        )
        self.loop_noise = _noise(LOOP_NOISE, loops, step_s, streams)
        self._surges = surges
        self._job = job
        self._demand = demand
        self.health = Health(worlds, racks, loops)
        self.apply(())
        self.state = _settled(self.params, first_state(self.params, worlds, step_s), self._inputs(), step_s)

    def driver(self, name: str) -> Array:
        """Return a driver as it stands, with what incidents make of it, (worlds or 1, racks)."""
        now: Array = effective_drivers(self.drivers.course, self.condition)[1, DRIVER_NAMES.index(name)]
        return now

    @property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Whether the chiller plant cannot hold its setpoint, so that loops warm each other, (worlds,)."""
        return is_saturated(self.state.chilled_water_c, self.condition)

    def apply(self, effects: Iterable[FaultEffect], transfers: Iterable[LoadTransfer] = ()) -> None:
        """Put the equipment into the condition that these leave it in; none: all is healthy."""
        self.health.set(effects, transfers)
        self.condition = condition(self.params, self.health)

    def become(self, worlds: Sequence[int]) -> None:
        """Let these worlds' states be those of worlds 0, 1, .. from now on; the equipment is healthy until `apply`."""
        self.state = of_worlds(self.state, worlds)
        self.health = Health(len(worlds), self.params.size.size, self.params.loop_design_kw.size)
        self.apply(())

    def step(self, changes: Sequence[ProfileChange] = ()) -> None:
        """Move by one step. `changes` are those of the step, in order of time."""
        self.time_s += self.step_s
        self.rack_noise.advance()
        self.loop_noise.advance()
        self.drivers.advance(self.step_s, self.time_s, changes)
        self.state = step(self.params, self.state, self._inputs(), self.step_s)

    def _inputs(self) -> Inputs:
        signals, drivers, load_factor = self.rack_noise.signals, self.drivers.course, self._load_factor()
        if self._demand:
            signals = signals.copy()
            signals[:, 0] = self._demand(self.time_s)
        if self._job:
            signals = signals.copy()
            signals[:, 0, self._job.racks] = 1 - load_factor  # neither demand nor its bursts reach a job
            drivers = self._job.over(drivers, self.time_s - self.step_s, self.time_s)
        return Inputs(
            drivers=drivers,
            noise=signals[:, :4],
            turbulence_k=signals[1, 4],
            water_k=self.loop_noise.mean[0],
            condition=self.condition,
            load_factor=load_factor,
            by_rate=self._demand is not None and self._demand.by_rate,
        )

    def _load_factor(self) -> float:
        return self._surges.mean(self.time_s - self.step_s, self.time_s) if self._surges else 1.0


def _settled(params: PlantParams, state: PlantState, inputs: Inputs, dt_s: float) -> PlantState:
    """Return the state that a plant reaches under inputs that stay as they are, walls as warm as their aisles."""
    for _ in range(int(-(-SPIN_UP_S // dt_s))):
        state = with_warm_walls(step(params, state, inputs, dt_s))
    return state


def _part_of(components: tuple[Component, ...], part: float) -> tuple[Component, ...]:
    """Return components with a part of the variance of those of the load."""
    return tuple(replace(c, sd=c.sd * part**0.5) if c in LOAD_NOISE else c for c in components)


def _common_noise(part: float, racks: int, step_s: float, streams: Streams) -> Noise:
    """Return the noise of the load that all racks share, which has a part of its variance."""
    components, block = _part_of(LOAD_NOISE, part), block_steps(racks)
    generators = [streams.stream("noise", "common", c.name) for c in components]
    return Noise(components, generators, 1, step_s, (len(components),), block=block)


def _noise(
    components: tuple[Component, ...],
    width: int,
    step_s: float,
    streams: Streams,
    parts: Iterable[int] = (),
    common: Noise | None = None,
) -> Noise:
    generators = [streams.stream("noise", c.name) for c in components]
    return Noise(components, generators, width, step_s, parts, common)
