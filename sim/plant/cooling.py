"""What a way of cooling racks is: an object that balances a rack's heat, and controllers for its fan and pump."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sim.model.facility import Indices
from sim.plant import constants as k
from sim.plant.controllers import Controller
from sim.plant.relations import Array


class CoolingInputs(NamedTuple):
    """What the cooling of racks meets in one step, each (worlds or 1, racks).

    rack_kw: power, mean over the step [kW]; mixing_heat_kw: heat that neighbours' air brings [kW].
    air_capacity_rate_kw_k: of all air through the servers [kW/K]; recirculation: part of it that is own exhaust.
    fan_pct, branch_pct: speed of the fan and flow of the branch [%]; coil: its condition, 1 for a clean one.
    water_c: supply water [degC]; cdu: condition of the exchanger between it and plates, 1 for a clean one.
    """

    rack_kw: Array
    mixing_heat_kw: Array
    air_capacity_rate_kw_k: Array
    recirculation: Array
    fan_pct: Array
    branch_pct: Array
    coil: Array
    water_c: Array
    cdu: Array = np.ones(1)


STORED = ("outlet", "supply", "coil", "hot_wall", "cold_wall")
"""What holds heat in a rack: exhaust with its servers, cold aisle, coil, and the walls of both aisles."""

PLATES = len(STORED)
"""Where a hall with cold plates keeps theirs."""


class StoredHeat(NamedTuple):
    """What is stored after a step [degC], in the order of STORED, and the heat that water took up, its mean [kW]."""

    stored_c: Array
    water_kw: Array


class HeatBalance(NamedTuple):
    """Where exhaust and cold aisle settle [degC]."""

    outlet_c: Array
    supply_c: Array


class CoolingTechnology(Protocol):
    """A way to take heat from racks."""

    def step(self, inputs: CoolingInputs, stored_c: Array, dt_s: float) -> StoredHeat:
        """Return what is stored after a step; what came in and did not leave is in it, to rounding.

        stored_c: before it, (5, worlds, racks) in the order of STORED.
        """

    def settled(self, inputs: CoolingInputs) -> HeatBalance:
        """Return where a rack settles while its surroundings stay as they are."""


class ColdPlates(Protocol):
    """Plates that take the heat of GPUs to coolant."""

    def settled_plates_c(self, inputs: CoolingInputs) -> Array:
        """Return where they settle while their surroundings stay as they are [degC]."""


@dataclass(frozen=True, slots=True)
class RackCooling:
    """How a type of rack is cooled, who commands its fan and its branch pump, and what follows from it.

    plates: cold plates, where it has any; its technology then keeps them behind what is STORED. air_share: air that its
    servers draw, against those of a standard rack. limit_kw: what its breakers carry, of a standard rack's part [kW].
    width: front over which it shares air, in standard racks; its size unless given. longest_step_s: the plant of a hall
    with such racks moves by no longer steps [s].
    """

    technology: CoolingTechnology
    fan: Controller
    pump: Controller
    plates: ColdPlates | None = None
    air_share: float = 1.0
    limit_kw: float = k.RACK_LIMIT_KW
    width: float | None = None
    longest_step_s: float = 60.0

    @property
    def stores(self) -> int:
        """How many things hold heat in it."""
        return len(STORED) + (self.plates is not None)


@dataclass(frozen=True, slots=True)
class CoolingGroup:
    """The racks that are cooled in one way."""

    cooling: RackCooling
    racks: Indices

    @property
    def place(self) -> slice | Indices:
        """Where its racks stand among all: whole rows side by side are a slice, which needs no copy."""
        first, last = int(self.racks[0]), int(self.racks[-1])
        return slice(first, last + 1) if last - first + 1 == self.racks.size else self.racks


def exchange_heat(groups: Sequence[CoolingGroup], inputs: CoolingInputs, stored_c: Array, dt_s: float) -> StoredHeat:
    """Return what all racks store after a step and hand to the water, each by its own technology."""
    if len(groups) == 1:
        return groups[0].cooling.technology.step(inputs, stored_c, dt_s)
    width = len(inputs)

    def law(cooling: RackCooling, part: tuple[Array, ...]) -> tuple[Array, ...]:
        before_c, own = np.array(part[width:]), cooling.stores
        after = cooling.technology.step(CoolingInputs(*part[:width]), before_c[:own], dt_s)
        return (*after.stored_c, *before_c[own:], after.water_kw)

    *kept, water_kw = _each(groups, law, (*inputs, *stored_c))
    return StoredHeat(np.array(kept), water_kw)


def settled_balance(groups: Sequence[CoolingGroup], inputs: CoolingInputs) -> HeatBalance:
    """Return where all racks settle, each by its own technology."""
    if len(groups) == 1:
        return groups[0].cooling.technology.settled(inputs)
    return HeatBalance(*_each(groups, lambda cooling, part: cooling.technology.settled(CoolingInputs(*part)), inputs))


def heat_sink_c(groups: Sequence[CoolingGroup], inlet_c: Array, stored_c: Array) -> Array:
    """Return what GPUs give their heat to [degC]: cold plates where racks have them, else the inlet's air."""
    if len(stored_c) == PLATES:
        return inlet_c
    sink_c = inlet_c.copy()
    for group in groups:
        if group.cooling.plates:
            sink_c[..., group.racks] = stored_c[PLATES][..., group.racks]
    return sink_c


def settled_sink_c(groups: Sequence[CoolingGroup], inputs: CoolingInputs, inlet_c: Array) -> Array:
    """Return what GPUs give their heat to where racks settle [degC]; inlet_c: where their inlets do."""
    if not any(group.cooling.plates for group in groups):
        return inlet_c
    sink_c, met = inlet_c.copy(), np.broadcast_arrays(*inputs)
    for group in groups:
        if group.cooling.plates:
            part = CoolingInputs(*(values[..., group.racks] for values in met))
            sink_c[..., group.racks] = group.cooling.plates.settled_plates_c(part)
    return sink_c


def hottest_c(inlet_c: Array, sink_c: Array) -> Array:
    """Return what decides whether heat shuts racks down, as an inlet [degC]: the inlet, or plates in its place."""
    return inlet_c if sink_c is inlet_c else np.maximum(inlet_c, sink_c - k.PLATES_OVER_INLET_K)


def asked_pct(groups: Sequence[CoolingGroup], inlet_c: Array, rack_kw: Array) -> Array:
    """Return the speeds of fan and branch pump that controllers ask for [%], before any limit, (2, worlds, racks)."""
    if len(groups) == 1:
        return np.array(_asked(groups[0].cooling, (inlet_c, rack_kw)))
    return np.array(_each(groups, _asked, (inlet_c, rack_kw)))


def _asked(cooling: RackCooling, at: tuple[Array, ...]) -> tuple[Array, Array]:
    return cooling.fan.asked_pct(*at), cooling.pump.asked_pct(*at)


def _each(
    groups: Sequence[CoolingGroup],
    law: Callable[[RackCooling, tuple[Array, ...]], tuple[Array, ...]],
    inputs: tuple[Array, ...],
) -> tuple[Array, ...]:
    """Return what each group's own law makes of its racks' part of the inputs, put together again."""
    inputs, places = np.broadcast_arrays(*inputs), [group.place for group in groups]
    parts = [
        law(group.cooling, tuple(values[..., place] for values in inputs))
        for group, place in zip(groups, places, strict=True)
    ]
    whole = np.empty((len(parts[0]), *inputs[0].shape))
    for place, part in zip(places, parts, strict=True):
        for values, own in zip(whole, part, strict=True):
            values[..., place] = own
    return tuple(whole)
