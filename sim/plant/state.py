"""What of a plant moves, and what moves it: plain structs of arrays that nobody writes into.

Arrays of racks are (worlds, racks), those of loops (worlds, loops); sim/common/worlds.py says what worlds there are.
Arrays of racks are those of standard racks; sizes scale what leaves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.params import PlantParams
from sim.plant.relations import Array

START_LOAD = 0.55
"""Of the design load: what loops carried before the start; assumed, the hall settles from it anyway."""


class PlantState(NamedTuple):
    """All that a plant carries from one step to the next.

    tokens_ps: served [tokens/s]; backlog_tokens: waiting; capacity_ps: most that can be served [tokens/s].
    nodes_up: 1 where nodes run, 0 where they shut themselves down; powered: part of the step that a rack had power.
    gpu_kw, rack_kw: power at the end of the step [kW]; the means are those over the step, as meters see them.
    supply_c: cold aisle air [degC]; coil_kw: heat given to the water, mean over the step [kW].
    loop_kw: heat that loops took up in each of the latest steps, newest last, (worlds, loops).
    chilled_water_c: (worlds, 1).
    """

    tokens_ps: Array
    backlog_tokens: Array
    capacity_ps: Array
    gpu_c: Array
    gpu_kw: Array
    rack_kw: Array
    airflow_m3s: Array
    nodes_up: Array
    powered: Array
    mean_gpu_kw: Array
    mean_rack_kw: Array
    fan_pct: Array
    pump_pct: Array
    inlet_c: Array
    outlet_c: Array
    supply_c: Array
    coil_kw: Array
    loop_kw: tuple[Array, ...]
    water_c: Array
    chilled_water_c: Array


class Inputs(NamedTuple):
    """All that comes from outside in one step.

    drivers: what profiles ask for, in the order of DRIVER_NAMES, (drivers, racks). load, recirculation, airflow: noise
    in standard deviations, which drivers scale, (racks,); load may be a demand's instead. water_k: noise of the loops'
    water [K], (loops,). condition: what incidents leave of the equipment.
    """

    drivers: Array
    load: Array
    recirculation: Array
    airflow: Array
    water_k: Array
    condition: Condition


def first_state(params: PlantParams, worlds: int, dt_s: float) -> PlantState:
    """Return a state near nominal operation, from which a hall settles; for steps of dt_s [s]."""
    racks, loops = params.size.size, params.loop_design_kw.size

    def full(value: float, width: int = racks) -> Array:
        return np.full((worlds, width), value)

    steps = int(k.LOOP_DEAD_TIME_S / dt_s) + 2
    return PlantState(
        tokens_ps=full(0.0),
        backlog_tokens=full(0.0),
        capacity_ps=full(k.CAPACITY_TOKENS_PS),
        gpu_c=full(k.GPU_REFERENCE_C),
        gpu_kw=full(5.0),
        rack_kw=full(k.REFERENCE_RACK_KW),
        airflow_m3s=full(k.AIRFLOW_REFERENCE_M3S),
        nodes_up=full(1.0),
        powered=full(1.0),
        mean_gpu_kw=full(5.0),
        mean_rack_kw=full(k.REFERENCE_RACK_KW),
        fan_pct=full(k.FAN_REFERENCE_PCT),
        pump_pct=full(k.PUMP_REFERENCE_PCT),
        inlet_c=full(k.SETPOINT_INLET_C),
        outlet_c=full(k.SETPOINT_INLET_C + 12),
        supply_c=full(k.SETPOINT_INLET_C - 1),
        coil_kw=full(k.REFERENCE_RACK_KW),
        loop_kw=(START_LOAD * params.loop_design_kw * np.ones((worlds, loops)),) * steps,
        water_c=full(params.water_setpoint_c, loops),
        chilled_water_c=full(params.water_setpoint_c - k.CHILLED_WATER_BELOW_K, 1),
    )


def of_worlds(state: PlantState, worlds: Sequence[int]) -> PlantState:
    """Return a state whose worlds are copies of these."""
    return PlantState._make(tuple(v[worlds] for v in of) if isinstance(of, tuple) else of[worlds] for of in state)
