"""What a way of cooling racks is: an object that balances a rack's heat, and controllers for its fan and pump."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sim.model.facility import Indices
from sim.plant.controllers import Controller
from sim.plant.relations import Array


class CoolingInputs(NamedTuple):
    """What the cooling of racks meets in one step, each (worlds or 1, racks).

    rack_kw: power, mean over the step [kW]; mixing_heat_kw: heat that neighbours' air brings [kW].
    air_capacity_rate_kw_k: of all air through the servers [kW/K]; recirculation: part of it that is own exhaust.
    fan_pct, branch_pct: speed of the fan and flow of the branch [%]; coil: its condition, 1 for a clean one.
    water_c: supply water [degC].
    """

    rack_kw: Array
    mixing_heat_kw: Array
    air_capacity_rate_kw_k: Array
    recirculation: Array
    fan_pct: Array
    branch_pct: Array
    coil: Array
    water_c: Array


STORED = ("outlet", "supply", "coil", "hot_wall", "cold_wall")
"""What holds heat in a rack: exhaust with its servers, cold aisle, coil, and the walls of both aisles."""


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


@dataclass(frozen=True, slots=True)
class RackCooling:
    """How a type of rack is cooled, and who commands its fan and its branch pump."""

    technology: CoolingTechnology
    fan: Controller
    pump: Controller


@dataclass(frozen=True, slots=True)
class CoolingGroup:
    """The racks that are cooled in one way."""

    cooling: RackCooling
    racks: Indices


def exchange_heat(groups: Sequence[CoolingGroup], inputs: CoolingInputs, stored_c: Array, dt_s: float) -> StoredHeat:
    """Return what all racks store after a step and hand to the water, each by its own technology."""
    if len(groups) == 1:
        return groups[0].cooling.technology.step(inputs, stored_c, dt_s)
    width = len(inputs)

    def law(cooling: RackCooling, part: tuple[Array, ...]) -> tuple[Array, ...]:
        after = cooling.technology.step(CoolingInputs(*part[:width]), np.array(part[width:]), dt_s)
        return (*after.stored_c, after.water_kw)

    *kept, water_kw = _each(groups, law, (*inputs, *stored_c))
    return StoredHeat(np.array(kept), water_kw)


def settled_balance(groups: Sequence[CoolingGroup], inputs: CoolingInputs) -> HeatBalance:
    """Return where all racks settle, each by its own technology."""
    if len(groups) == 1:
        return groups[0].cooling.technology.settled(inputs)
    return HeatBalance(*_each(groups, lambda cooling, part: cooling.technology.settled(CoolingInputs(*part)), inputs))


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
    inputs = np.broadcast_arrays(*inputs)
    parts = [law(group.cooling, tuple(values[..., group.racks] for values in inputs)) for group in groups]
    whole = tuple(np.empty_like(inputs[0]) for _ in parts[0])
    for group, part in zip(groups, parts, strict=True):
        for values, own in zip(whole, part, strict=True):
            values[..., group.racks] = own
    return whole
