"""Where the channels of a rack settle under constant drivers: by the step's own relations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.model.facility import STANDARD
from sim.model.profiles import PROFILE_CHANNELS, Profile
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.controllers import command_pct
from sim.plant.cooling import CoolingInputs
from sim.plant.drivers import Drivers
from sim.plant.rack_types import RACK_COOLING
from sim.plant.relations import Array

_INLET_SEARCH_C = (-20.0, 120.0)

COOLING = RACK_COOLING[STANDARD]
"""How the racks are cooled that profiles describe."""

Channels = dict[str, Array]


@dataclass(frozen=True, slots=True)
class BoundaryConditions:
    """What a rack finds around it: supply water [degC], and neighbours and walls as warm as nominal exhaust [degC].

    Walls take hours to follow, longer than a rack stays in any profile.
    """

    water_c: Array | float
    outlet_c: float

    def mixing_heat_kw(self, outlet_c: Array) -> Array:
        """Return the heat that neighbours give to a rack with this exhaust [kW]; negative where it is hotter."""
        return k.EXCHANGE_KW_K * k.TYPICAL_NEIGHBOURS * (self.outlet_c - outlet_c)

    def wall_kw(self, outlet_c: Array) -> Array:
        """Return the heat that the walls take from a rack with this exhaust [kW]; negative where it is cooler."""
        return k.STRUCTURE_KW_K * (outlet_c - self.outlet_c)

    def exhaust_c(self, inlet_c: Array, power_kw: Array, rate_kw_k: Array) -> Array:
        """Return the exhaust [degC] at which air of a rate [kW/K] and walls carry off all power."""
        return (rate_kw_k * inlet_c + power_kw + k.STRUCTURE_KW_K * self.outlet_c) / (rate_kw_k + k.STRUCTURE_KW_K)


class _Held(NamedTuple):
    """A rack whose inlet is held, all else settled: see Channels; cooled_c is the inlet that its cooling gives."""

    tokens_ps: Array
    capacity_ps: Array
    clock: Array
    power_kw: Array
    outlet_c: Array
    fan_pct: Array
    pump_pct: Array
    cooled_c: Array


def steady_state(d: Drivers, place: BoundaryConditions, coil: Array | float = 1.0) -> Channels:
    """Return where every channel settles, (profiles,), under constant drivers in their surroundings.

    The inlet at which the rack's cooling gives back that same inlet, by bisection. coil: the coil's condition, 1 for a
    clean one.
    """
    low = np.full_like(d.airflow, _INLET_SEARCH_C[0])
    high = np.full_like(d.airflow, _INLET_SEARCH_C[1])
    for _ in range(44):  # halves 140 K to 1e-11 K
        middle = (low + high) / 2
        warmer = _held_at(d, middle, place, coil).cooled_c > middle
        low, high = np.where(warmer, middle, low), np.where(warmer, high, middle)
    inlet_c = (low + high) / 2
    return _channels(d, inlet_c, _held_at(d, inlet_c, place, coil))


def _channels(d: Drivers, inlet_c: Array, at: _Held) -> Channels:
    latency = relations.latency_p95_ms(at.tokens_ps / at.capacity_ps, np.zeros_like(at.tokens_ps), 1 / at.clock)
    return {
        "inlet_c": inlet_c,
        "outlet_c": at.outlet_c,
        "pdu_kw": at.power_kw,
        "tokens_ps": at.tokens_ps,
        "latency_p95_ms": latency,
        "queue_depth": relations.queue_depth(at.tokens_ps, latency, d.tokens_per_request),
        "fan_rpm_pct": at.fan_pct,
        "pump_rpm_pct": at.pump_pct,
        "cooled_inlet_c": at.cooled_c,
    }


def _held_at(d: Drivers, inlet_c: Array, place: BoundaryConditions, coil: Array | float) -> _Held:
    """Return a rack whose inlet is held at `inlet_c` while all else settles."""
    tokens_ps, capacity_ps, clock, power_kw, airflow_m3s = _electrical(d, inlet_c)
    fan_pct = command_pct(COOLING.fan.asked_pct(inlet_c, power_kw), d.fan_bias_pct)
    pump_pct = command_pct(COOLING.pump.asked_pct(inlet_c, power_kw), d.pump_bias_pct)
    outlet_c = place.exhaust_c(inlet_c, power_kw, k.AIR_KJ_M3K * airflow_m3s)
    cooled_c = cooled_inlet_c(power_kw, airflow_m3s, outlet_c, d.recirculation, (fan_pct, pump_pct), place, coil)
    return _Held(tokens_ps, capacity_ps, clock, power_kw, outlet_c, fan_pct, pump_pct, cooled_c)


def cooled_inlet_c(
    power_kw: Array,
    airflow_m3s: Array,
    outlet_c: Array,
    recirculation: Array,
    speeds: tuple[Array, Array],
    place: BoundaryConditions,
    coil: Array | float = 1.0,
) -> Array:
    """Return the inlet [degC] that a standard rack's cooling settles at under constant power, air and speeds.

    The technology's own settled balance. outlet_c: exhaust that neighbours' air mixes with [degC]; speeds: of
    fan and branch pump [%]; coil: the coil's condition.
    """
    rate_kw_k, mixing_kw = k.AIR_KJ_M3K * airflow_m3s, place.mixing_heat_kw(outlet_c)
    met = CoolingInputs(
        rack_kw=power_kw - place.wall_kw(outlet_c),
        mixing_heat_kw=mixing_kw,
        air_capacity_rate_kw_k=rate_kw_k,
        recirculation=recirculation,
        fan_pct=speeds[0],
        branch_pct=speeds[1],
        coil=np.asarray(coil),
        water_c=np.asarray(place.water_c),
    )
    mean = COOLING.technology.settled(met)
    return relations.inlet_c(mean.outlet_c, mean.supply_c, recirculation, mixing_kw, rate_kw_k)


def _electrical(d: Drivers, inlet_c: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return tokens/s, capacity [tokens/s], clock, power [kW] and airflow [m3/s] at an inlet temperature [degC]."""
    airflow_m3s = np.full_like(inlet_c, k.AIRFLOW_REFERENCE_M3S)
    full_ps = k.CAPACITY_TOKENS_PS * d.capacity
    freely_ps = np.minimum(d.offered_tokens_ps, full_ps)
    freely_kw = relations.settled_gpu_kw(freely_ps, d.token_energy, inlet_c)
    for _ in range(6):  # fans feed back a few per cent: each round gains more than a digit
        limit_kw = relations.gpu_limit_kw(inlet_c, relations.server_fans_kw(airflow_m3s))
        leakage = relations.leakage(inlet_c + k.GPU_KELVIN_PER_KW * limit_kw)
        budget_kw = limit_kw / leakage - k.GPU_IDLE_KW
        capped = relations.clock_within(budget_kw, d.token_energy, d.offered_tokens_ps, full_ps)
        clock = np.where(freely_kw <= limit_kw, 1.0, capped)
        tokens_ps = np.minimum(d.offered_tokens_ps, full_ps * clock)
        gpu_kw = relations.settled_gpu_kw(tokens_ps, d.token_energy * clock**k.CLOCK_ENERGY_EXPONENT, inlet_c)
        power_kw = relations.rack_kw(gpu_kw, airflow_m3s)
        # server fans that carry off their own heat grow without end; no rack comes near this
        airflow_m3s = np.minimum(relations.airflow_m3s(d.airflow, power_kw, inlet_c), 10 * k.AIRFLOW_REFERENCE_M3S)
    return tokens_ps, full_ps * clock, clock, power_kw, airflow_m3s


def profile_steady_states(
    profiles: Mapping[str, Profile], d: Drivers, place: BoundaryConditions
) -> dict[str, dict[str, float]]:
    """Return each profile's steady state by channel, for people to read."""
    settled = steady_state(d, place)
    return {name: {c: float(settled[c][i]) for c in PROFILE_CHANNELS} for i, name in enumerate(profiles)}
