"""Realism checks: figures of a healthy hall against what was read or measured of real ones.

`python -m benchmarks.realism` prints them. No public trace holds inlet, outlet, power
and load together: each bound has a source of its own, and they are bounds, not fits. Figures are medians over racks.
"""

from dataclasses import replace

import numpy as np

from sim.common.streams import Streams
from sim.engine.blocks import Array
from sim.engine.build import Hall
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.kinds import FaultEffect
from sim.incidents.planning import draw_incidents
from sim.model.facility import build_facility
from sim.plant import constants as k
from sim.plant.drivers import DRIVER_NAMES, ProfileChange
from sim.plant.plant import Plant
from sim.runs.arrays import RunArrays
from sim.runs.checks.check import Check
from sim.scenario.checks import parse_scenario

FINE_TICK_S = 10
STEP_S = 5.0
STEP_WATCHED_S = 3600.0
LONGEST_LEAD_S = 900.0
TRIP_WATCHED_MIN = 5
WEEKDAYS = 5


def airflow(run: RunArrays) -> list[Check]:
    """R01: the air that power and temperature rise imply in steady state, the extreme profiles."""
    rise_k = np.maximum(run.readings["delta_t"], 1.0)
    cfm_per_kw = k.CFM_PER_M3S / (k.AIR_KJ_M3K * rise_k)
    medians = []
    for profile in run.hall.profiles:
        steady = run.settled & run.is_in(profile)
        medians += [float(np.median(cfm_per_kw[steady]))] if steady.any() else []
    return [
        Check("R01", f"implied airflow in steady state, {which} profile", "CFM/kW", value, 85, 200, "hard")
        for which, value in (("lowest", min(medians)), ("highest", max(medians)))
    ]


def heat_balance(run: RunArrays) -> list[Check]:
    """R02: delta_t is the difference of the readings, and power is what the air carries, nearly."""
    r = run.readings
    gap_k = float(np.abs(r["delta_t"] - (r["outlet_c"] - r["inlet_c"])).max())
    carried_kw = k.AIR_KJ_M3K * run.truth["airflow_m3s"] * r["delta_t"]
    residual = np.median(np.abs(r["pdu_kw"] - carried_kw) / r["pdu_kw"], axis=0)
    return [
        Check("R02", "delta_t against outlet - inlet, worst sample", "K", gap_k, 0, 0.005, "hard"),
        Check("R02", "power against heat in the air, median residual", "%", 100 * _median(residual), 0.5, 10, "hard"),
    ]


def outlet_response(hall: Hall) -> list[Check]:
    """R04: how long the outlet takes for 63 % of its way after the load or the fan of a nominal rack steps."""
    steps = {"load": ("offered_tokens_ps", "times", 1.2), "fan": ("fan_bias_pct", "plus", 10.0)}
    return [
        Check("R04", f"outlet 63 % time after a {name} step", "s", _time_to_63_pct(hall, *step), 45, 600, "hard")
        for name, step in steps.items()
    ]


def _time_to_63_pct(hall: Hall, driver: str, change: str, amount: float) -> float:
    """Return the median over racks of the time to 63 % [s], from two plants that share all their noise."""
    stepped, still = (nominal_plant(hall, driver, change, amount) for _ in range(2))
    racks = range(len(hall.facility.racks))
    moved = []
    for i in range(int(STEP_WATCHED_S / STEP_S)):
        stepped.step([ProfileChange(0.0, rack, 0, 1) for rack in racks] if i == 0 else ())
        still.step()
        moved.append(stepped.state.outlet_c[0] - still.state.outlet_c[0])
    way = np.array(moved)
    reached = np.abs(way) >= 0.632 * np.abs(way[-60:].mean(axis=0))
    return _median((reached.argmax(axis=0) + 1) * STEP_S)


def nominal_plant(
    hall: Hall, driver: str, change: str, amount: float, *, profile: int = 0, step_s: float = STEP_S
) -> Plant:
    """Return a quiet hall of two worlds, all in a profile: 0 is nominal, and 1 nominal with one driver changed."""
    nominal = {name: np.repeat(getattr(hall.drivers, name)[:1], 2) for name in DRIVER_NAMES}
    nominal |= {name: np.zeros(2) for name in DRIVER_NAMES if name.endswith("_sd")}
    nominal[driver][1] = nominal[driver][1] * amount if change == "times" else nominal[driver][1] + amount
    return Plant(
        hall.facility,
        replace(hall.drivers, **nominal),
        np.full(len(hall.facility.racks), profile, dtype=np.intp),
        hall.scenario.facility.supply_water_c,
        step_s,
        Streams(0),
        worlds=2,
    )


