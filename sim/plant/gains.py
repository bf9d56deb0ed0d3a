"""How far first-order lags go in one step."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.plant import constants as k


@dataclass(frozen=True, slots=True)
class StepGains:
    """The part of its way that each lag goes in one step, 0..1."""

    drivers: float
    airflow: float
    gpu: float
    actuator: float
    water: float


@cache
def step_gains(dt_s: float) -> StepGains:
    """Return the gains of a step [s]; a run has one step."""
    return StepGains(
        drivers=gain(dt_s, k.DRIVER_TAU_S),
        airflow=gain(dt_s, k.AIRFLOW_TAU_S),
        gpu=gain(dt_s, k.GPU_TAU_S),
        actuator=gain(dt_s, k.ACTUATOR_TAU_S),
        water=gain(dt_s, k.LOOP_TAU_S),
    )


def gain(dt_s: float, tau_s: float) -> float:
    """Return how much of its way a first-order lag goes in one step: 1 - e^(-dt/tau), its exact solution.

    >>> gain(60.0, 60.0)
    0.6321205588285577
    """
    return float(-np.expm1(-dt_s / tau_s))
