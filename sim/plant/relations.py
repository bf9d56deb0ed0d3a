"""The relations between load, power, air and latency, as pure functions of arrays.

Each is for standard racks: `size` never appears here, callers scale what is extensive.
"""

import numpy as np
import numpy.typing as npt

from sim.plant import constants as k

Array = npt.NDArray[np.float64]


def within(value: Array, low: Array | float, high: Array | float) -> Array:
    """Return `value` limited to [low, high]; on small arrays twice as fast as np.clip."""
    limited: Array = np.minimum(np.maximum(value, low), high)
    return limited


def gpu_kw(tokens_ps: Array, token_energy: Array, gpu_c: Array) -> Array:
    """Return GPU power [kW]: (P0 + s E) (1 + l (T - T0)), idle and so much for each token, with leakage.

    tokens_ps: s [tokens/s]; token_energy: E, 1 = reference; gpu_c: T [degC].
    Source: leakage l measured on traces of Cornell BioHPC; idle power and energy per token are assumed.

    >>> round(float(gpu_kw(np.array(8000.0), np.array(1.0), np.array(63.0))), 3)
    5.3
    """
    dynamic = k.GPU_IDLE_KW + token_energy * (tokens_ps * (k.GPU_J_PER_TOKEN / 1000))
    return dynamic * (1 + k.LEAKAGE_PER_K * (gpu_c - k.GPU_REFERENCE_C))


def settled_gpu_kw(tokens_ps: Array, token_energy: Array, inlet_c: Array) -> Array:
    """Return GPU power [kW] once the GPUs' own temperature has followed it: the fixed point of gpu_kw in closed form.

    With T = Ti + R P: P = D (1 + l (Ti - T0)) / (1 - l R D), D what idle and tokens take at T0.
    tokens_ps [tokens/s]; token_energy: 1 = reference; inlet_c: Ti [degC].
    Source: as gpu_kw; thermal resistance R from the span measured on traces of Cornell BioHPC.
    """
    dynamic = k.GPU_IDLE_KW + token_energy * (tokens_ps * (k.GPU_J_PER_TOKEN / 1000))
    leakage = 1 + k.LEAKAGE_PER_K * (inlet_c - k.GPU_REFERENCE_C)
    return dynamic * leakage / (1 - k.LEAKAGE_PER_K * k.GPU_KELVIN_PER_KW * dynamic)


def rack_kw(gpu_kw: Array, airflow_m3s: Array) -> Array:
    """Return the rack's power [kW]: P (1 + h) + H0 + F (V / V0)^3, GPUs, hosts and server fans.

    gpu_kw: P [kW]; airflow_m3s: V [m3/s].
    Source: affinity law of fans; the hosts' part is assumed.

    >>> round(float(rack_kw(np.array(5.0), np.array(0.53))), 2)
    7.35
    """
    fans = k.SERVER_FAN_KW * (airflow_m3s * (1 / k.AIRFLOW_REFERENCE_M3S)) ** k.SERVER_FAN_EXPONENT
    return gpu_kw * (1 + k.HOST_PER_GPU_KW) + k.HOST_IDLE_KW + fans


def throttle(gpu_c: Array) -> Array:
    """Return the part of capacity left at a GPU temperature [degC]: lower clocks when hot, an emergency beyond.

    Linear between the ends of both ramps.
    Source: the first ramp after traces of Cornell BioHPC, where power falls above 82-86 degC; the second is assumed.

    >>> throttle(np.array([84.0, 89.0, 94.0, 108.0])).round(2).tolist()
    [1.0, 0.94, 0.88, 0.63]
    """
    return slowed(lower_clocks(gpu_c), _ramp(gpu_c, k.SLOWDOWN_C))


def lower_clocks(gpu_c: Array) -> Array:
    """Return the part of capacity left at a GPU temperature [degC], the emergency aside."""
    return 1 - k.THROTTLE_LOSS * _ramp(gpu_c, k.THROTTLE_C)


