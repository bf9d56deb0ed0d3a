"""The relations between load, power, air and latency, as pure functions of arrays.

Each is for standard racks: `size` never appears here, callers scale what is extensive.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.plant import constants as k

Array = npt.NDArray[np.float64]


def within(value: Array, low: Array | float, high: Array | float) -> Array:
    """Return `value` limited to [low, high]; on small arrays twice as fast as np.clip."""
    limited: Array = np.minimum(np.maximum(value, low), high)
    return limited


def largest(values: Array) -> float:
    """Return the largest of values; on small arrays in a third of the time of values.max()."""
    return values.item(values.argmax())


def smallest(values: Array) -> float:
    """Return the smallest of values; on small arrays in a third of the time of values.min()."""
    return values.item(values.argmin())


def gpu_kw(
    tokens_ps: Array, token_energy: Array, gpu_c: Array, idle: Array | float = 1.0, follows: float = 0.0
) -> Array:
    """Return GPU power [kW]: D (1 + l (T - T0)) with D = P0 i + s E, idle and so much for each token, with leakage.

    tokens_ps: s [tokens/s]; token_energy: E, 1 = reference; gpu_c: T [degC]; idle: i, part of the GPUs that are on.
    follows: how much of what the power warms them by comes on top; then P = D (1 + l (T + f R P - T0)) in closed form.
    Source: leakage l and thermal resistance R measured on traces of Cornell BioHPC; idle power and energy per token are
    assumed.

    >>> round(float(gpu_kw(np.array(8000.0), np.array(1.0), np.array(60.0))), 3)
    5.3
    """
    dynamic = token_energy * tokens_ps * (k.GPU_J_PER_TOKEN / 1000) + k.GPU_IDLE_KW * idle
    power = dynamic * leakage(gpu_c)
    return power / (1.0 - (k.LEAKAGE_PER_K * k.GPU_KELVIN_PER_KW * follows) * dynamic) if follows else power


def leakage(gpu_c: Array) -> Array:
    """Return GPU power at a temperature [degC] against that at the reference: 1 + l (T - T0)."""
    return k.LEAKAGE_PER_K * gpu_c + (1 - k.LEAKAGE_PER_K * k.GPU_REFERENCE_C)


def settled_gpu_kw(tokens_ps: Array, token_energy: Array, inlet_c: Array) -> Array:
    """Return GPU power [kW] once the GPUs' own temperature has followed it; inlet_c [degC], the rest as for gpu_kw."""
    return gpu_kw(tokens_ps, token_energy, inlet_c, follows=1.0)


def rack_kw(gpu_kw: Array, airflow_m3s: Array) -> Array:
    """Return a running rack's power [kW]: P (1 + h) + H0 + F (V / V0)^3, GPUs, hosts and server fans.

    gpu_kw: P [kW]; airflow_m3s: V [m3/s].
    Source: affinity law of fans; the hosts' part is assumed.

    >>> round(float(rack_kw(np.array(5.0), np.array(0.53))), 2)
    7.35
    """
    return gpu_kw * (1 + k.HOST_PER_GPU_KW) + k.HOST_IDLE_KW + server_fans_kw(airflow_m3s)


def server_fans_kw(airflow_m3s: Array) -> Array:
    """Return what the fans of servers draw [kW]: F (V / V0)^3, the affinity law; airflow_m3s: V [m3/s]."""
    return (k.SERVER_FAN_KW / k.AIRFLOW_REFERENCE_M3S**3) * (airflow_m3s * airflow_m3s * airflow_m3s)


def gpu_limit_kw(sink_c: Array, beside_kw: Array, limit_kw: Array | float = k.RACK_LIMIT_KW) -> Array:
    """Return the most that GPUs may draw [kW]: what keeps them at their limit, and the rack below its breakers'.

    min((Tl - Ti) / R, (Pmax - H0 - b) / (1 + h)), not below nothing. sink_c: Ti, inlet air or plates [degC];
    beside_kw: b, drawn by the servers' fans, and by what incidents add [kW]; limit_kw: Pmax [kW].
    Source: Tl and R within what traces of Cornell BioHPC show; the breakers' limit is assumed.

    >>> gpu_limit_kw(np.array([20.0, 33.2]), server_fans_kw(np.array(0.53))).round(2).tolist()
    [9.79, 8.61]
    """
    cool_kw = (k.GPU_LIMIT_C - sink_c) * (1 / k.GPU_KELVIN_PER_KW)
    left_kw = ((limit_kw - k.HOST_IDLE_KW) - beside_kw) * (1 / (1 + k.HOST_PER_GPU_KW))
    return np.maximum(np.minimum(cool_kw, left_kw), 0.0)


def clock_within(budget_kw: Array, token_energy: Array, offered_ps: Array, capacity_ps: Array) -> Array:
    """Return the highest clock, 0.3..1, at which GPUs serve what they are offered within a budget above idle [kW].

    At a clock c a rack serves min(o, C c) tokens/s and a token takes E c^g: the least of two powers that rise with c,
    so the clock is the higher of the two at which they meet the budget. token_energy: E, 1 = reference; offered_ps: o,
    capacity_ps: C at the full clock [tokens/s].
    Source: Splitwise, where a cap lets prefill take 1.3 times as long; the exponent g is assumed.
    """
    kw_per_tokens_ps = token_energy * (k.GPU_J_PER_TOKEN / 1000)
    budget_kw, tiny = np.maximum(budget_kw, 0.0), 1e-9
    of_offered = (budget_kw / np.maximum(kw_per_tokens_ps * offered_ps, tiny)) ** (1 / k.CLOCK_ENERGY_EXPONENT)
    of_capacity = (budget_kw / np.maximum(kw_per_tokens_ps * capacity_ps, tiny)) ** (1 / (1 + k.CLOCK_ENERGY_EXPONENT))
    return within(np.maximum(of_offered, of_capacity), k.CLOCK_MIN, 1.0)


