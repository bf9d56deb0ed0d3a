"""What a profile drives, solved from the ranges it states, so that its steady state lies in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from sim.domain.errors import InputError
from sim.domain.profiles import NOMINAL, PROFILE_CHANNELS, Profile
from sim.physics import constants as k
from sim.physics import relations
from sim.physics.relations import Array


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

IN_RANGE_SD = 2.0
"""Half a range in standard deviations: 95 % of a normal signal lies inside."""

_NOISE_LIMIT = {"offered_tokens_sd": 0.12, "recirculation_sd": 0.06, "airflow_sd": 0.05}
_NOISE_STEP = {"offered_tokens_ps": 0.06, "recirculation": 0.03, "airflow": 0.025, "coil": 0.1}
FULL_SPEED_PCT = 100.0
_INLET_SEARCH_C = (-20.0, 120.0)
_TINY = 1e-9

Channels = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rack finds around it: supply water [degC], and neighbours with nominal exhaust [degC]."""

    water_c: float
    outlet_c: float

    def given_kw(self, outlet_c: Array) -> Array:
        """Return the heat that neighbours give to a rack with this exhaust [kW]; negative where it is hotter."""
        return k.EXCHANGE_KW_K * k.TYPICAL_NEIGHBOURS * (self.outlet_c - outlet_c)


def steady_state(d: Drivers, place: Surroundings, coil: Array | float = 1.0) -> Channels:
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


def _held_at(d: Drivers, inlet_c: Array, place: Surroundings, coil: Array | float) -> Channels:
    """Return all channels when the inlet is held at `inlet_c`, and the inlet that the coil would then give."""
    tokens, power, gpu_c, airflow = _electrical(d, inlet_c)
    fan = relations.fan_command_pct(inlet_c, power, d.fan_bias_pct)
    pump = relations.pump_command_pct(inlet_c, power, d.pump_bias_pct)
    air_kw_k = k.AIR_KJ_M3K * airflow
    fresh = 1 - d.recirculation
    cooled = fresh * relations.coil_effectiveness(fan, pump, air_kw_k * fresh, coil)
    rise_k = power / air_kw_k
    carried_k = rise_k + place.given_kw(inlet_c + rise_k) / air_kw_k
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


def solve_drivers(profiles: Sequence[Profile], place: Surroundings) -> Drivers:
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
    return _size_noise(profiles, drivers, place)


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


def _fit(profiles: Sequence[Profile], base: Drivers, place: Surroundings) -> Drivers:
    aims = _aims(profiles)
    complete = not any(np.isnan(a).any() for a in aims.values())
    drivers = base
    for _ in range(2 if complete else 30):  # left-out channels settle round by round
        settled = aims if complete else steady_state(drivers, place)
        at = {c: np.where(np.isnan(aims[c]), settled[c], aims[c]) for c in PROFILE_CHANNELS}
        drivers = _aimed(drivers, aims, at, place)
    return drivers


def _aimed(d: Drivers, aims: Channels, at: Channels, place: Surroundings) -> Drivers:
    """Return drivers that put each aimed-at channel on its aim while the others stand as in `at`."""

    def put(name: str, channel: str, value: Array) -> Array:
        return np.where(np.isnan(aims[channel]), getattr(d, name), np.clip(value, *BOUNDS.get(name, (-np.inf, np.inf))))

    power, tokens, inlet = at["pdu_kw"], at["tokens_ps"], at["inlet_c"]
    rise_k = np.maximum(at["outlet_c"] - inlet, 0.1)
    flow = np.clip(power / (k.AIR_KJ_M3K * rise_k) / power, *BOUNDS["airflow_m3s_per_kw"]) * power
    airflow = put("airflow", "outlet_c", flow / relations.airflow_m3s(np.ones_like(power), power))
    flow = relations.airflow_m3s(airflow, power)
    gpu_kw = (power - relations.rack_kw(np.zeros_like(power), flow)) / (1 + k.HOST_PER_GPU_KW)
    gpu_c = inlet + k.GPU_KELVIN_PER_KW * gpu_kw
    dynamic_kw = gpu_kw / (1 + k.LEAKAGE_PER_K * (gpu_c - k.GPU_REFERENCE_C)) - k.GPU_IDLE_KW
    full = k.CAPACITY_TOKENS_PS * relations.throttle(gpu_c)
    waiting = np.maximum(at["latency_p95_ms"] - k.LATENCY_BASE_MS, _TINY) / k.LATENCY_QUEUE_MS
    little = tokens * at["latency_p95_ms"] / (1000 * np.maximum(at["queue_depth"], _TINY))
    return replace(
        d,
        offered_tokens_ps=put("offered_tokens_ps", "tokens_ps", tokens),
        airflow=airflow,
        token_energy=put("token_energy", "pdu_kw", dynamic_kw / np.maximum(tokens * k.GPU_J_PER_TOKEN / 1000, _TINY)),
        fan_bias_pct=put("fan_bias_pct", "fan_rpm_pct", at["fan_rpm_pct"] - relations.fan_law_pct(inlet, power)),
        pump_bias_pct=put("pump_bias_pct", "pump_rpm_pct", at["pump_rpm_pct"] - relations.pump_law_pct(inlet, power)),
        capacity=put("capacity", "latency_p95_ms", tokens * (1 + waiting) / (waiting * full)),
        tokens_per_request=put("tokens_per_request", "queue_depth", little),
        recirculation=put("recirculation", "inlet_c", _recirculation(at, flow, place)),
    )


