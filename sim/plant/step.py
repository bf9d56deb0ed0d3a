"""The one step that moves a plant in time, as a pure function of structs of arrays.

What answers to temperatures (fans, pumps, air, water) moves half a step before the heat does and half a step after it,
so that heat meets them as they stand in the middle: of second order in the step (Strang 1968).
"""

from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition, effective_drivers, end_driver
from sim.plant.controllers import actuate
from sim.plant.cooling import CoolingInputs, Stored, asked_pct, exchange_heat, settled_balance
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.gains import step_gains
from sim.plant.load import transferred
from sim.plant.loops import coasted, cool_water, delayed_kw, flow_given, half_water
from sim.plant.params import PlantParams
from sim.plant.rack_states import Nodes, Parts, Work, drawn_kw, moved_air, next_nodes, serve, shut_down
from sim.plant.relations import Array, gpu_limit_kw, inlet_c, within
from sim.plant.state import Course, Inputs, PlantState

MAX_RECIRCULATION = 0.8
"""The part of their own exhaust that racks breathe at most; assumed."""


class _Asked(NamedTuple):
    """Drivers with what incidents make of them, means over the step, in the order of DRIVER_NAMES."""

    offered_tokens_ps: Array
    token_energy: Array
    capacity: Array
    tokens_per_request: Array
    airflow: Array
    recirculation: Array
    fan_bias_pct: Array
    pump_bias_pct: Array
    offered_tokens_sd: Array
    recirculation_sd: Array
    airflow_sd: Array
    request_size_sd: Array


class _Moving(NamedTuple):
    """What answers to temperatures: fan and branch pump [%], air [m3/s]."""

    fan_pct: Array
    pump_pct: Array
    airflow_m3s: Array


def step(params: PlantParams, state: PlantState, inputs: Inputs, dt_s: float) -> PlantState:
    """Return the plant's state dt_s [s] later. Nothing is written into what is given."""
    gains, condition = step_gains(dt_s), inputs.condition
    asked = _Asked(*effective_drivers(inputs.drivers.mean, condition))
    breathed = _recirculation(params, inputs, asked)
    nodes, parts = _nodes(params, state, breathed.mean, condition, dt_s)
    air = asked.airflow * (1 + asked.airflow_sd * inputs.airflow.mean), parts.running + parts.booting
    middle = _answered(params, state, condition, asked, air, dt_s)
    work = _work(params, state, inputs, asked, (nodes, parts), middle.airflow_m3s, gains.mean_gpu)
    served = serve(work, state.backlog_tokens, dt_s)
    rack_kw = drawn_kw(served.gpu_kw, middle.airflow_m3s, parts, condition.idle_kw)
    flow, loop_flow = coasted(state.loop_flow, condition, gains.pump_coast, dt_s)
    early_kw = delayed_kw(state.loop_kw, dt_s, begins=True)
    middle_c = half_water(params, state.water_c, early_kw, state.chilled_water_c, condition, dt_s)
    met = _met(params, state, inputs, rack_kw, middle, breathed.mean, (flow, middle_c))
    stored, coil_kw = exchange_heat(params.cooling, met, Stored(*(getattr(state, n) for n in Stored._fields)), dt_s)
    loop_kw, water_c, chilled_water_c = cool_water(params, state, (middle_c, early_kw), coil_kw, condition, dt_s)
    inlet = inlet_c(stored.outlet_c, stored.supply_c, breathed.end, met.mixing_heat_kw, met.air_capacity_rate_kw_k)
    warmed = state._replace(inlet_c=inlet, rack_kw=rack_kw, **middle._asdict())
    mix = 1 + asked.request_size_sd * inputs.request_size.end
    return PlantState(
        tokens_ps=served.tokens_ps,
        backlog_tokens=served.backlog_tokens,
        capacity_ps=served.capacity_ps,
        utilisation=served.utilisation,
        service=condition.end_gain[_REQUEST] * mix / served.clock,
        request_tokens=end_driver(inputs.drivers.end, condition, _REQUEST) * mix,
        nodes=nodes,
        gpu_c=state.gpu_c + (state.inlet_c + k.GPU_KELVIN_PER_KW * served.gpu_kw - state.gpu_c) * gains.gpu,
        gpu_kw=served.gpu_kw,
        rack_kw=rack_kw,
        inlet_c=inlet,
        exhaust_c=stored.outlet_c + inputs.turbulence_k.end,
        coil_kw=coil_kw,
        loop_kw=loop_kw,
        loop_flow=loop_flow,
        water_c=water_c,
        chilled_water_c=chilled_water_c,
        **_answered(params, warmed, condition, asked, air, dt_s)._asdict(),
        **stored._asdict(),
    )


_OFFERED, _CAPACITY, _REQUEST, _RECIRCULATION = (
    DRIVER_NAMES.index(name) for name in ("offered_tokens_ps", "capacity", "tokens_per_request", "recirculation")
)


def _recirculation(params: PlantParams, inputs: Inputs, asked: _Asked) -> Course:
    """Return the part of their own exhaust that racks breathe."""
    own = params.recirculation + asked.recirculation_sd * inputs.recirculation.mean
    own_end = params.recirculation + asked.recirculation_sd * inputs.recirculation.end
    end = end_driver(inputs.drivers.end, inputs.condition, _RECIRCULATION)
    return Course(
        within(asked.recirculation + own, 0.0, MAX_RECIRCULATION), within(end + own_end, 0.0, MAX_RECIRCULATION)
    )