def pump_trip(hall: Hall) -> list[Check]:
    """R07: how the inlets of a loop rise after its pump trips, mean over its racks against the twin."""
    rises = {kw: _inlet_rise_k(hall, kw) for kw in (6.0, 8.0, 12.0)}
    slopes = {kw: float(own_k[-1]) / TRIP_WATCHED_MIN for kw, (own_k, _) in rises.items()}
    # the coil's mass and the pump's run-down hold the first minute back
    bend_k = float(np.diff(np.diff(rises[8.0][0], prepend=0.0)[1:]).max())
    others_k = max(away_k for _, away_k in rises.values())
    return [
        Check("R07", "inlet slope, 5 min after a pump trip at 8 kW", "K/min", slopes[8.0], 0.8, 5, "hard"),
        Check("R07", "inlet slope, 12 kW over 6 kW", "", slopes[12.0] / slopes[6.0], 1.6, 2.4, "hard"),
        Check("R07", "rise from minute to minute, growth after the 2nd", "K", bend_k, -10, 0, "hard"),
        Check("R07", "inlets of other loops, largest change", "K", others_k, 0, 0, "hard"),
    ]


def _inlet_rise_k(hall: Hall, rack_kw: float) -> tuple[Array, float]:
    """Return how far the second loop's mean inlet is over its twin's after each minute, and how far others' are."""
    plant = plant_at(hall, rack_kw)
    plant.apply([FaultEffect("loop_pump", np.array([1]), np.array(CATALOGUE["pump_trip"].defaults()["flow_left"]))])
    own, apart_k = hall.facility.loop_of_rack == 1, []
    for _ in range(round(TRIP_WATCHED_MIN * 60 / STEP_S)):
        plant.step()
        apart_k.append(plant.state.inlet_c[0] - plant.state.inlet_c[1])
    by_minute = np.array(apart_k)[round(60 / STEP_S) - 1 :: round(60 / STEP_S)]
    return by_minute[:, own].mean(axis=1), float(np.abs(by_minute[:, ~own]).max())


def plant_at(hall: Hall, rack_kw: float, step_s: float = STEP_S) -> Plant:
    """Return a quiet hall whose racks draw so much on average [kW]; power is nearly linear in load."""
    tokens, kws, plant = [6000.0, 12_000.0], [], nominal_plant(hall, "offered_tokens_ps", "times", 1.0)
    for i in range(4):
        nominal_ps = float(hall.drivers.offered_tokens_ps[0])
        times = tokens[i] / nominal_ps
        plant = nominal_plant(hall, "offered_tokens_ps", "times", times, profile=1, step_s=step_s)
        kws.append(float(plant.state.rack_kw[0].mean()))
        if i:
            slope = (kws[i] - kws[i - 1]) / (tokens[i] - tokens[i - 1])
            tokens.append(tokens[i] + (rack_kw - kws[i]) / slope)
    return plant


def outages(draws: int = 20) -> list[Check]:
    """R09: how long drawn cooling incidents last: those that take a loop away at once, and all."""
    cooling = [name for name, kind in CATALOGUE.items() if kind.group == "cooling"]
    law = {"name": "outages", "incident_rates": {"acceleration": 1000, "kinds": cooling}}
    scenario = parse_scenario(law, "R09")
    hall = build_facility(scenario.facility)
    drawn = [i for seed in range(draws) for i in draw_incidents(scenario, hall, Streams(seed)).values()]
    all_min = np.array([i.duration_s / 60 for i in drawn])
    sudden = np.array([i.kind.shape == "step" and i.kind.target_levels == ("loop",) for i in drawn])
    return [
        Check("R09", "drawn loop outage, shortest", "min", float(all_min[sudden].min()), 18, 480, "soft"),
        Check("R09", "drawn loop outage, longest", "min", float(all_min[sudden].max()), 18, 480, "soft"),
        Check("R09", "drawn loop outage, median", "min", _median(all_min[sudden]), 60, 180, "soft"),
        Check("R09", "any drawn cooling incident, median", "min", _median(all_min), 60, 180, "soft"),
    ]