def airflow_m3s(airflow: Array, rack_kw: Array, inlet_c: Array) -> Array:
    """Return the air that servers draw [m3/s]: a (V1 + v P) w, more for more power but less than in proportion.

    airflow: a, 1 for an unobstructed rack; rack_kw: P [kW]; inlet_c: w = 1 + ((Ti - 27) / 12.8)^2 above 27 degC, at
    most 2. Assumed, within 85 to 200 CFM/kW as real servers draw; beyond 27 degC after a test of GRC.
    """
    return airflow * wanted_m3s(rack_kw, inlet_c)


def wanted_m3s(rack_kw: Array, inlet_c: Array) -> Array:
    """Return the air that unobstructed servers draw [m3/s]."""
    wanted = k.AIRFLOW_PER_KW_M3S * rack_kw + k.AIRFLOW_BASE_M3S
    beyond = np.maximum(inlet_c - k.FAN_RAMP_C, 0.0) * (1 / k.FAN_RAMP_K)
    return wanted * np.minimum(1.0 + beyond * beyond, k.FAN_RAMP_MOST)


def air_rise_k(rack_kw: Array, air_capacity_rate_kw_k: Array) -> Array:
    """Return how much air warms from inlet to outlet once it carries off all power [K]: P / (rho cp V).

    rack_kw: power [kW]; air_capacity_rate_kw_k: heat capacity rate of the air through the rack [kW/K].
    Source: energy balance.

    >>> round(float(air_rise_k(np.array(7.9), k.AIR_KJ_M3K * np.array(0.53))), 2)
    12.45
    """
    return rack_kw / air_capacity_rate_kw_k


def inlet_c(
    outlet_c: Array, supply_c: Array, recirculation: Array, mixing_heat_kw: Array, air_capacity_rate_kw_k: Array
) -> Array:
    """Return the inlet [degC]: Ts + r (To - Ts) + q / F, cold aisle air with own exhaust and neighbours' air in it.

    outlet_c, supply_c: exhaust and cold aisle [degC]; recirculation: r, 0..1; mixing_heat_kw: q [kW];
    air_capacity_rate_kw_k: F, of all air through the rack [kW/K].
    Source: energy balance of mixing streams.

    >>> float(inlet_c(np.array(35.0), np.array(21.0), np.array(0.1), np.array(0.0), np.array(0.6)))
    22.4
    """
    return supply_c + recirculation * (outlet_c - supply_c) + mixing_heat_kw / air_capacity_rate_kw_k


class Conductances(NamedTuple):
    """Of a coil [kW/K]: from the air to the coil, from the coil to its supply water, and of both in series."""

    air_kw_k: Array
    water_kw_k: Array
    whole_kw_k: Array


def coil_conductances(fan_pct: Array, branch_pct: Array, air_kw_k: Array, coil: Array | float) -> Conductances:
    """Return what a coil hands on for each kelvin: F (1 - exp(-NTU)), of the whole and of its air side.

    NTU = UA c ((fan / fan0) (branch / branch0))^0.8 / F for the whole, NTU = s UA c (fan / fan0)^0.8 / F for the air
    side; what is left of the whole's resistance is the water's. fan_pct, branch_pct: speeds [%]; air_kw_k: F, heat
    capacity rate of the air through the coil [kW/K]; coil: c, 1 for a clean one.
    Source: Incropera, Fundamentals of Heat and Mass Transfer, exchanger with one dominant capacity flow; s is assumed.
    """
    fan = (k.COIL_KW_K * coil) * (fan_pct * (1 / k.FAN_REFERENCE_PCT)) ** k.COIL_EXPONENT
    both = fan * (branch_pct * (1 / k.PUMP_REFERENCE_PCT)) ** k.COIL_EXPONENT
    less = -air_kw_k
    whole = less * np.expm1(both / less)
    air = less * np.expm1(fan * k.COIL_AIR_SIDE / less)
    return Conductances(air, air * whole / np.maximum(air - whole, 1e-12), whole)


def latency_p95_ms(utilisation: Array, wait_s: Array, service: Array | float = 1.0) -> Array:
    """Return 95th percentile latency [ms]: x (L0 + q u / (1 - u)) + 1000 w, service, queueing, the wait for a backlog.

    utilisation: u, counted up to 0.97; wait_s: w [s]; service: x, how long a request takes against usual ones.
    Source: mean wait of an M/M/1 queue, which is in proportion to the service time; base and factor fitted to the
    shipped profiles (see constants).

    >>> float(latency_p95_ms(np.array(0.5), np.array(0.0)))
    188.0
    """
    u = np.minimum(utilisation, k.UTILISATION_MAX)
    latency: Array = service * (k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * u / (1 - u)) + 1000 * wait_s
    return latency


def queue_depth(tokens_ps: Array, latency_p95_ms: Array, tokens_per_request: Array) -> Array:
    """Return requests in the system: L = lambda W.

    tokens_ps [tokens/s]; latency_p95_ms [ms]; tokens_per_request: tokens in a request.
    Source: Little's law; the 95th percentile stands for the mean, as in the training document's own ranges.

    >>> float(queue_depth(np.array(9000.0), np.array(200.0), np.array(36.0)))
    50.0
    """
    return tokens_ps * latency_p95_ms / (1000 * tokens_per_request)
