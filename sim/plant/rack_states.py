"""States of racks: how much they can serve, whether their nodes run, whether they have power, and what they draw."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.condition import Condition
from sim.plant.gains import StepGains
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


def capacity_ps(state: PlantState, capacity: Array, condition: Condition) -> Array:
    """Return what racks can serve [tokens/s]: less when GPUs throttle, nothing when nodes are down or without power."""
    most_ps = relations.capacity_ps(capacity, state.gpu_c) * state.nodes_up
    return most_ps * condition.powered if condition.power_differs else most_ps


def draw_power(
    state: PlantState, tokens_ps: Array, token_energy: Array, airflow: Array, condition: Condition, gains: StepGains
) -> PowerDraw:
    """Return the power drawn for what is served; its mean over the step is that of its two ends."""
    before_gpu_kw, before_kw = state.gpu_kw, state.rack_kw
    gpu_kw = relations.gpu_kw(tokens_ps, token_energy, state.gpu_c)
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
        gpu_c=state.gpu_c + (state.inlet_c + k.GPU_KELVIN_PER_KW * gpu_kw - state.gpu_c) * gains.gpu,
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
