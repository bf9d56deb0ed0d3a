"""Controllers of fans and branch pumps: what they ask for, and how actuators follow."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.relations import Array, largest, within

FULL_SPEED_PCT = 100.0


class Controller(Protocol):
    """Whoever commands an actuator of a rack."""

    def asked_pct(self, inlet_c: Array, rack_kw: Array) -> Array:
        """Return the speed asked for [%] at an inlet [degC] and power [kW], before any limit."""


@dataclass(frozen=True, slots=True)
class InletPowerLaw:
    """A proportional controller of the inlet that power feeds forward: s0 + a (T - T0) + b (P - P0).

    reference_pct: s0, asked for at the nominal profile's inlet and power; pct_per_k: a; pct_per_kw: b.
    Assumed: the simplest law that puts the shipped profiles' fans and pumps into their ranges.

    >>> round(float(FAN.asked_pct(np.array(23.4), np.array(7.9))), 9)
    69.0
    """

    reference_pct: float
    pct_per_k: float
    pct_per_kw: float

    def asked_pct(self, inlet_c: Array, rack_kw: Array) -> Array:
        """Return the speed asked for [%], before any limit."""
        at_zero_pct = self.reference_pct - self.pct_per_k * k.SETPOINT_INLET_C - self.pct_per_kw * k.REFERENCE_RACK_KW
        return self.pct_per_k * inlet_c + self.pct_per_kw * rack_kw + at_zero_pct


FAN = InletPowerLaw(k.FAN_REFERENCE_PCT, k.FAN_PCT_PER_K, k.FAN_PCT_PER_KW)
PUMP = InletPowerLaw(k.PUMP_REFERENCE_PCT, k.PUMP_PCT_PER_K, k.PUMP_PCT_PER_KW)


def command_pct(asked_pct: Array, bias_pct: Array) -> Array:
    """Return the speed that a healthy actuator is sent to [%], bias included.

    >>> command_pct(np.array([10.0, 65.0, 99.0]), np.array(5.0)).tolist()
    [20.0, 70.0, 100.0]
    """
    return within(asked_pct + bias_pct, k.ACTUATOR_MIN_PCT, FULL_SPEED_PCT)


def follow(speed_pct: Array, command: Array, gain: float, dt_s: float) -> Array:
    """Return the speed [%] after a step: a first-order lag towards the command, no faster than the actuator can.

    ds/dt = limit((c - s) / tau, +-rate), exactly: at the rate until what is left is rate tau, then by the lag, of which
    gain is 1 - e^(-dt/tau). Lag and rate are assumed.
    """
    way = command - speed_pct
    near_pct = k.ACTUATOR_RATE_PCT_S * k.ACTUATOR_TAU_S
    far = np.abs(way)
    if largest(far) <= near_pct:
        return speed_pct + way * gain
    limited_s = within((far - near_pct) / k.ACTUATOR_RATE_PCT_S, 0.0, dt_s)
    at_rate = k.ACTUATOR_RATE_PCT_S * limited_s
    moved = at_rate - (far - at_rate) * np.expm1((limited_s - dt_s) / k.ACTUATOR_TAU_S)
    return speed_pct + np.where(far <= near_pct, way * gain, np.copysign(moved, way))


def actuate(speed_pct: Array, asked_pct: Array, condition: Condition, gain: float, dt_s: float) -> Array:
    """Return the speeds of fan and branch pump after a step [%], (2, ..), within what incidents leave of them."""
    c = condition
    moved = follow(speed_pct, within(asked_pct, c.lowest_pct, c.highest_pct), gain, dt_s)
    if not c.limits_differ:
        return moved
    return within(moved, c.failed_lowest_pct, c.highest_pct)  # what fails does not wait for its controller
