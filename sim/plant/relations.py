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
    """Return GPU power [kW] at a throughput [tokens/s], energy per token [1 = reference] and GPU temperature [degC]."""
    dynamic = k.GPU_IDLE_KW + token_energy * (tokens_ps * (k.GPU_J_PER_TOKEN / 1000))
    return dynamic * (1 + k.LEAKAGE_PER_K * (gpu_c - k.GPU_REFERENCE_C))


def settled_gpu_kw(tokens_ps: Array, token_energy: Array, inlet_c: Array) -> Array:
    """Return GPU power [kW] once the GPUs' own temperature has followed it, at an inlet temperature [degC]."""
    dynamic = k.GPU_IDLE_KW + token_energy * (tokens_ps * (k.GPU_J_PER_TOKEN / 1000))
    leakage = 1 + k.LEAKAGE_PER_K * (inlet_c - k.GPU_REFERENCE_C)
    return dynamic * leakage / (1 - k.LEAKAGE_PER_K * k.GPU_KELVIN_PER_KW * dynamic)


def rack_kw(gpu_kw: Array, airflow_m3s: Array) -> Array:
    """Return the rack's power [kW]: GPUs, hosts and server fans, whose power follows the affinity law."""
    fans = k.SERVER_FAN_KW * (airflow_m3s * (1 / k.AIRFLOW_REFERENCE_M3S)) ** k.SERVER_FAN_EXPONENT
    return gpu_kw * (1 + k.HOST_PER_GPU_KW) + k.HOST_IDLE_KW + fans


def throttle(gpu_c: Array) -> Array:
    """Return the part of capacity left at a GPU temperature [degC]: lower clocks when hot, an emergency beyond."""
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
    """Return what a rack whose nodes run can serve [tokens/s], at a GPU temperature [degC]; `capacity` is a ratio."""
    return k.CAPACITY_TOKENS_PS * capacity * throttle(gpu_c)


def _ramp(value: Array, between: tuple[float, float]) -> Array:
    """Return 0 below the first end, 1 above the second, linear between."""
    return within((value - between[0]) * (1 / (between[1] - between[0])), 0.0, 1.0)


def airflow_m3s(airflow: Array, rack_kw: Array) -> Array:
    """Return the air that servers draw [m3/s] at a power [kW]; `airflow` is 1 for an unobstructed rack."""
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
    """Return how much of the way to the water temperature the coil cools its air, 0..1 (effectiveness-NTU).

    fan_pct, pump_pct: speeds [%]; air_kw_k: heat capacity flow of the air through the coil [kW/K]; coil: condition,
    1 for a clean one.
    Source: Incropera, Fundamentals of Heat and Mass Transfer, exchanger with one dominant capacity flow.
    """
    speeds = fan_pct * pump_pct * (1 / (k.FAN_REFERENCE_PCT * k.PUMP_REFERENCE_PCT))
    effectiveness: Array = -np.expm1(-k.COIL_KW_K * coil * speeds**k.COIL_EXPONENT / air_kw_k)
    return effectiveness


def latency_p95_ms(utilisation: Array, wait_s: Array) -> Array:
    """Return 95th percentile latency [ms]: a base, a queueing term k u/(1-u), and the wait behind a backlog [s]."""
    u = np.minimum(utilisation, k.UTILISATION_MAX)
    latency: Array = k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * u / (1 - u) + 1000 * wait_s
    return latency


def queue_depth(tokens_ps: Array, latency_p95_ms: Array, tokens_per_request: Array) -> Array:
    """Return requests in the system by Little's law from throughput [tokens/s] and latency [ms]."""
    return tokens_ps * latency_p95_ms / (1000 * tokens_per_request)
