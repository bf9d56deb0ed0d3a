"""What of a plant moves, and what moves it: plain structs of arrays that nobody writes into.

Arrays of racks are (worlds, racks), those of loops (worlds, loops); sim/common/worlds.py says what worlds there are.
Arrays of racks are those of standard racks; sizes scale what leaves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.cooling import PLATES
from sim.plant.params import PlantParams
from sim.plant.rack_states import FULL_CLOCK, Nodes
from sim.plant.relations import Array

START_LOAD = 0.55
"""Of the design load: what loops carried before the start; assumed, the hall settles from it anyway."""


class PlantState(NamedTuple):
    """All that a plant carries from one step to the next.

    tokens_ps: served [tokens/s]; backlog_tokens: waiting; capacity_ps: most that can be served [tokens/s]; utilisation:
    what is offered against it; clock: of the GPUs, (1, 1) where all run at the full one; service: how long a request
    takes against usual ones; request_tokens: in a request.
    nodes: what they are about. gpu_kw, rack_kw: power, mean over the step as meters see it [kW].
    speed_pct: of fan and branch pump [%], asked_pct: what their controllers ask for as things stand, both (2, worlds,
    racks); wanted_m3s: the air that servers with nothing in their way want then [m3/s].
    exhaust_c: the air that the outlet's sensor is in; stored_c: what holds heat, (5, worlds, racks) in the order of
    STORED, and cold plates behind them in a hall that has any. coil_kw: heat given to the water, mean over the step
    [kW]. loop_kw: heat that loops took up in each of the latest steps, newest last; loop_flow: what their pumps can
    give of full flow, (worlds, loops). chilled_water_c: (worlds, 1).
    """

    tokens_ps: Array
    backlog_tokens: Array
    capacity_ps: Array
    utilisation: Array
    clock: Array
    service: Array
    request_tokens: Array
    nodes: Nodes
    gpu_c: Array
    gpu_kw: Array
    rack_kw: Array
    speed_pct: Array
    airflow_m3s: Array
    asked_pct: Array
    wanted_m3s: Array
    inlet_c: Array
    exhaust_c: Array
    stored_c: Array
    coil_kw: Array
    loop_kw: tuple[Array, ...]
    loop_flow: Array
    water_c: Array
    chilled_water_c: Array

    @property
    def fan_pct(self) -> Array:
        """Speed of the racks' fans [%]."""
        return np.asarray(self.speed_pct[0])

    @property
    def pump_pct(self) -> Array:
        """Speed of the branch pumps [%]."""
        return np.asarray(self.speed_pct[1])

    @property
    def outlet_c(self) -> Array:
        """Exhaust, mean over the rack's back."""
        return np.asarray(self.stored_c[0])

    @property
    def supply_c(self) -> Array:
        """Cold aisle air."""
        return np.asarray(self.stored_c[1])


class Inputs(NamedTuple):
    """All that comes from outside in one step.

    drivers: what profiles ask for, mean over the step and at its end, (2, drivers, racks) in the order of DRIVER_NAMES.
    noise: of load, airflow, request size and recirculation, in deviations, which drivers scale, (2, 4, racks); a demand
    may take the place of the load's, by_rate in parts of the load. load_factor: what surges make of all racks' load.
    turbulence_k: of the air at the outlets' sensors at the end [K], (racks,). water_k: noise of the loops' water, mean
    [K], (loops,). condition: what incidents leave of the equipment.
    """

    drivers: Array
    noise: Array
    turbulence_k: Array
    water_k: Array
    condition: Condition
    load_factor: float = 1.0
    by_rate: bool = False


def first_state(params: PlantParams, worlds: int, dt_s: float) -> PlantState:
    """Return a state near nominal operation, from which a hall settles; for steps of dt_s [s]."""
    racks, loops = params.size.size, params.loop_design_kw.size

    def full(value: float, width: int = racks) -> Array:
        return np.full((worlds, width), value)

    steps = int(1.5 * k.LOOP_DEAD_TIME_S / dt_s) + 2
    outlet_c, supply_c = full(k.SETPOINT_INLET_C + 12), full(k.SETPOINT_INLET_C - 1)
    water_c, stores = full(params.water_setpoint_c), max(group.cooling.stores for group in params.cooling)
    speed_pct = np.array([full(k.FAN_REFERENCE_PCT), full(k.PUMP_REFERENCE_PCT)])
    return PlantState(
        tokens_ps=full(0.0),
        backlog_tokens=full(0.0),
        capacity_ps=full(k.CAPACITY_TOKENS_PS),
        utilisation=full(0.0),
        clock=FULL_CLOCK,
        service=full(1.0),
        request_tokens=full(k.TOKENS_PER_REQUEST),
        nodes=Nodes(full(1.0), full(0.0), full(0.0), full(1.0), full(0.0)),
        gpu_c=full(k.GPU_REFERENCE_C),
        gpu_kw=full(5.0),
        rack_kw=full(k.REFERENCE_RACK_KW),
        airflow_m3s=full(k.AIRFLOW_REFERENCE_M3S),
        speed_pct=speed_pct,
        asked_pct=speed_pct,
        wanted_m3s=full(k.AIRFLOW_REFERENCE_M3S),
        inlet_c=full(k.SETPOINT_INLET_C),
        exhaust_c=outlet_c,
        stored_c=np.array([outlet_c, supply_c, water_c, outlet_c, supply_c, water_c][:stores]),
        coil_kw=full(k.REFERENCE_RACK_KW),
        loop_kw=(START_LOAD * params.loop_design_kw * np.ones((worlds, loops)),) * steps,
        loop_flow=full(k.LOOP_PUMP_MARGIN, loops),
        water_c=full(params.water_setpoint_c, loops),
        chilled_water_c=full(params.water_setpoint_c - k.CHILLED_WATER_BELOW_K, 1),
    )


def of_worlds(state: PlantState, worlds: Sequence[int]) -> PlantState:
    """Return a state whose worlds are copies of these; what all worlds share stays one."""
    among = len(state.rack_kw)

    def copies(of: Array) -> Array:
        return of.take(worlds, axis=-2) if of.shape[-2] == among else of

    arrays = {name: copies(of) for name, of in state._asdict().items() if isinstance(of, np.ndarray)}
    nodes, loop_kw = Nodes._make(map(copies, state.nodes)), tuple(map(copies, state.loop_kw))
    return state._replace(**arrays, nodes=nodes, loop_kw=loop_kw)


def with_warm_walls(state: PlantState) -> PlantState:
    """Return a state in which the walls of both aisles are as warm as the air: they would take half a day."""
    return state._replace(stored_c=np.concatenate([state.stored_c[[0, 1, 2, 0, 1]], state.stored_c[PLATES:]]))
