"""The condition of a hall's equipment in one step: what incidents leave of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.incidents.kinds import LoadTransfer
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class Condition:
    """Equipment with what incidents make of it; racks' arrays are (worlds, racks), loops' (worlds, loops).

    driver_gain, driver_shift: what incidents make of drivers, mean over a step and at its end, (2, drivers, worlds,
    racks). powered: part of the step of a rack's nodes that have power; idle_kw: drawn whatever the load [kW].
    clock_ceiling: the highest clock of its GPUs. lowest_pct, highest_pct: limits of fan and branch pump [%], (2,
    worlds, racks); failed_lowest_pct: where faults hold them at least. coil, cdu: heat transfer of coils and of plates'
    exchangers against clean ones. branch_flow: what branches pass of the flow that their pumps' speed gives.
    loop_pump: flow that a loop's pump can give, against design; exchanger_k: how much its exchanger warms the water at
    design load.
    chiller_kw, chilled_setpoint_c: (worlds, 1). transfers: load that moves. The flags say what differs from a healthy
    hall, so that a healthy one costs nothing.
    """

    driver_gain: Array
    driver_shift: Array
    powered: Array
    idle_kw: Array
    clock_ceiling: Array
    lowest_pct: Array
    failed_lowest_pct: Array
    highest_pct: Array
    coil: Array
    cdu: Array
    branch_flow: Array
    loop_pump: Array
    exchanger_k: Array
    loop_setpoint_c: Array
    chiller_kw: Array
    chilled_setpoint_c: Array
    transfers: tuple[LoadTransfer, ...]
    drivers_differ: bool
    power_differs: bool
    clocks_differ: bool
    limits_differ: bool
    flow_differs: bool


def effective_drivers(drivers: Array, condition: Condition) -> Array:
    """Return drivers with what incidents make of them, (2, drivers, worlds or 1, racks), from (2, drivers, racks)."""
    wanted = drivers[:, :, None]
    if not condition.drivers_differ:
        return wanted
    return wanted * condition.driver_gain + condition.driver_shift


def is_saturated(chilled_water_c: Array, condition: Condition) -> npt.NDArray[np.bool_]:
    """Return whether the chiller plant cannot hold its setpoint, so that loops warm each other, (worlds,)."""
    return np.asarray((chilled_water_c > condition.chilled_setpoint_c)[:, 0])
