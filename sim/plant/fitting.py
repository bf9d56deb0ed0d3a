"""The drivers of profiles, solved from the ranges they state, so that their steady state lies in them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sim.common.errors import InputError
from sim.model.profiles import NOMINAL, PROFILE_CHANNELS, Profile
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.controllers import command_pct
from sim.plant.drivers import DRIVER_NAMES, Drivers
from sim.plant.noise_sizing import size_noise
from sim.plant.relations import Array
from sim.plant.steady_state import COOLING, BoundaryConditions, Channels, cooled_inlet_c, steady_state

BOUNDS: dict[str, tuple[float, float]] = {
    "offered_tokens_ps": (0.0, 1.2 * k.CAPACITY_TOKENS_PS),
    "token_energy": (0.4, 2.0),
    "capacity": (0.4, 1.6),
    "tokens_per_request": (8.0, 150.0),
    "recirculation": (0.0, 0.6),
    "fan_bias_pct": (-80.0, 80.0),
    "pump_bias_pct": (-80.0, 80.0),
    "airflow_m3s_per_kw": (85 / k.CFM_PER_M3S, 200 / k.CFM_PER_M3S),  # realism R01
}
"""How far a profile may move each driver; assumed unless a source is named."""

MAX_ROUNDS = 30

_TINY = 1e-9


def solve_drivers(profiles: Sequence[Profile], place: BoundaryConditions) -> Drivers:
    """Return the drivers of the profiles (nominal first), noise included, in their surroundings.

    Channels that a profile leaves out keep the nominal driver. Raises InputError that names every channel whose
    range no driver can reach.
    """
    if not profiles or profiles[0].name != NOMINAL:
        raise ValueError("the first profile must be nominal")
    nominal = _fit(profiles[:1], _reference(), place)
    base = replace(nominal, **{f: np.repeat(getattr(nominal, f), len(profiles)) for f in DRIVER_NAMES})
    drivers = _fit(profiles, base, place)
    problems = _unreached(profiles, steady_state(drivers, place))
    if problems:
        raise InputError("profiles: no setting of the hall reaches these ranges\n  " + "\n  ".join(problems))
    return size_noise(profiles, drivers, place)


def _reference() -> Drivers:
    plain = dict.fromkeys(DRIVER_NAMES, np.zeros(1))
    ratios = {"token_energy": 1.0, "capacity": 1.0, "airflow": 1.0, "recirculation": 0.1}
    plain |= {name: np.full(1, value) for name, value in ratios.items()}
    plain["offered_tokens_ps"] = np.full(1, 8500.0)
    plain["tokens_per_request"] = np.full(1, k.TOKENS_PER_REQUEST)
    return Drivers(**plain)


def _aims(profiles: Sequence[Profile]) -> Channels:
    """Return the typical value of each channel, NaN where a profile leaves it out."""
    return {c: np.array([p.ranges[c].typical if c in p.ranges else np.nan for p in profiles]) for c in PROFILE_CHANNELS}


def _fit(profiles: Sequence[Profile], base: Drivers, place: BoundaryConditions) -> Drivers:
    """Return drivers that put every channel on its aim; channels left out settle round by round."""
    aims = _aims(profiles)
    complete = not any(np.isnan(a).any() for a in aims.values())
    drivers = base
    for _ in range(MAX_ROUNDS):
        settled = aims if complete else steady_state(drivers, place)
        at = {c: np.where(np.isnan(aims[c]), settled[c], aims[c]) for c in PROFILE_CHANNELS}
        before, drivers = drivers, _cooled(_aimed(base, aims, at, place), aims, at, place)
        if complete or np.array_equal(drivers.table(), before.table()):
            break
    return drivers


def _put(base: Array, name: str, aim: Array, value: Array) -> Array:
    """Return a driver's value, within its bounds, where its channel is aimed at, else its base."""
    return np.where(np.isnan(aim), base, np.clip(value, *BOUNDS.get(name, (-np.inf, np.inf))))


