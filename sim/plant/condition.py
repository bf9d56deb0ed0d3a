"""The condition of a hall's equipment in one step: what incidents leave of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.incidents.kinds import LoadTransfer
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class Condition:
    """Equipment with what incidents make of it; racks' arrays are (worlds, racks), loops' (worlds, loops).

    driver_gain, driver_shift: what incidents make of drivers, (drivers, worlds, racks), mean over a step; end_gain,
    end_shift: at its end. powered: part of the step of a
    rack's nodes that have power; idle_kw: drawn whatever the load [kW]. clock_ceiling: the highest clock of its GPUs.
    lowest_pct, highest_pct: limits of fan and branch pump [%], (2, worlds, racks); failed_lowest_pct: where faults
    hold them at least.
    coil: heat transfer against a clean one. loop_pump: flow that a loop's pump can give, cdu_hx: heat that its
    exchanger can hand on, both against design. chiller_kw, chilled_setpoint_c: (worlds, 1). transfers: load that
    moves. The flags say what differs from a healthy hall, so that a healthy one costs nothing.
    """

    driver_gain: Array
    driver_shift: Array
    end_gain: Array
    end_shift: Array
    powered: Array
    idle_kw: Array
    clock_ceiling: Array
    lowest_pct: Array
    failed_lowest_pct: Array
    highest_pct: Array
    coil: Array
    loop_pump: Array
    cdu_hx: Array
    loop_setpoint_c: Array
    chiller_kw: Array
    chilled_setpoint_c: Array
    transfers: tuple[LoadTransfer, ...]
    drivers_differ: bool
    power_differs: bool
    limits_differ: bool


ALL = slice(None)


def effective_drivers(drivers: Array, condition: Condition, which: int | slice = ALL) -> Array:
    """Return drivers, or one of them, with what incidents make of them, (drivers, worlds or 1, racks)."""
    wanted = drivers[which][..., None, :]
    if not condition.drivers_differ:
        return np.asarray(wanted)
    return np.asarray(wanted * condition.driver_gain[which] + condition.driver_shift[which])


def end_driver(drivers: Array, condition: Condition, which: int) -> Array:
    """Return a driver as it stands at a step's end, with what incidents make of it then, (worlds or 1, racks)."""
    wanted = drivers[which][None]
    if not condition.drivers_differ:
        return np.asarray(wanted)
    return np.asarray(wanted * condition.end_gain[which] + condition.end_shift[which])


def is_saturated(chilled_water_c: Array, condition: Condition) -> npt.NDArray[np.bool_]:
    """Return whether the chiller plant cannot hold its setpoint, so that loops warm each other, (worlds,)."""
    return np.asarray((chilled_water_c > condition.chilled_setpoint_c)[:, 0])
