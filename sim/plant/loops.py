"""Cooling loops and the chiller plant: flow, and supply water that answers late to the heat it takes up."""

from collections.abc import Sequence
from functools import cache, reduce

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.gains import mean_gain, step_gains
from sim.plant.params import PlantParams
from sim.plant.relations import Array, largest
from sim.plant.state import PlantState


def per_loop(params: PlantParams, of_racks: Array) -> Array:
    """Return a quantity of standard racks added up over each loop's racks by their size, (worlds, loops)."""
    by_loop = (of_racks * params.size).take(params.racks_by_loop, axis=-1)
    return np.asarray(np.add.reduceat(by_loop, params.first_of_loop, axis=-1))


def flow_given(params: PlantParams, pump_pct: Array, loop_flow: Array) -> Array:
    """Return the part of the asked branch flow that each loop's pump can give, (worlds, loops).

    min(1, m / s): m what the pump can give, s the branches' mean speed, both of full flow. Assumed: flow is shared in
    proportion to what branches ask for.
    """
    asked = per_loop(params, pump_pct) * (params.loop_share * 0.01)
    return np.minimum(1.0, loop_flow / np.maximum(asked, 1e-9))


def coasted(loop_flow: Array, condition: Condition, gain: float, dt_s: float) -> tuple[Array, Array]:
    """Return what loops' pumps can give of full flow, mean over a step and after it: they speed up and run down."""
    if loop_flow is condition.loop_pump:
        return loop_flow, loop_flow
    way = condition.loop_pump - loop_flow
    if not way.any():
        return condition.loop_pump, condition.loop_pump
    return loop_flow + way * mean_gain(dt_s, k.LOOP_PUMP_COAST_S), loop_flow + way * gain


@cache
def _delay_weights(from_s: float, until_s: float, dt_s: float) -> tuple[float, ...]:
    """Return the part of a span of the past that lies in each step, newest first; what is yet to come is in that."""
    steps = int(until_s / dt_s - 1e-9) + 1
    inside = [min(until_s, (i + 1) * dt_s) - max(from_s, i * dt_s) for i in range(steps)]
    inside[0] -= min(from_s, 0.0)
    return tuple(max(part, 0.0) / (until_s - from_s) for part in inside)


def delayed_kw(loop_kw: Sequence[Array], dt_s: float, *, begins: bool) -> Array:
    """Return the heat that arrives a dead time late in the first or second half of a step, (worlds, loops).

    loop_kw: means over the latest steps, newest last: those before the step where it begins, else with its own.

    >>> delayed_kw([np.array([6.0]), np.array([8.0])], dt_s=25.0, begins=False).round(6).tolist()
    [6.8]
    """
    half_s, dead_s = dt_s / 2, k.LOOP_DEAD_TIME_S
    span = (dead_s - half_s, dead_s) if begins else (dead_s, dead_s + half_s)
    parts = [p * kw for p, kw in zip(_delay_weights(*span, dt_s), reversed(loop_kw), strict=False) if p]
    return reduce(np.add, parts)


HELD_WITHIN_K = 0.5
"""Water that is no farther above where its valve would hold it is held; assumed."""


def half_water(
    params: PlantParams, water_c: Array, late_kw: Array, chilled_water_c: Array, condition: Condition, dt_s: float
) -> Array:
    """Return the loops' supply water after half a step of dt_s [degC].

    The loop's valve holds the setpoint, with a droop in proportion to the load, until exchanger or chiller cannot:
    Tw -> max(T0 + droop x, Tc + e x) with x the load of a dead time ago and e = 6 K / h, h the exchanger's margin.
    Held, it follows by its lag; else, since a loop's mass warms no faster for a worse exchanger, by one as much longer
    as that is worse than a healthy one.
    Source: dead time and lag read off a published figure of Summit; the rest is assumed (see constants).
    """
    gain, load = step_gains(dt_s).half_water, late_kw / params.loop_design_kw
    held_c = condition.loop_setpoint_c + k.LOOP_DROOP_K * load
    carried_c = chilled_water_c + condition.exchanger_k * load
    beyond_k = np.maximum(carried_c, water_c - HELD_WITHIN_K) - held_c
    if largest(beyond_k) <= 0:
        return np.asarray(water_c + (held_c - water_c) * gain)
    way = np.maximum(held_c, carried_c) - water_c
    slowly = -np.expm1(-dt_s * k.CHILLED_WATER_BELOW_K / (2 * k.LOOP_TAU_S * k.CDU_HX_MARGIN) / condition.exchanger_k)
    return np.asarray(water_c + way * np.where(beyond_k > 0, slowly, gain))


def cool_water(
    params: PlantParams,
    state: PlantState,
    middle: tuple[Array, Array],
    coil_kw: Array,
    condition: Condition,
    dt_s: float,
) -> tuple[tuple[Array, ...], Array, Array]:
    """Return the loops' latest heat, their supply water and the chilled water after a step.

    middle: the supply water at half of it, and the heat that arrived until then, a dead time after racks gave it.
    """
    loop_kw = (*state.loop_kw[1:], per_loop(params, coil_kw))
    (middle_c, early_kw), late_kw = middle, delayed_kw(loop_kw, dt_s, begins=False)
    chilled_water_c = chill(params, state.chilled_water_c, early_kw + late_kw, condition, dt_s)
    water_c = half_water(params, middle_c, late_kw, chilled_water_c, condition, dt_s)
    return loop_kw, water_c, chilled_water_c


def chill(params: PlantParams, chilled_water_c: Array, twice_kw: Array, condition: Condition, dt_s: float) -> Array:
    """Return the chilled water after a step, (worlds, 1), warmed by what the chillers cannot take away.

    M dTc/dt = Q - Qmax, not below its setpoint: under Qmax it is independent of the load. Energy balance. twice_kw: 2 Q
    of each loop, as the sum of both halves of a step.
    """
    excess_kw = np.add.reduce(twice_kw, axis=1, keepdims=True) - 2 * condition.chiller_kw
    warmer_c = chilled_water_c + excess_kw * (dt_s / (2 * params.chilled_mass_kj_k))
    return np.asarray(np.maximum(condition.chilled_setpoint_c, warmer_c))
