"""Cooling loops and the chiller plant: flow, and supply water that answers late to the heat it takes up."""

from collections.abc import Sequence

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.params import PlantParams
from sim.plant.relations import Array
from sim.plant.state import PlantState


def per_loop(params: PlantParams, of_racks: Array) -> Array:
    """Return a quantity of standard racks added up over each loop's racks by their size, (worlds, loops)."""
    count = params.loop_design_kw.size
    return np.array([np.bincount(params.loop_of_rack, params.size * world, count) for world in of_racks])


def flow_given(params: PlantParams, pump_pct: Array, loop_pump: Array) -> Array:
    """Return the part of the asked branch flow that each loop's pump can give, (worlds, loops).

    min(1, m / s): m what the pump can give, s the branches' mean speed, both of full flow. Assumed: flow is shared in
    proportion to what branches ask for.
    """
    asked = per_loop(params, pump_pct / 100) * params.loop_share
    return np.minimum(1.0, loop_pump / np.maximum(asked, 1e-9))


def delayed_kw(loop_kw: Sequence[Array], dt_s: float) -> Array:
    """Return the heat of a dead time ago, (worlds, loops), linear between the steps' own; newest last.

    >>> delayed_kw([np.array([6.0]), np.array([8.0])], dt_s=40.0).tolist()
    [7.0]
    """
    lag = k.LOOP_DEAD_TIME_S / dt_s
    whole, part = int(lag), lag % 1
    return np.asarray((1 - part) * loop_kw[-1 - whole] + part * loop_kw[-2 - whole])


def cool_water(
    params: PlantParams, state: PlantState, coil_kw: Array, condition: Condition, gain: float, dt_s: float
) -> tuple[tuple[Array, ...], Array, Array]:
    """Return the loops' latest heat, their supply water and the chilled water after a step.

    The loop's valve holds the setpoint, with a droop in proportion to the load, until exchanger or chiller cannot:
    Tw -> max(T0 + droop x, Tc + 6 x / h) with x the load of a dead time ago and h the exchanger's margin.
    Source: dead time and lag read off a published figure of Summit; the rest is assumed (see constants).
    """
    loop_kw = (*state.loop_kw[1:], per_loop(params, coil_kw))
    late_kw = delayed_kw(loop_kw, dt_s)
    chilled_water_c = chill(params, state.chilled_water_c, late_kw, condition, dt_s)
    load = late_kw / params.loop_design_kw
    held_c = condition.loop_setpoint_c + k.LOOP_DROOP_K * load
    carried_c = chilled_water_c + k.CHILLED_WATER_BELOW_K * load / condition.cdu_hx
    settled_c = np.maximum(held_c, carried_c)
    return loop_kw, state.water_c + (settled_c - state.water_c) * gain, chilled_water_c


def chill(params: PlantParams, chilled_water_c: Array, loop_kw: Array, condition: Condition, dt_s: float) -> Array:
    """Return the chilled water after a step, (worlds, 1), warmed by what the chillers cannot take away.

    M dTc/dt = Q - Qmax, not below its setpoint: under Qmax it is independent of the load. Energy balance.
    """
    excess_kw = np.add.reduce(loop_kw, axis=1, keepdims=True) - condition.chiller_kw
    warmer_c = chilled_water_c + excess_kw * (dt_s / params.chilled_mass_kj_k)
    return np.asarray(np.maximum(condition.chilled_setpoint_c, warmer_c))
