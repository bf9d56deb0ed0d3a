"""How far first-order lags go in one step."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.plant import constants as k
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class StepGains:
    """The part of its way that each lag goes in one step, or in half of one, 0..1.

    driver_course: that of drivers, on average over the step and at its end, (2, 1, 1).
    """

    driver_course: Array
    gpu: float
    mean_gpu: float
    half_airflow: float
    half_actuator: float
    half_water: float
    pump_coast: float


@cache
def step_gains(dt_s: float) -> StepGains:
    """Return the gains of a step [s]; a run has one step."""
    return StepGains(
        driver_course=np.array([mean_gain(dt_s, k.DRIVER_TAU_S), gain(dt_s, k.DRIVER_TAU_S)])[:, None, None],
        gpu=gain(dt_s, k.GPU_TAU_S),
        mean_gpu=mean_gain(dt_s, k.GPU_TAU_S),
        half_airflow=gain(dt_s / 2, k.AIRFLOW_TAU_S),
        half_actuator=gain(dt_s / 2, k.ACTUATOR_TAU_S),
        half_water=gain(dt_s / 2, k.LOOP_TAU_S),
        pump_coast=gain(dt_s, k.LOOP_PUMP_COAST_S),
    )


def gain(dt_s: float, tau_s: float) -> float:
    """Return how much of its way a first-order lag goes in one step: 1 - e^(-dt/tau), its exact solution.

    >>> gain(60.0, 60.0)
    0.6321205588285577
    """
    return float(-np.expm1(-dt_s / tau_s))


def mean_gain(dt_s: float, tau_s: float) -> float:
    """Return how much of its way a first-order lag has gone on average over a step: 1 - (tau/dt) (1 - e^(-dt/tau)).

    >>> round(mean_gain(60.0, 60.0), 12) == round(1 - gain(60.0, 60.0), 12)
    True
    """
    return 1 - tau_s / dt_s * gain(dt_s, tau_s)
