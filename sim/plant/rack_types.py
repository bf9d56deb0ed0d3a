"""How each type of rack is cooled: the one place that a new way of cooling or controlling is entered in."""

from collections.abc import Callable, Sequence

import numpy as np

from sim.model.facility import DLC, STANDARD
from sim.plant import constants as k
from sim.plant.air_cooling import AirCooling
from sim.plant.controllers import FAN, PUMP, InletPowerLaw
from sim.plant.cooling import CoolingGroup, RackCooling
from sim.plant.liquid_cooling import AIR_SHARE, LiquidCooling
from sim.plant.relations import Array

PLATE_PUMP = InletPowerLaw(k.PUMP_REFERENCE_PCT, 0.0, k.PUMP_REFERENCE_PCT / k.REFERENCE_RACK_KW)
"""Gives coolant in proportion to power, so that it warms by the same whatever the load; assumed."""

RACK_COOLING: dict[str, RackCooling] = {
    STANDARD: RackCooling(AirCooling(), FAN, PUMP),
    DLC: RackCooling(
        LiquidCooling(),
        FAN,
        PLATE_PUMP,
        plates=LiquidCooling(),
        air_share=AIR_SHARE,
        limit_kw=k.DLC_LIMIT_KW,
        width=1.0,
        longest_step_s=k.PLATE_STEP_S,
    ),
}
"""By rack type; a type that is not listed differs from the standard one in its size only."""


def cooling_groups(type_of_rack: Sequence[str]) -> tuple[CoolingGroup, ...]:
    """Return the racks by how they are cooled, in the order of RACK_COOLING; only those that a hall has."""
    kinds = np.array([kind if kind in RACK_COOLING else STANDARD for kind in type_of_rack])
    groups = (CoolingGroup(cooling, np.flatnonzero(kinds == kind)) for kind, cooling in RACK_COOLING.items())
    return tuple(group for group in groups if group.racks.size)


def air_share(type_of_rack: Sequence[str]) -> Array | float:
    """Return the air of racks, against that of racks of their size without plates, (racks,) or one number for all."""
    return of_racks(cooling_groups(type_of_rack), lambda cooling: cooling.air_share)


def breakers_kw(type_of_rack: Sequence[str]) -> Array | float:
    """Return what the breakers of racks carry, of a standard rack's part [kW], (racks,) or one number for all."""
    return of_racks(cooling_groups(type_of_rack), lambda cooling: cooling.limit_kw)


def longest_step_s(type_of_rack: Sequence[str]) -> float:
    """Return by what steps a hall may move at most [s]."""
    return min(group.cooling.longest_step_s for group in cooling_groups(type_of_rack))


def of_racks(groups: Sequence[CoolingGroup], what: Callable[[RackCooling], float]) -> Array | float:
    """Return a property of how racks are cooled: one number where all have the same, else (racks,)."""
    values = [what(group.cooling) for group in groups]
    if len(set(values)) == 1:
        return values[0]
    whole = np.empty(sum(group.racks.size for group in groups))
    for group, value in zip(groups, values, strict=True):
        whole[group.racks] = value
    return whole