def _nodes(
    params: PlantParams, state: PlantState, recirculation: Array, condition: Condition, dt_s: float
) -> tuple[Nodes, Parts]:
    """Return what racks' nodes are about; while all serve, have power and are cool, nothing is worked out."""
    nodes = state.nodes
    hot = state.inlet_c.max() > k.SHUTDOWN_INLET_C
    if not hot and not condition.power_differs and nodes.all_serve:
        return nodes, Parts(nodes.running, nodes.booting, nodes.shut, nodes.admitted)
    shut = nodes.shut
    if hot or shut.any():
        shut = shut_down(nodes, state.inlet_c, _could_be_held(params, state, recirculation, condition))
    return next_nodes(nodes, condition.powered, shut, dt_s)


def _could_be_held(params: PlantParams, state: PlantState, recirculation: Array, condition: Condition) -> Array:
    """Return whether racks would stay cool under their usual load with all that is left of their cooling."""
    rate = np.full_like(state.inlet_c, k.AIR_KJ_M3K * k.AIRFLOW_REFERENCE_M3S)
    power_kw, none = np.full_like(state.inlet_c, k.REFERENCE_RACK_KW), np.zeros_like(state.inlet_c)
    branch_pct = np.minimum(condition.highest_pct[1], 100 * state.loop_flow.take(params.loop_of_rack, axis=1))
    water_c = state.water_c.take(params.loop_of_rack, axis=1)
    met = CoolingInputs(
        power_kw, none, rate, recirculation, condition.highest_pct[0], branch_pct, condition.coil, water_c
    )
    settled = settled_balance(params.cooling, met)
    held_c = inlet_c(settled.outlet_c, settled.supply_c, recirculation, none, rate)
    return np.asarray((held_c < k.RESTART_INLET_C) & (state.inlet_c < k.RESTART_INLET_C))


def _answered(
    params: PlantParams, state: PlantState, condition: Condition, asked: _Asked, air: tuple[Array, Array], dt_s: float
) -> _Moving:
    """Return what answers to temperatures and power half a step on; air: what servers draw, and how many are on."""
    gains = step_gains(dt_s)
    fan, pump = asked_pct(params.cooling, state.inlet_c, state.rack_kw)
    wanted = fan + asked.fan_bias_pct, pump + asked.pump_bias_pct
    speeds = actuate((state.fan_pct, state.pump_pct), wanted, condition, gains.half_actuator, dt_s / 2)
    moved = moved_air(air[0], state.rack_kw, state.inlet_c, air[1])
    return _Moving(speeds[0], speeds[1], state.airflow_m3s + (moved - state.airflow_m3s) * gains.half_airflow)


def _work(
    params: PlantParams,
    state: PlantState,
    inputs: Inputs,
    asked: _Asked,
    nodes: tuple[Nodes, Parts],
    airflow_m3s: Array,
    follows: float,
) -> Work:
    """Return what racks are asked to do, and how much their GPUs may draw for it; follows: as in Work."""
    condition, (after, during) = inputs.condition, nodes
    end, capacity_end = (end_driver(inputs.drivers.end, condition, i) for i in (_OFFERED, _CAPACITY))
    worlds, factor, load_sd = len(state.rack_kw), inputs.load_factor, 1.0 if inputs.by_rate else asked.offered_tokens_sd
    mean_ps, end_ps = (
        transferred(offered, condition.transfers, params.size, worlds) if condition.transfers else offered
        for offered in (
            asked.offered_tokens_ps * np.maximum(0.0, factor + load_sd * inputs.load.mean),
            end * np.maximum(0.0, factor + load_sd * inputs.load.end),
        )
    )
    return Work(
        offered_ps=mean_ps * during.admitted,
        offered_end_ps=end_ps * after.admitted,
        full_ps=k.CAPACITY_TOKENS_PS * asked.capacity * during.running,
        full_end_ps=k.CAPACITY_TOKENS_PS * capacity_end * after.running,
        token_energy=asked.token_energy * params.energy,
        clock_ceiling=condition.clock_ceiling,
        limit_kw=gpu_limit_kw(state.inlet_c, airflow_m3s, condition.idle_kw),
        idle=during.running + during.booting,
        gpu_c=state.gpu_c + (state.inlet_c - state.gpu_c) * follows,
        follows=follows,
    )


def _met(
    params: PlantParams,
    state: PlantState,
    inputs: Inputs,
    rack_kw: Array,
    middle: _Moving,
    recirculation: Array,
    loops: tuple[Array, Array],
) -> CoolingInputs:
    """Return what the racks' cooling meets in the step; loops: flow that their pumps can give, and water [degC]."""
    loop_flow, water_c = loops
    flow = flow_given(params, middle.pump_pct, loop_flow)
    return CoolingInputs(
        rack_kw=rack_kw,
        mixing_heat_kw=swapped_kw(params, state.outlet_c),
        air_capacity_rate_kw_k=k.AIR_KJ_M3K * middle.airflow_m3s,
        recirculation=recirculation,
        fan_pct=middle.fan_pct,
        branch_pct=middle.pump_pct * flow.take(params.loop_of_rack, axis=1),
        coil=inputs.condition.coil,
        water_c=(water_c + inputs.water_k.mean).take(params.loop_of_rack, axis=1),
    )


def swapped_kw(params: PlantParams, outlet_c: Array) -> Array:
    """Return the heat that each rack takes up from its neighbours' exhaust [kW], per standard rack.

    q = K sum of w (Tn - To) over the neighbours, w the part of the rack's width that both have. K is assumed.
    """
    warmer_k = outlet_c.take(params.neighbours, axis=1) - outlet_c[:, None]
    return np.asarray(k.EXCHANGE_KW_K * (warmer_k * params.swap_width).sum(axis=1))