def power_leads_outlet(fine: RunArrays) -> list[Check]:
    """R05: by how long power leads the outlet, and how alike the two are at one instant."""
    kw, outlet = _standardised(fine.readings["pdu_kw"]), _standardised(fine.readings["outlet_c"])
    lags = np.arange(int(LONGEST_LEAD_S / fine.tick_s))
    alike = np.array([(kw[: len(kw) - lag] * outlet[lag:]).mean(axis=0) for lag in lags])
    highest = float(alike[0].max())
    # a meter's reading at t is the mean of the tick before, half a tick old
    lead_s = (alike.argmax(axis=0) + 0.5) * fine.tick_s
    return [
        Check("R05", "power leads outlet by", "s", _median(lead_s), 20, 480, "soft"),
        Check("R05", "power and outlet at one instant, highest r", "", highest, -1, 0.98, "soft"),
    ]


def memory(run: RunArrays) -> list[Check]:
    """R10, R11: autocorrelation at 60 s."""
    bounds = {"inlet_c": ("R10", 0.75, 0.998), "outlet_c": ("R10", 0.75, 0.998), "pdu_kw": ("R11", 0.60, 0.992)}
    return [
        Check(id_, f"{name} autocorrelation at 60 s", "", _median(autocorrelation(run, name, 60)), low, high, "hard")
        for name, (id_, low, high) in bounds.items()
    ]


def autocorrelation(run: RunArrays, channel: str, lag_s: float) -> Array:
    """Return the autocorrelation of a channel's readings at a lag [s], (racks,)."""
    x = _standardised(run.readings[channel])
    lag = round(lag_s / run.tick_s)
    return np.asarray((x[:-lag] * x[lag:]).mean(axis=0))


def meter(run: RunArrays) -> list[Check]:
    """R13: how far power readings scatter around the truth."""
    error = run.readings["pdu_kw"] / run.truth["pdu_kw"] - 1
    return [Check("R13", "pdu_kw reading against truth", "%", 100 * _median(error.std(axis=0)), 0.3, 1.5, "hard")]


def rack_variation(run: RunArrays) -> list[Check]:
    """R15: how far the racks' mean inlets differ."""
    spread_k = float(run.readings["inlet_c"].mean(axis=0).std())
    kw = run.readings["pdu_kw"].mean(axis=0)
    return [
        Check("R15", "SD of rack-mean inlet between racks", "K", spread_k, 0.5, 2.5, "soft"),
        Check("R15", "SD of rack-mean power between racks", "%", 100 * float(kw.std() / kw.mean()), 3, 8, "soft"),
    ]


def day_shape(run: RunArrays) -> list[Check]:
    """R16: the busiest over the quietest hour of a mean weekday, hall tokens."""
    hall_tokens_ps = run.readings["tokens_ps"].sum(axis=1)
    minute = run.hall.scenario.start_minute_of_week + np.arange(len(hall_tokens_ps)) * run.tick_s / 60
    hours = (minute // 60).astype(np.intp) % 168
    weekday = hours < WEEKDAYS * 24
    by_hour = np.bincount(hours[weekday] % 24, hall_tokens_ps[weekday]) / np.bincount(hours[weekday] % 24)
    return [
        Check(
            "R16", "weekday peak over trough of hall tokens", "", float(by_hour.max() / by_hour.min()), 1.2, 5, "soft"
        )
    ]


def all_checks(week: RunArrays, fine: RunArrays) -> list[Check]:
    """Return every check of a healthy hall; `week` is sampled at 60 s, `fine` at FINE_TICK_S for a day or more."""
    of_week = (airflow, heat_balance, memory, meter, rack_variation, day_shape)
    checks = [check for measure in of_week for check in measure(week)]
    of_hall = [*outlet_response(week.hall), *pump_trip(week.hall), *outages()]
    return sorted([*checks, *of_hall, *power_leads_outlet(fine)], key=lambda check: check.id)


def _standardised(x: Array) -> Array:
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


def _median(of_racks: Array) -> float:
    return float(np.median(of_racks))
