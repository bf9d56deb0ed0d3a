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
    water_c: supply water [degC]. outlet_c, supply_c: exhaust and cold aisle at the step's beginning [degC].
    """

    rack_kw: Array
    mixing_heat_kw: Array
    air_capacity_rate_kw_k: Array
    recirculation: Array
    fan_pct: Array
    branch_pct: Array
    coil: Array
    water_c: Array
    outlet_c: Array
    supply_c: Array


class HeatBalance(NamedTuple):
    """Means over a step: exhaust and cold aisle [degC], and the heat that the water takes up [kW]."""

    outlet_c: Array
    supply_c: Array
    water_kw: Array


class CoolingTechnology(Protocol):
    """A way to take heat from racks."""

    def balance(self, inputs: CoolingInputs, dt_s: float) -> HeatBalance:
        """Return the means over a step of the implicit mid-point rule; over an endless one they are the steady state.

        Ends of a step follow as twice its mean less its beginning, which keeps the energy balance exactly.
        """


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


def heat_balance(groups: Sequence[CoolingGroup], inputs: CoolingInputs, dt_s: float) -> HeatBalance:
    """Return the heat balance of all racks over a step, each by its own technology."""
    if len(groups) == 1:
        return groups[0].cooling.technology.balance(inputs, dt_s)
    return HeatBalance(
        *_each(groups, lambda cooling, part: cooling.technology.balance(CoolingInputs(*part), dt_s), inputs)
    )


def asked_pct(groups: Sequence[CoolingGroup], inlet_c: Array, rack_kw: Array) -> tuple[Array, Array]:
    """Return the speeds of fan and branch pump that controllers ask for [%], before any limit."""
    if len(groups) == 1:
        return _asked(groups[0].cooling, (inlet_c, rack_kw))
    fan_pct, pump_pct = _each(groups, _asked, (inlet_c, rack_kw))
    return fan_pct, pump_pct


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