def _aimed(base: Drivers, aims: Channels, at: Channels, place: BoundaryConditions) -> Drivers:
    """Return drivers that put each aimed-at channel but the inlet on its aim while the others stand as in `at`."""

    def put(name: str, channel: str, value: Array) -> Array:
        return _put(getattr(base, name), name, aims[channel], value)

    power, tokens, inlet = at["pdu_kw"], at["tokens_ps"], at["inlet_c"]
    rise_k = np.maximum(at["outlet_c"] - inlet, 0.1)
    carried_kw = power - place.wall_kw(at["outlet_c"])
    flow = np.clip(carried_kw / (k.AIR_KJ_M3K * rise_k) / power, *BOUNDS["airflow_m3s_per_kw"]) * power
    airflow = put("airflow", "outlet_c", flow / relations.airflow_m3s(np.ones_like(power), power, inlet))
    flow = relations.airflow_m3s(airflow, power, inlet)
    gpu_kw = (power - relations.rack_kw(np.zeros_like(power), flow)) / (1 + k.HOST_PER_GPU_KW)
    gpu_c = inlet + k.GPU_KELVIN_PER_KW * gpu_kw
    dynamic_kw = gpu_kw / relations.leakage(gpu_c) - k.GPU_IDLE_KW
    waiting = np.maximum(at["latency_p95_ms"] - k.LATENCY_BASE_MS, _TINY) / k.LATENCY_QUEUE_MS
    little = tokens * at["latency_p95_ms"] / (1000 * np.maximum(at["queue_depth"], _TINY))
    return replace(
        base,
        offered_tokens_ps=put("offered_tokens_ps", "tokens_ps", tokens),
        airflow=airflow,
        token_energy=put("token_energy", "pdu_kw", dynamic_kw / np.maximum(tokens * k.GPU_J_PER_TOKEN / 1000, _TINY)),
        fan_bias_pct=put("fan_bias_pct", "fan_rpm_pct", at["fan_rpm_pct"] - COOLING.fan.asked_pct(inlet, power)),
        pump_bias_pct=put("pump_bias_pct", "pump_rpm_pct", at["pump_rpm_pct"] - COOLING.pump.asked_pct(inlet, power)),
        capacity=put("capacity", "latency_p95_ms", tokens * (1 + waiting) / (waiting * k.CAPACITY_TOKENS_PS)),
        tokens_per_request=put("tokens_per_request", "queue_depth", little),
    )


def _cooled(d: Drivers, aims: Channels, at: Channels, place: BoundaryConditions) -> Drivers:
    """Return drivers that hold an aimed-at inlet: by recirculation, and beyond its bounds by what fan and pump may do.

    A fan or pump whose speed the profile states has no part in it.
    """
    inlet, power = at["inlet_c"], at["pdu_kw"]
    airflow_m3s = relations.airflow_m3s(d.airflow, power, inlet)
    outlet = place.exhaust_c(inlet, power, k.AIR_KJ_M3K * airflow_m3s)
    asked = {"fan": COOLING.fan.asked_pct(inlet, power), "pump": COOLING.pump.asked_pct(inlet, power)}
    free = {name: np.isnan(aims[f"{name}_rpm_pct"]) for name in ("fan", "pump")}

    def cools(recirculation: Array, bias_pct: Array | float) -> npt.NDArray[np.bool_]:
        """Return whether it cools more than aimed at, the speeds left free moved by a bias beyond their own."""
        fan = command_pct(asked["fan"], d.fan_bias_pct + free["fan"] * bias_pct)
        pump = command_pct(asked["pump"], d.pump_bias_pct + free["pump"] * bias_pct)
        return np.asarray(cooled_inlet_c(power, airflow_m3s, outlet, recirculation, (fan, pump), place) < inlet)

    low, high = BOUNDS["recirculation"]
    recirculation = _root(lambda r: ~cools(r, 0.0), low, high, like=inlet)
    recirculation = _put(d.recirculation, "recirculation", aims["inlet_c"], recirculation)
    bounded = ~np.isnan(aims["inlet_c"]) & ((recirculation <= low) | (recirculation >= high))
    bias_pct = np.zeros_like(inlet)
    if bounded.any():
        root = _root(lambda b: cools(recirculation, b), *BOUNDS["fan_bias_pct"], like=inlet)
        bias_pct = np.where(bounded, root, 0.0)
    return replace(
        d,
        recirculation=recirculation,
        fan_bias_pct=d.fan_bias_pct + free["fan"] * bias_pct,
        pump_bias_pct=d.pump_bias_pct + free["pump"] * bias_pct,
    )


def _root(beyond: Callable[[Array], npt.NDArray[np.bool_]], low: float, high: float, like: Array) -> Array:
    """Return where a condition turns true between two values, by bisection; the nearer end where it does not turn."""
    lows, highs = np.full_like(like, low), np.full_like(like, high)
    for _ in range(50):
        middle = (lows + highs) / 2
        turned = beyond(middle)
        lows, highs = np.where(turned, lows, middle), np.where(turned, middle, highs)
    near_low, near_high = (lows == low), (highs == high)
    return np.where(near_low, lows, np.where(near_high, highs, (lows + highs) / 2))


def _unreached(profiles: Sequence[Profile], settled: Channels) -> list[str]:
    slack = 1e-6
    return [
        f"profiles.{profile.name}.{channel}: [{r.low:g}, {r.high:g}] is out of reach; with the profile's other "
        f"channels the hall settles at {settled[channel][i]:.4g}"
        for i, profile in enumerate(profiles)
        for channel, r in profile.ranges.items()
        if not r.low - slack <= settled[channel][i] <= r.high + slack
    ]
