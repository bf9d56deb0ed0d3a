"""The one step that moves a plant in time, as a pure function of structs of arrays.

What answers to temperatures (fans, pumps, air, water) moves half a step before the heat does and half a step after it,
so that heat meets them as they stand in the middle: of second order in the step (Strang 1968).
"""

from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition, effective_drivers
from sim.plant.controllers import actuate
from sim.plant.cooling import (
    CoolingInputs,
    asked_pct,
    exchange_heat,
    heat_sink_c,
    hottest_c,
    settled_balance,
    settled_sink_c,
)
from sim.plant.drivers import END, MEAN
from sim.plant.gains import step_gains
from sim.plant.load import transferred
from sim.plant.loops import coasted, cool_water, delayed_kw, flow_given, half_water
from sim.plant.params import PlantParams
from sim.plant.rack_states import ALL_SERVE, Nodes, Parts, Work, drawn_kw, next_nodes, serve, shut_down
from sim.plant.relations import Array, gpu_limit_kw, inlet_c, largest, server_fans_kw, wanted_m3s, within
from sim.plant.state import Inputs, PlantState

MAX_RECIRCULATION = 0.8
"""The part of their own exhaust that racks breathe at most; assumed."""

_SCALED = slice(0, 3)
_RECIRCULATION, _ENERGY, _CAPACITY = 3, 4, 5
_BIASES, _DEVIATIONS = slice(6, 8), slice(8, 12)
"""Places of drivers; those that are scaled are in the order of their deviations."""


class _Asked(NamedTuple):
    """What a step asks of racks, with noise and what incidents make of it, (worlds or 1, racks).

    offered_ps, capacity, recirculation: mean and end, (2, ..). airflow: of an unobstructed rack's; bias_pct: of fan and
    branch pump, (2, ..). request_size: against usual ones, at the end.
    """

    offered_ps: Array
    token_energy: Array
    capacity: Array
    recirculation: Array
    airflow: Array
    bias_pct: Array
    request_size: Array
    request_tokens: Array


class _Moving(NamedTuple):
    """What answers to temperatures: fan and branch pump [%], (2, ..), and air [m3/s]."""

    speed_pct: Array
    airflow_m3s: Array


class _Called(NamedTuple):
    """What temperatures and power call for: speeds [%], (2, ..), and air [m3/s], before limits and obstructions."""

    asked_pct: Array
    wanted_m3s: Array


def step(params: PlantParams, state: PlantState, inputs: Inputs, dt_s: float) -> PlantState:
    """Return the plant's state dt_s [s] later. Nothing is written into what is given."""
    gains, condition, asked = step_gains(dt_s), inputs.condition, _asked(params, inputs, len(state.rack_kw))
    sink_c = heat_sink_c(params.cooling, state.inlet_c, state.stored_c)
    nodes, parts = _nodes(params, state, sink_c, asked.recirculation[MEAN], condition, dt_s)
    air = asked.airflow * (params.air_share * np.maximum(parts.on, k.PASSIVE_AIRFLOW))
    moving, called = _Moving(state.speed_pct, state.airflow_m3s), _Called(state.asked_pct, state.wanted_m3s)
    middle = _answered(moving, called, (asked.bias_pct, air), condition, dt_s)
    warmer_k = sink_c - state.gpu_c
    beside_kw = server_fans_kw(middle.airflow_m3s) + (condition.idle_kw if condition.power_differs else 0.0)
    limit_kw = gpu_limit_kw(sink_c, beside_kw, params.limit_kw)
    work = _work(state, (asked, condition), (nodes, parts), limit_kw, warmer_k, gains.mean_gpu)
    served = serve(work, state.backlog_tokens, dt_s)
    rack_kw = drawn_kw(served.gpu_kw, beside_kw, parts)
    flow, loop_flow = coasted(state.loop_flow, condition, gains.pump_coast, dt_s)
    early_kw = delayed_kw(state.loop_kw, dt_s, begins=True)
    middle_c = half_water(params, state.water_c, early_kw, state.chilled_water_c, condition, dt_s)
    met = _met(params, state, inputs, rack_kw, middle, asked.recirculation[MEAN], (flow, middle_c))
    stored_c, coil_kw = exchange_heat(params.cooling, met, state.stored_c, dt_s)
    loop_kw, water_c, chilled_water_c = cool_water(params, state, (middle_c, early_kw), coil_kw, condition, dt_s)
    inlet = inlet_c(stored_c[0], stored_c[1], asked.recirculation[END], met.mixing_heat_kw, met.air_capacity_rate_kw_k)
    called = _Called(asked_pct(params.cooling, inlet, rack_kw), wanted_m3s(rack_kw, inlet))
    return PlantState(
        *served[:5],
        asked.request_size / served.clock,
        asked.request_tokens,
        nodes,
        state.gpu_c + (warmer_k + k.GPU_KELVIN_PER_KW * served.gpu_kw) * gains.gpu,
        served.gpu_kw,
        rack_kw,
        *_answered(middle, called, (asked.bias_pct, air), condition, dt_s),
        *called,
        inlet,
        stored_c[0] + inputs.turbulence_k,
        stored_c,
        coil_kw,
        loop_kw,
        loop_flow,
        water_c,
        chilled_water_c,
    )


