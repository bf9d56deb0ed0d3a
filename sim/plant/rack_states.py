"""States of racks: how much they can serve, whether their nodes run, whether they have power, and what they draw."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.condition import Condition
from sim.plant.gains import StepGains
from sim.plant.load import served_ps
from sim.plant.relations import Array
from sim.plant.state import PlantState


class PowerDraw(NamedTuple):
    """What racks draw after a step, and the states that decide it; their fields are those of PlantState."""

    gpu_c: Array
    gpu_kw: Array
    rack_kw: Array
    airflow_m3s: Array
    nodes_up: Array
    mean_gpu_kw: Array
    mean_rack_kw: Array


class Served(NamedTuple):
    """What racks serve in a step: what they could and do serve [tokens/s], and what that makes of their GPUs.

    gpu_kw: the power that they draw; gpu_c: their temperature after the step, as long as nothing else takes power away.
    """

    capacity_ps: Array
    tokens_ps: Array
    gpu_kw: Array
    gpu_c: Array


def serve(
    state: PlantState,
    offered_ps: Array,
    capacity: Array,
    token_energy: Array,
    condition: Condition,
    gains: StepGains,
    dt_s: float,
) -> Served:
    """Return what racks serve: less when GPUs throttle, nothing when nodes are down or without power.

    Hardware finds the balance of its emergency slowdown within milliseconds. If the temperature before a step of a
    minute set it, it would overshoot by more from step to step, and let the last bits of a processor's exp grow until
    they can be read.
    """

    def served(left: Array) -> Served:
        able_ps = _able_ps(state, capacity, left, condition)
        tokens_ps = served_ps(offered_ps, state.backlog_tokens, able_ps, dt_s)
        gpu_kw = relations.gpu_kw(tokens_ps, token_energy, state.gpu_c)
        return Served(able_ps, tokens_ps, gpu_kw, _next_gpu_c(state, gpu_kw, gains))

    def next_gpu_c(part: Array) -> Array:
        able_ps = _able_ps(state, capacity, part, condition)
        return _next_gpu_c(state, relations.gpu_kw(able_ps, token_energy, state.gpu_c), gains)

    left = relations.lower_clocks(state.gpu_c)
    without = served(left)
    if without.gpu_c.max() <= k.SLOWDOWN_C[0]:
        return without
    slowest_c = next_gpu_c(relations.slowed(left, 1.0))
    return served(relations.slowed(left, relations.balanced_emergency(without.gpu_c, next_gpu_c(left), slowest_c)))


def _able_ps(state: PlantState, capacity: Array, left: Array, condition: Condition) -> Array:
    """Return what racks are able to serve [tokens/s] with a part of their capacity left."""
    able_ps = k.CAPACITY_TOKENS_PS * capacity * left * state.nodes_up
    return able_ps * condition.powered if condition.power_differs else able_ps


def _next_gpu_c(state: PlantState, gpu_kw: Array, gains: StepGains) -> Array:
    """Return the GPUs' temperature after a step in which they draw a power [kW]."""
    return state.gpu_c + (state.inlet_c + k.GPU_KELVIN_PER_KW * gpu_kw - state.gpu_c) * gains.gpu


def draw_power(state: PlantState, served: Served, airflow: Array, condition: Condition, gains: StepGains) -> PowerDraw:
    """Return the power drawn for what is served; its mean over the step is that of its two ends."""
    before_gpu_kw, before_kw, gpu_kw = state.gpu_kw, state.rack_kw, served.gpu_kw
    wanted_m3s = relations.airflow_m3s(airflow, state.rack_kw)
    if condition.power_differs:
        wanted_m3s = wanted_m3s * np.maximum(condition.powered, k.PASSIVE_AIRFLOW)
    airflow_m3s = state.airflow_m3s + (wanted_m3s - state.airflow_m3s) * gains.airflow
    rack_kw, nodes_up = relations.rack_kw(gpu_kw, airflow_m3s), state.nodes_up
    if np.count_nonzero(nodes_up) < nodes_up.size or np.count_nonzero(state.inlet_c > k.RESTART_INLET_C):
        nodes_up = protected(state.inlet_c, nodes_up)
        gpu_kw, rack_kw = gpu_kw * nodes_up, np.where(nodes_up > 0, rack_kw, k.STANDBY_KW)
    if condition.power_differs or state.powered is not condition.powered:  # the same array is the same supply
        gpu_kw, rack_kw, switched = supplied(gpu_kw, rack_kw, state.powered, condition)
        before_gpu_kw = np.where(switched, gpu_kw, before_gpu_kw)
        before_kw = np.where(switched, rack_kw, before_kw)
    return PowerDraw(
        gpu_c=served.gpu_c if gpu_kw is served.gpu_kw else _next_gpu_c(state, gpu_kw, gains),
        gpu_kw=gpu_kw,
        rack_kw=rack_kw,
        airflow_m3s=airflow_m3s,
        nodes_up=nodes_up,
        mean_gpu_kw=(before_gpu_kw + gpu_kw) / 2,
        mean_rack_kw=(before_kw + rack_kw) / 2,
    )


def protected(inlet_c: Array, nodes_up: Array) -> Array:
    """Return which nodes run (1): they shut down above one inlet temperature and restart below another. Assumed.

    >>> protected(np.array([46.0, 40.0, 40.0, 34.0]), np.array([1.0, 1.0, 0.0, 0.0])).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    kept = np.where(inlet_c > k.RESTART_INLET_C, nodes_up, 1.0)
    return np.where(inlet_c > k.SHUTDOWN_INLET_C, 0.0, kept)


def supplied(
    gpu_kw: Array, rack_kw: Array, powered_before: Array, condition: Condition
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return GPU and rack power for the part of the step that racks have power, with what idles beside.

    And where the supply changed: what is drawn then is the step's own mean, not a point on the way.
    """
    powered = condition.powered
    return (
        gpu_kw * powered,
        np.maximum(rack_kw + condition.idle_kw, 0.0) * powered,
        np.asarray(powered != powered_before),
    )