def slowed(left: Array, emergency: Array | float) -> Array:
    """Return what an emergency slowdown, 0..1, leaves of the part of capacity that is left without it."""
    return left - k.SLOWDOWN_LOSS * emergency


def balanced_emergency(served_c: Array, full_c: Array, slowest_c: Array) -> Array:
    """Return the emergency slowdown, 0..1, that agrees with the GPU temperature to which it leads.

    served_c, full_c: that temperature without it [degC], for what is served and at full capacity; slowest_c: at the
    capacity that all of it leaves. It rises with the temperature and lowers it in proportion, so they meet once.
    """
    low, high = k.SLOWDOWN_C
    below_capacity = (served_c - low) / (high - low)
    at_capacity = (full_c - low) / (high - low + full_c - slowest_c)
    return within(np.minimum(below_capacity, at_capacity), 0.0, 1.0)


def capacity_ps(capacity: Array, gpu_c: Array) -> Array:
    """Return what a rack whose nodes run can serve [tokens/s]: the reference capacity, less where GPUs throttle.

    capacity: against the reference; gpu_c: GPU temperature [degC]. Assumed (see constants).
    """
    return k.CAPACITY_TOKENS_PS * capacity * throttle(gpu_c)


def _ramp(value: Array, between: tuple[float, float]) -> Array:
    """Return 0 below the first end, 1 above the second, linear between."""
    return within((value - between[0]) * (1 / (between[1] - between[0])), 0.0, 1.0)


def airflow_m3s(airflow: Array, rack_kw: Array) -> Array:
    """Return the air that servers draw [m3/s]: a (V1 + v P), more for more power but less than in proportion.

    airflow: a, 1 for an unobstructed rack; rack_kw: P [kW]. Assumed, within 85 to 200 CFM/kW as real servers draw.
    """
    return airflow * (k.AIRFLOW_BASE_M3S + k.AIRFLOW_PER_KW_M3S * rack_kw)


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


def coil_effectiveness(fan_pct: Array, pump_pct: Array, air_kw_k: Array, coil: Array | float) -> Array:
    """Return how much of the way to the water temperature the coil cools its air, 0..1: e = 1 - exp(-NTU).

    NTU = UA c ((fan / fan0) (pump / pump0))^0.8 / F. fan_pct, pump_pct: speeds [%]; air_kw_k: F, heat capacity rate of
    the air through the coil [kW/K]; coil: c, 1 for a clean one.
    Source: Incropera, Fundamentals of Heat and Mass Transfer, exchanger with one dominant capacity flow.
    """
    speeds = fan_pct * pump_pct * (1 / (k.FAN_REFERENCE_PCT * k.PUMP_REFERENCE_PCT))
    effectiveness: Array = -np.expm1(-k.COIL_KW_K * coil * speeds**k.COIL_EXPONENT / air_kw_k)
    return effectiveness


def latency_p95_ms(utilisation: Array, wait_s: Array) -> Array:
    """Return 95th percentile latency [ms]: L0 + q u / (1 - u) + 1000 w, a base, queueing, and the wait for a backlog.

    utilisation: u, counted up to 0.97; wait_s: w [s].
    Source: mean wait of an M/M/1 queue; base and factor fitted to the shipped profiles (see constants).

    >>> float(latency_p95_ms(np.array(0.5), np.array(0.0)))
    188.0
    """
    u = np.minimum(utilisation, k.UTILISATION_MAX)
    latency: Array = k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * u / (1 - u) + 1000 * wait_s
    return latency


def queue_depth(tokens_ps: Array, latency_p95_ms: Array, tokens_per_request: Array) -> Array:
    """Return requests in the system: L = lambda W.

    tokens_ps [tokens/s]; latency_p95_ms [ms]; tokens_per_request: tokens in a request.
    Source: Little's law; the 95th percentile stands for the mean, as in the training document's own ranges.

    >>> float(queue_depth(np.array(9000.0), np.array(200.0), np.array(36.0)))
    50.0
    """
    return tokens_ps * latency_p95_ms / (1000 * tokens_per_request)
