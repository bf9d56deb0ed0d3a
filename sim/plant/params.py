"""What of a plant does not move: who stands where, how large, how it is cooled, and what it was designed for."""

from dataclasses import dataclass

import numpy as np

from sim.common.streams import Streams
from sim.model.facility import Facility, Indices
from sim.plant import constants as k
from sim.plant.cooling import CoolingGroup
from sim.plant.rack_types import air_share, breakers_kw, cooling_groups
from sim.plant.rack_variation import neighbours, rack_variation
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class PlantParams:
    """The fixed properties of a hall's plant, as arrays.

    size: of the racks, in standard racks, (racks,). racks_by_loop: the racks in order of their loops; first_of_loop:
    where each loop begins in it. neighbours: the racks that each rack shares air with, (3, racks); swap_kw_k: what it
    swaps with each for a kelvin, per standard rack, (3, racks). air_share: air that servers draw against those of a
    standard rack; limit_kw: what breakers carry [kW]; (racks,) or one number for all. recirculation, coil, energy: what
    is each rack's own, (racks,). cooling: the racks by how they are cooled. loop_design_kw: heat at the top of its
    racks' power, loop_share: a standard rack's part of it, (loops,). chilled_mass_kj_k: heat capacity of the chilled
    water.
    """

    size: Array
    loop_of_rack: Indices
    racks_by_loop: Indices
    first_of_loop: Indices
    neighbours: Indices
    swap_kw_k: Array
    air_share: Array | float
    limit_kw: Array | float
    recirculation: Array
    coil: Array
    energy: Array
    cooling: tuple[CoolingGroup, ...]
    loop_design_kw: Array
    loop_share: Array
    water_setpoint_c: float
    chiller_kw: float
    chilled_mass_kj_k: float


def plant_params(
    facility: Facility, water_setpoint_c: float, streams: Streams, chiller_capacity_kw: float | None = None
) -> PlantParams:
    """Return a hall's plant, its loops and chillers sized for the racks at the top of their power."""
    size, beside = facility.size_of_rack, neighbours(facility)
    own, by_loop = rack_variation(facility, streams), np.argsort(facility.loop_of_rack, kind="stable")
    loop_racks = np.bincount(facility.loop_of_rack, size, len(facility.loops))
    loop_design_kw: Array = np.asarray(loop_racks * k.DESIGN_RACK_KW, dtype=np.float64)
    groups = cooling_groups(facility.type_of_rack)
    width = size * 1.0
    for group in groups:
        if group.cooling.width is not None:
            width[group.racks] = group.cooling.width
    design_kw = k.CHILLER_MARGIN * float(loop_design_kw.sum())
    return PlantParams(
        size=size,
        loop_of_rack=facility.loop_of_rack,
        racks_by_loop=by_loop,
        first_of_loop=np.searchsorted(facility.loop_of_rack[by_loop], np.arange(len(facility.loops))),
        neighbours=beside,
        # what two racks swap, they swap over the smaller one's width
        swap_kw_k=k.EXCHANGE_KW_K * np.minimum(width[beside], width) / size,
        air_share=air_share(facility.type_of_rack),
        limit_kw=breakers_kw(facility.type_of_rack),
        recirculation=own.recirculation,
        coil=own.coil,
        energy=own.energy,
        cooling=groups,
        loop_design_kw=loop_design_kw,
        loop_share=k.DESIGN_RACK_KW / loop_design_kw,
        water_setpoint_c=water_setpoint_c,
        chiller_kw=chiller_capacity_kw or design_kw,
        chilled_mass_kj_k=k.CHILLER_HEAT_KJ_K_PER_KW * design_kw,
    )
