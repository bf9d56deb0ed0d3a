"""How each type of rack is cooled: the one place that a new way of cooling or controlling is entered in."""

from collections.abc import Sequence

import numpy as np

from sim.model.facility import STANDARD
from sim.plant.air_cooling import AirCooling
from sim.plant.controllers import FAN, PUMP
from sim.plant.cooling import CoolingGroup, RackCooling

RACK_COOLING: dict[str, RackCooling] = {STANDARD: RackCooling(AirCooling(), FAN, PUMP)}
"""By rack type; a type that is not listed differs from the standard one in its size only."""


def cooling_groups(type_of_rack: Sequence[str]) -> tuple[CoolingGroup, ...]:
    """Return the racks by how they are cooled, in the order of RACK_COOLING; only those that a hall has."""
    kinds = np.array([kind if kind in RACK_COOLING else STANDARD for kind in type_of_rack])
    groups = (CoolingGroup(cooling, np.flatnonzero(kinds == kind)) for kind, cooling in RACK_COOLING.items())
    return tuple(group for group in groups if group.racks.size)