def _asked(params: PlantParams, inputs: Inputs, worlds: int) -> _Asked:
    """Return what a step asks of racks."""
    condition, drivers = inputs.condition, effective_drivers(inputs.drivers, inputs.condition)
    noise = drivers[:, _DEVIATIONS] * inputs.noise[:, :, None]
    factors = noise[:, _SCALED] + 1.0
    if inputs.by_rate or inputs.load_factor != 1:
        factors[:, 0] = inputs.load_factor + (inputs.noise[:, 0, None] if inputs.by_rate else noise[:, 0])
    factors = np.maximum(factors, 0.0)
    scaled = drivers[:, _SCALED] * factors
    offered_ps = scaled[:, 0]
    if condition.transfers:
        offered_ps = np.array([transferred(of, condition.transfers, params.size, worlds) for of in offered_ps])
    own = noise[:, 3] + params.recirculation
    return _Asked(
        offered_ps,
        drivers[MEAN, _ENERGY] * params.energy,
        drivers[:, _CAPACITY],
        within(drivers[:, _RECIRCULATION] + own, 0.0, MAX_RECIRCULATION),
        scaled[MEAN, 1],
        drivers[MEAN, _BIASES],
        factors[END, 2] * condition.driver_gain[END, 2] if condition.drivers_differ else factors[END, 2],
        scaled[END, 2],
    )


def _nodes(
    params: PlantParams, state: PlantState, sink_c: Array, recirculation: Array, condition: Condition, dt_s: float
) -> tuple[Nodes, Parts]:
    """Return what racks' nodes are about; while all serve, have power and are cool, nothing is worked out."""
    nodes, heat_c = state.nodes, hottest_c(state.inlet_c, sink_c)
    hot = largest(heat_c) > k.SHUTDOWN_INLET_C
    if not hot and not condition.power_differs and nodes.all_serve:
        return nodes, ALL_SERVE
    shut = nodes.shut
    if hot or shut.any():
        shut = shut_down(nodes, heat_c, _could_be_held(params, state, heat_c, recirculation, condition))
    return next_nodes(nodes, condition.powered, shut, dt_s)


def _could_be_held(
    params: PlantParams, state: PlantState, heat_c: Array, recirculation: Array, condition: Condition
) -> Array:
    """Return whether racks have cooled, and would stay cool under their usual load with what cooling is left."""
    rate = params.air_share * np.full_like(state.inlet_c, k.AIR_KJ_M3K * k.AIRFLOW_REFERENCE_M3S)
    power_kw, none = np.full_like(state.inlet_c, k.REFERENCE_RACK_KW), np.zeros_like(state.inlet_c)
    branch_pct = np.minimum(condition.highest_pct[1], 100 * state.loop_flow.take(params.loop_of_rack, axis=1))
    if condition.flow_differs:
        branch_pct = branch_pct * condition.branch_flow
    water_c = state.water_c.take(params.loop_of_rack, axis=1)
    met = CoolingInputs(
        power_kw,
        none,
        rate,
        recirculation,
        condition.highest_pct[0],
        branch_pct,
        condition.coil,
        water_c,
        condition.cdu,
    )
    settled = settled_balance(params.cooling, met)
    held_c = inlet_c(settled.outlet_c, settled.supply_c, recirculation, none, rate)
    settled_c = hottest_c(held_c, settled_sink_c(params.cooling, met, held_c))
    return np.asarray((settled_c < k.RESTART_INLET_C) & (heat_c < k.RESTART_INLET_C))


def _answered(
    moving: _Moving, called: _Called, of_rack: tuple[Array, Array], condition: Condition, dt_s: float
) -> _Moving:
    """Return what answers half a step on; of_rack: bias of its speeds [%], and what part of the wanted air it draws."""
    gains, (bias_pct, air) = step_gains(dt_s), of_rack
    speed_pct = actuate(moving.speed_pct, called.asked_pct + bias_pct, condition, gains.half_actuator, dt_s / 2)
    way_m3s = called.wanted_m3s * air - moving.airflow_m3s
    return _Moving(speed_pct, moving.airflow_m3s + way_m3s * gains.half_airflow)


def _work(
    state: PlantState,
    asked: tuple[_Asked, Condition],
    nodes: tuple[Nodes, Parts],
    limit_kw: Array,
    warmer_k: Array,
    follows: float,
) -> Work:
    """Return what racks are asked to do, and how much their GPUs may draw for it; follows: as in Work."""
    (of_step, condition), (after, during) = asked, nodes
    offered_ps, full_ps = of_step.offered_ps, k.CAPACITY_TOKENS_PS * of_step.capacity
    if during is not ALL_SERVE:
        offered_ps = offered_ps * np.array([during.admitted, after.admitted])
        full_ps = full_ps * np.array([during.running, after.running])
    return Work(
        offered_ps,
        full_ps,
        of_step.token_energy,
        condition.clock_ceiling if condition.clocks_differ else 1.0,
        limit_kw,
        during.on,
        state.gpu_c + warmer_k * follows,
        follows,
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
    fan_pct, pump_pct = middle.speed_pct
    branch_pct = pump_pct * flow_given(params, pump_pct, loop_flow).take(params.loop_of_rack, axis=1)
    if inputs.condition.flow_differs:
        branch_pct = branch_pct * inputs.condition.branch_flow
    return CoolingInputs(
        rack_kw,
        swapped_kw(params, state.outlet_c),
        k.AIR_KJ_M3K * middle.airflow_m3s,
        recirculation,
        fan_pct,
        branch_pct,
        inputs.condition.coil,
        (water_c + inputs.water_k).take(params.loop_of_rack, axis=1),
        inputs.condition.cdu,
    )


def swapped_kw(params: PlantParams, outlet_c: Array) -> Array:
    """Return the heat that each rack takes up from its neighbours' exhaust [kW], per standard rack.

    q = sum of K w (Tn - To) over the neighbours, w the part of the rack's width that both have. K is assumed.
    """
    warmer_k = outlet_c.take(params.neighbours, axis=1) - outlet_c[:, None]
    return np.asarray(np.add.reduce(warmer_k * params.swap_kw_k, axis=1))