def _recirculation(at: Channels, flow_m3s: Array, place: Surroundings) -> Array:
    """Return the recirculation that holds the inlet: the root of the coil's balance, by bisection."""
    air_kw_k = k.AIR_KJ_M3K * flow_m3s
    rise_k = at["pdu_kw"] / air_kw_k
    outlet_c = at["inlet_c"] + rise_k
    carried_k = rise_k + place.given_kw(outlet_c) / air_kw_k
    wanted = carried_k / np.maximum(outlet_c - place.water_c, _TINY)
    low, high = np.zeros_like(rise_k), np.full_like(rise_k, 0.999)
    for _ in range(40):
        fresh = 1 - (low + high) / 2
        cooled = fresh * relations.coil_effectiveness(at["fan_rpm_pct"], at["pump_rpm_pct"], air_kw_k * fresh, 1.0)
        low, high = np.where(cooled > wanted, 1 - fresh, low), np.where(cooled > wanted, high, 1 - fresh)
    return low


def _unreached(profiles: Sequence[Profile], settled: Channels) -> list[str]:
    slack = 1e-6
    return [
        f"profiles.{profile.name}.{channel}: [{r.low:g}, {r.high:g}] is out of reach; with the profile's other "
        f"channels the hall settles at {settled[channel][i]:.4g}"
        for i, profile in enumerate(profiles)
        for channel, r in profile.ranges.items()
        if not r.low - slack <= settled[channel][i] <= r.high + slack
    ]


def _size_noise(profiles: Sequence[Profile], d: Drivers, place: Surroundings) -> Drivers:
    """Make noise as large as each profile's narrowest channels allow, up to a limit.

    Load noise is sized first; what it and the racks' places leave of a channel's variance is filled by recirculation,
    then by airflow. At least a fifth of the narrowest channel's deviation is always allowed.
    """
    budget = {c: (_half_widths(profiles, c) / IN_RANGE_SD) ** 2 for c in PROFILE_CHANNELS}
    ones = np.ones_like(d.airflow)
    units = {"offered_tokens_ps": d.offered_tokens_ps, "recirculation": ones, "airflow": d.airflow, "coil": ones}
    slopes = _sensitivities(d, units, place)
    used = {
        c: (slopes["recirculation"][c] * k.PLACE_RECIRCULATION_SD) ** 2 + (slopes["coil"][c] * k.COIL_SD) ** 2
        for c in PROFILE_CHANNELS
    }
    for name, slope in (
        ("offered_tokens_sd", slopes["offered_tokens_ps"]),
        ("recirculation_sd", slopes["recirculation"]),
        ("airflow_sd", slopes["airflow"]),
    ):
        room = [
            np.sqrt(np.maximum(budget[c] - used[c], 0.04 * budget[c])) / np.maximum(np.abs(slope[c]), _TINY)
            for c in PROFILE_CHANNELS
        ]
        limit = np.full_like(d.airflow, _NOISE_LIMIT[name])
        if name == "recirculation_sd":  # it cannot fall below none
            limit = np.minimum(limit, 0.4 * d.recirculation + 0.01)
        sd = np.minimum.reduce([limit, *room])
        used = {c: used[c] + (slope[c] * sd) ** 2 for c in PROFILE_CHANNELS}
        d = replace(d, **{name: sd})
    return d


def _half_widths(profiles: Sequence[Profile], channel: str) -> Array:
    """Return how far a channel may stray from its typical value, infinite where a profile leaves it out.

    A speed whose range ends at 100 % cannot leave it upwards.
    """
    halves = []
    for profile in profiles:
        r = profile.ranges.get(channel)
        saturates = channel.endswith("_pct") and r is not None and r.high >= FULL_SPEED_PCT
        halves.append(np.inf if r is None else r.typical - r.low if saturates else r.half_width)
    return np.array(halves)


def _sensitivities(d: Drivers, units: Mapping[str, Array], place: Surroundings) -> dict[str, Channels]:
    """Return how far each channel's steady state moves per unit of each driver, the steeper way of the two.

    Steps are as large as noise gets, so that throttling and queueing near the edge count. All perturbed halls are
    settled in one call, side by side.
    """
    fields_ = [name for name in DRIVER_NAMES if not name.endswith("_sd")]
    cases = [(name, sign * _NOISE_STEP[name]) for name in units for sign in (-1, 0, 1)]
    stacked = {f: np.concatenate([_moved(d, f, case, units) for case in cases]) for f in fields_}
    coil = np.concatenate([_moved(None, "coil", case, units) for case in cases])
    rest = {name: np.zeros_like(coil) for name in DRIVER_NAMES if name.endswith("_sd")}
    settled = steady_state(Drivers(**stacked, **rest), place, coil)
    split = {c: np.split(settled[c], len(cases)) for c in PROFILE_CHANNELS}
    return {
        name: {
            c: np.maximum(abs(v[3 * i + 1] - v[3 * i]), abs(v[3 * i + 2] - v[3 * i + 1])) / _NOISE_STEP[name]
            for c, v in split.items()
        }
        for i, name in enumerate(units)
    }


def _moved(d: Drivers | None, field: str, case: tuple[str, float], units: Mapping[str, Array]) -> Array:
    name, step = case
    value: Array = np.ones_like(units["coil"]) if d is None else getattr(d, field)
    return np.maximum(value + step * units[field], 0.0) if field == name else value


def profile_steady_states(
    profiles: Mapping[str, Profile], d: Drivers, place: Surroundings
) -> dict[str, dict[str, float]]:
    """Return each profile's steady state by channel, for people to read."""
    settled = steady_state(d, place)
    return {name: {c: float(settled[c][i]) for c in PROFILE_CHANNELS} for i, name in enumerate(profiles)}
