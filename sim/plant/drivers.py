"""What a profile drives, and where the channels of a rack settle under it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from sim.model.profiles import PROFILE_CHANNELS, Profile
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.relations import Array


@dataclass(frozen=True, slots=True)
class Drivers:
    """The inputs of a rack's physics that its profile sets, each (profiles,); the channels follow from them.

    Ratios are 1 for a reference rack. `recirculation` is the part of its own exhaust that a rack breathes, a bias is
    what a controller asks for beyond its law [%]. The `_sd` fields size the mean-reverting noise: relative for load
    and airflow, absolute for recirculation.
    """

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

    def table(self) -> Array:
        """Return all drivers as one array, (drivers, profiles), in the order of DRIVER_NAMES."""
        return np.array([getattr(self, name) for name in DRIVER_NAMES])


DRIVER_NAMES: tuple[str, ...] = tuple(f.name for f in fields(Drivers))

_INLET_SEARCH_C = (-20.0, 120.0)

Channels = dict[str, Array]


@dataclass(frozen=True, slots=True)
class BoundaryConditions:
    """What a rack finds around it: supply water [degC], and neighbours with nominal exhaust [degC]."""

    water_c: Array | float
    outlet_c: float

    def mixing_heat_kw(self, outlet_c: Array) -> Array:
        """Return the heat that neighbours give to a rack with this exhaust [kW]; negative where it is hotter."""
        return k.EXCHANGE_KW_K * k.TYPICAL_NEIGHBOURS * (self.outlet_c - outlet_c)


def steady_state(d: Drivers, place: BoundaryConditions, coil: Array | float = 1.0) -> Channels:
    """Return where every channel settles, (profiles,), under constant drivers in their surroundings.

    coil: the coil's condition, 1 for a clean one.
    """
    low = np.full_like(d.airflow, _INLET_SEARCH_C[0])
    high = np.full_like(d.airflow, _INLET_SEARCH_C[1])
    for _ in range(44):  # halves 140 K to 1e-11 K
        middle = (low + high) / 2
        warmer = _held_at(d, middle, place, coil)["implied_inlet_c"] > middle
        low, high = np.where(warmer, middle, low), np.where(warmer, high, middle)
    return _held_at(d, (low + high) / 2, place, coil)


def _held_at(d: Drivers, inlet_c: Array, place: BoundaryConditions, coil: Array | float) -> Channels:
    """Return all channels when the inlet is held at `inlet_c`, and the inlet that the coil would then give."""
    tokens, power, gpu_c, airflow = _electrical(d, inlet_c)
    fan = relations.fan_command_pct(inlet_c, power, d.fan_bias_pct)
    pump = relations.pump_command_pct(inlet_c, power, d.pump_bias_pct)
    air_kw_k = k.AIR_KJ_M3K * airflow
    fresh = 1 - d.recirculation
    cooled = fresh * relations.coil_effectiveness(fan, pump, air_kw_k * fresh, coil)
    rise_k = power / air_kw_k
    carried_k = rise_k + place.mixing_heat_kw(inlet_c + rise_k) / air_kw_k
    full = k.CAPACITY_TOKENS_PS * d.capacity * relations.throttle(gpu_c)
    latency = relations.latency_p95_ms(tokens / full, np.zeros_like(tokens))
    return {
        "inlet_c": inlet_c,
        "outlet_c": inlet_c + rise_k,
        "pdu_kw": power,
        "tokens_ps": tokens,
        "latency_p95_ms": latency,
        "queue_depth": relations.queue_depth(tokens, latency, d.tokens_per_request),
        "fan_rpm_pct": fan,
        "pump_rpm_pct": pump,
        "implied_inlet_c": place.water_c + carried_k / cooled - rise_k,
    }


def _electrical(d: Drivers, inlet_c: Array) -> tuple[Array, Array, Array, Array]:
    """Return tokens/s, power [kW], GPU temperature [degC] and airflow [m3/s] at an inlet temperature [degC]."""
    tokens = d.offered_tokens_ps
    airflow = np.full_like(inlet_c, k.AIRFLOW_REFERENCE_M3S)
    for _ in range(6):  # fans and throttling feed back a few per cent: each round gains more than a digit
        gpu_kw = relations.settled_gpu_kw(tokens, d.token_energy, inlet_c)
        gpu_c = inlet_c + k.GPU_KELVIN_PER_KW * gpu_kw
        tokens = np.minimum(d.offered_tokens_ps, k.CAPACITY_TOKENS_PS * d.capacity * relations.throttle(gpu_c))
        power = relations.rack_kw(gpu_kw, airflow)
        # server fans that carry off their own heat grow without end; no rack comes near this
        airflow = np.minimum(relations.airflow_m3s(d.airflow, power), 10 * k.AIRFLOW_REFERENCE_M3S)
    return tokens, power, gpu_c, airflow


def profile_steady_states(
    profiles: Mapping[str, Profile], d: Drivers, place: BoundaryConditions
) -> dict[str, dict[str, float]]:
    """Return each profile's steady state by channel, for people to read."""
    settled = steady_state(d, place)
    return {name: {c: float(settled[c][i]) for c in PROFILE_CHANNELS} for i, name in enumerate(profiles)}
