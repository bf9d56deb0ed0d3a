"""The plant of a run: it keeps time, noise, demand and the racks' drivers, and steps the state with them.

Demand, where it is given, is a function of time [s] that replaces the noise of the load, (racks,) in deviations.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.incidents.kinds import FaultEffect, LoadTransfer
from sim.model.facility import Facility, Indices
from sim.plant.condition import effective_drivers, is_saturated
from sim.plant.drivers import DRIVER_NAMES, DriverLag, Drivers, ProfileChange
from sim.plant.health import Health, condition
from sim.plant.noise import LOOP_NOISE, RACK_NOISE, Component, Noise
from sim.plant.params import PlantParams, plant_params
from sim.plant.relations import Array
from sim.plant.state import Inputs, PlantState, first_state, of_worlds
from sim.plant.step import step

MAX_STEP_S = 60.0

SPIN_UP_S = 3600.0
"""Time given to the physics to settle in the first profiles before the run starts; the noise stands still."""


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
        demand: Callable[[float], Array] | None = None,
        worlds: int = 1,
    ) -> None:
        """Make a hall of `worlds` worlds that stands settled in its racks' first profiles, all healthy."""
        if not 0 < step_s <= MAX_STEP_S:
            raise ValueError(f"a step of {step_s} s is outside 0..{MAX_STEP_S:g} s")
        racks, loops = len(facility.racks), len(facility.loops)
        self.time_s = 0.0
        self.step_s = step_s
        self.params = plant_params(facility, water_setpoint_c, streams, chiller_capacity_kw)
        self.drivers = DriverLag(drivers, profile_of_rack)
        self.rack_noise = _noise(RACK_NOISE, racks, step_s, streams)
        self.loop_noise = _noise(LOOP_NOISE, loops, step_s, streams)
        self._demand = demand
        self.health = Health(worlds, racks, loops)
        self.apply(())
        self.state = _settled(self.params, first_state(self.params, worlds, step_s), self._inputs(), step_s)

    def driver(self, name: str) -> Array:
        """Return a driver as it stands, with what incidents make of it, (worlds or 1, racks)."""
        return effective_drivers(self.drivers.now, self.condition, DRIVER_NAMES.index(name))

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
        z = self.rack_noise.value
        return Inputs(
            drivers=self.drivers.now,
            load=self._demand(self.time_s) if self._demand else z[0] + z[1],
            recirculation=z[2] + z[3],
            airflow=z[4],
            water_k=self.loop_noise.value[0],
            condition=self.condition,
        )


def _settled(params: PlantParams, state: PlantState, inputs: Inputs, dt_s: float) -> PlantState:
    """Return the state that a plant reaches under inputs that stay as they are; meters show what is drawn then."""
    for _ in range(int(-(-SPIN_UP_S // dt_s))):
        state = step(params, state, inputs, dt_s)
    return state._replace(mean_gpu_kw=state.gpu_kw, mean_rack_kw=state.rack_kw)


def _noise(components: tuple[Component, ...], width: int, step_s: float, streams: Streams) -> Noise:
    return Noise(components, [streams.stream("noise", c.name) for c in components], width, step_s)
