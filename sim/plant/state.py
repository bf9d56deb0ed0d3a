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
from sim.plant.rack_states import Nodes
from sim.plant.relations import Array

START_LOAD = 0.55
"""Of the design load: what loops carried before the start; assumed, the hall settles from it anyway."""


class PlantState(NamedTuple):
    """All that a plant carries from one step to the next.

    tokens_ps: served [tokens/s]; backlog_tokens: waiting; capacity_ps: most that can be served [tokens/s]; utilisation:
    what is offered against it; service: how long a request takes against usual ones; request_tokens: in a request.
    nodes: what they are about. gpu_kw, rack_kw: power, mean over the step as meters see it [kW].
    exhaust_c: the air that the outlet's sensor is in; outlet_c: its mean over the rack's back; supply_c: cold aisle
    air; coil_c: coil; hot_wall_c, cold_wall_c: what stands around the aisles. coil_kw: heat given to the water, mean
    over the step [kW]. loop_kw: heat that loops took up in each of the latest steps, newest last; loop_flow: what their
    pumps can give of full flow, (worlds, loops). chilled_water_c: (worlds, 1).
    """

    tokens_ps: Array
    backlog_tokens: Array
    capacity_ps: Array
    utilisation: Array
    service: Array
    request_tokens: Array
    nodes: Nodes
    gpu_c: Array
    gpu_kw: Array
    rack_kw: Array
    airflow_m3s: Array
    fan_pct: Array
    pump_pct: Array
    inlet_c: Array
    exhaust_c: Array
    outlet_c: Array
    supply_c: Array
    coil_c: Array
    hot_wall_c: Array
    cold_wall_c: Array
    coil_kw: Array
    loop_kw: tuple[Array, ...]
    loop_flow: Array
    water_c: Array
    chilled_water_c: Array


class Course(NamedTuple):
    """Something that moves during a step: its mean over the step, and where it ends."""

    mean: Array
    end: Array


class Inputs(NamedTuple):
    """All that comes from outside in one step.

    drivers: what profiles ask for, in the order of DRIVER_NAMES, (drivers, racks). load, recirculation, airflow,
    request_size: noise in standard deviations, which drivers scale, (racks,); load may be a demand's instead.
    load_factor: what demand makes of all racks' load; by_rate: whether load is in parts of it. turbulence_k: of the air
    at the outlets' sensors [K], (racks,).
    water_k: noise of the loops' water [K], (loops,). condition: what incidents leave of the equipment.
    """

    drivers: Course
    load: Course
    recirculation: Course
    airflow: Course
    request_size: Course
    turbulence_k: Course
    water_k: Course
    condition: Condition
    load_factor: float = 1.0
    by_rate: bool = False


def first_state(params: PlantParams, worlds: int, dt_s: float) -> PlantState:
    """Return a state near nominal operation, from which a hall settles; for steps of dt_s [s]."""
    racks, loops = params.size.size, params.loop_design_kw.size

    def full(value: float, width: int = racks) -> Array:
        return np.full((worlds, width), value)

    steps = int(1.5 * k.LOOP_DEAD_TIME_S / dt_s) + 2
    outlet_c, supply_c = k.SETPOINT_INLET_C + 12, k.SETPOINT_INLET_C - 1
    return PlantState(
        tokens_ps=full(0.0),
        backlog_tokens=full(0.0),
        capacity_ps=full(k.CAPACITY_TOKENS_PS),
        utilisation=full(0.0),
        service=full(1.0),
        request_tokens=full(k.TOKENS_PER_REQUEST),
        nodes=Nodes(full(1.0), full(0.0), full(0.0), full(1.0), full(0.0)),
        gpu_c=full(k.GPU_REFERENCE_C),
        gpu_kw=full(5.0),
        rack_kw=full(k.REFERENCE_RACK_KW),
        airflow_m3s=full(k.AIRFLOW_REFERENCE_M3S),
        fan_pct=full(k.FAN_REFERENCE_PCT),
        pump_pct=full(k.PUMP_REFERENCE_PCT),
        inlet_c=full(k.SETPOINT_INLET_C),
        exhaust_c=full(outlet_c),
        outlet_c=full(outlet_c),
        supply_c=full(supply_c),
        coil_c=full(params.water_setpoint_c),
        hot_wall_c=full(outlet_c),
        cold_wall_c=full(supply_c),
        coil_kw=full(k.REFERENCE_RACK_KW),
        loop_kw=(START_LOAD * params.loop_design_kw * np.ones((worlds, loops)),) * steps,
        loop_flow=full(k.LOOP_PUMP_MARGIN, loops),
        water_c=full(params.water_setpoint_c, loops),
        chilled_water_c=full(params.water_setpoint_c - k.CHILLED_WATER_BELOW_K, 1),
    )


def of_worlds(state: PlantState, worlds: Sequence[int]) -> PlantState:
    """Return a state whose worlds are copies of these; what all worlds share stays one."""

    def copies(of: Array) -> Array:
        return of[worlds] if len(of) == len(state.rack_kw) else of

    arrays = {name: copies(of) for name, of in state._asdict().items() if isinstance(of, np.ndarray)}
    nodes, loop_kw = Nodes._make(map(copies, state.nodes)), tuple(map(copies, state.loop_kw))
    return state._replace(**arrays, nodes=nodes, loop_kw=loop_kw)
