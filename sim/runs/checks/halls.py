"""How real halls behave in trouble and under shared demand: what a run's racks do against what was read or measured.

R17 to R27 of `python -m benchmarks.realism`; R01 to R16 are in realism.py.
"""

import numpy as np

from sim.engine.blocks import Array
from sim.engine.build import Hall, resolve
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.kinds import FAULT_INPUTS, FaultEffect
from sim.incidents.planning import PARTS
from sim.model.profiles import NOMINAL
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.plant import Plant
from sim.runs.arrays import RunArrays
from sim.runs.checks.check import Check
from sim.runs.checks.realism import nominal_plant, plant_at
from sim.runs.memory import record
from sim.scenario.checks import parse_scenario

MINUTE_S = 60
SMALL = {"facility": {"rows": 4, "racks_per_row": 3}}
WATCHED_MIN = 30
SPECTRUM_HZ = (1 / 7200, 1 / 130)
SEGMENT_S = 8 * 3600
BINS = 12
CURVES = ("pump_trip", "chiller_trip", "fan_failure", "containment_breach", "power_cap", "flash_crowd", "breaker_trip")
"""Incidents whose curves are held against those of a finer tick: water, air, clocks, load and power."""

CURVE_CHANNELS = {"power_cap": "rack_kw", "flash_crowd": "rack_kw", "breaker_trip": "rack_kw"}


def small_hall() -> Hall:
    """Return a hall of two loops that behaves as a large one does, for what all racks do alike."""
    return resolve(parse_scenario({"name": "small", **SMALL}, "small"))


def darkness() -> list[Check]:
    """R17, R18: what a rack does without power, and once it is back."""
    incident = {"kind": "breaker_trip", "target": "rack:R-A-02", "at": "1h", "duration": "20m"}
    run = record({**SMALL, "tick": 10, "duration": "3h", "start": "2025-01-06T10:00:00Z", "incidents": [incident]})
    rack, back = run.hall.facility.racks.index("R-A-02"), 4800 // 10
    tokens, usual = run.truth["tokens_ps"][:, rack], run.twin_truth["tokens_ps"][:, rack]
    latency, power_kw = run.readings["latency_p95_ms"][:, rack], run.truth["gpu_power_kw"][:, rack]
    dark = slice(3610 // 10, back)
    serves = np.flatnonzero(tokens[back:] > 0) + back
    # a meter reads the mean over a tick, tokens are those of its end: of a ramp, their mean is that of both ends
    j_per_token = 1000 * power_kw[serves] / ((tokens[serves - 1] + tokens[serves]) / 2)
    usual_j = float(np.median(1000 * run.twin_truth["gpu_power_kw"][:, rack] / usual))
    full = back + int(np.argmax(tokens[back:] >= 0.95 * usual[back:]))
    boots = slice(back + 3, serves[0] - 1)
    boot_pct = 100 * float(np.median(run.truth["pdu_kw"][boots, rack]) / run.twin_truth["pdu_kw"][boots, rack].mean())
    worst = float(np.nanmax(latency[back:]) / np.nanmax(run.twin_readings["latency_p95_ms"][:, rack]))
    empty = 100 * float(np.isnan(latency[dark]).mean())
    return [
        Check(
            "R17",
            "least energy of a token after power is back",
            "of usual",
            j_per_token.min() / usual_j,
            0.9,
            9,
            "hard",
        ),
        Check("R18", "cells of latency that are empty in the dark", "%", empty, 100, 100, "hard"),
        Check("R18", "from power to all of the load", "min", (full - back) / 6, 6, 13, "hard"),
        Check("R18", "power while it boots", "% of usual", boot_pct, 30, 60, "hard"),
        Check("R18", "worst latency after it is back", "of usual", worst, 0, 1.5, "hard"),
    ]


def shut_downs(hall: Hall) -> list[Check]:
    """R19: racks that a lasting loss of water shuts down: how often, and what air they move meanwhile."""
    plant, own = plant_at(hall, 8.0, step_s=15.0), hall.facility.loop_of_rack == 1
    _strike(plant, hall, "pump_trip", 1.0)
    shut, air = [], []
    for _ in range(2 * 240):
        plant.step()
        shut.append(plant.state.nodes.shut[0, own])
        air.append(plant.state.airflow_m3s[0, own])
    often = (np.diff(np.array(shut), axis=0) > 0).sum(axis=0)
    return [
        Check("R19", "shut-downs of a rack in 2 h without water", "", float(often.max()), 1, 1, "hard"),
        Check("R19", "air through a rack that is down", "m3/s", float(air[-1].max()), 0, 0.05, "hard"),
    ]


def restart(hall: Hall) -> list[Check]:
    """R07: how fast the inlets fall when a loop's pump comes back after five minutes; the coils hold them."""
    plant, own = plant_at(hall, 8.0), hall.facility.loop_of_rack == 1
    kind, inlet_c = CATALOGUE["pump_trip"], []
    course = SeverityEnvelope(0.0, 300.0, kind.shape, 0.0, 0.0, kind.recovery_s)
    for i in range(120):
        _strike(plant, hall, "pump_trip", course.mean(5.0 * i, 5.0 * i + 5))
        plant.step()
        inlet_c.append(plant.state.inlet_c[0, own].mean())
    steepest = float(np.diff(np.array(inlet_c)[59::12]).min())
    return [Check("R07", "steepest fall of inlets once a pump is back", "K/min", steepest, -8, 0, "hard")]


def _strike(plant: Plant, hall: Hall, kind: str, mean: float, end: float | None = None) -> None:
    """Let a kind act on the second loop of a plant, or on all of it, by parts of its full effect: mean and end."""
    where = {
        "rack": np.flatnonzero(hall.facility.loop_of_rack == 1),
        "loop": np.array([1]),
        "plant": np.array([0]),
    }
    effects = []
    for effect in CATALOGUE[kind].effects:
        fault_input, full = FAULT_INPUTS[effect.fault_input], CATALOGUE[kind].defaults()[effect.parameter]
        of_step, at_end = (
            np.array(fault_input.healthy + (full - fault_input.healthy) * strength)
            for strength in (mean, mean if end is None else end)
        )
        effects.append(FaultEffect(effect.fault_input, where[fault_input.of], of_step, end=at_end))
    plant.apply(effects)


def ticks(fine: RunArrays, coarse: RunArrays) -> list[Check]:
    """R20: one hall at two ticks, readings that are means averaged, those of an instant taken at full minutes."""
    every = round(coarse.tick_s / fine.tick_s)
    checks = []
    for name in ("pdu_kw", "inlet_c", "outlet_c"):
        x = fine.readings[name][1 : 1 + len(fine.readings[name]) // every * every - every]
        seen = x.reshape(-1, every, x.shape[1]).mean(axis=1) if name == "pdu_kw" else x[every - 1 :: every]
        apart = abs(slope(seen, coarse.tick_s) - slope(coarse.readings[name], coarse.tick_s))
        checks.append(Check("R20", f"{name} spectrum, slope at 10 s against 60 s", "", apart, 0, 0.1, "hard"))
    return checks


def slope(x: Array, tick_s: float) -> float:
    """Return the slope of a signal's spectrum over SPECTRUM_HZ, log over log, median over racks."""
    hz, power = spectrum(x, tick_s)
    inside = (hz >= SPECTRUM_HZ[0]) & (hz <= SPECTRUM_HZ[1])
    at, level = np.log(hz[inside]), np.log(np.median(power[inside], axis=1))
    bins = np.digitize(at, np.linspace(at[0], at[-1], BINS + 1))
    centre, height = (np.array([values[bins == i].mean() for i in np.unique(bins)]) for values in (at, level))
    return float(np.polyfit(centre, height, 1)[0])


def spectrum(x: Array, tick_s: float) -> tuple[Array, Array]:
    """Return frequencies [Hz] and power there, (frequencies, racks), mean over half-overlapping tapered segments."""
    length = min(len(x), int(SEGMENT_S / tick_s))
    taper = np.hanning(length)[:, None]
    parts = [x[i : i + length] for i in range(0, len(x) - length + 1, length // 2)]
    power = np.mean([np.abs(np.fft.rfft((part - part.mean(axis=0)) * taper, axis=0)) ** 2 for part in parts], axis=0)
    return np.asarray(np.fft.rfftfreq(length, tick_s), dtype=np.float64), np.asarray(power)


def incident_curves(hall: Hall) -> list[Check]:
    """R20: how far curves of incidents at 60 s are from those at 10 s at full minutes, in parts of their peaks.

    Until racks shut down, which must be in the same minute or the next.
    """
    worst, where, late = 0.0, "", 0
    for kind in CURVES:
        (fine, fine_up), (coarse, coarse_up) = (_curve(hall, kind, step_s) for step_s in (10.0, 60.0))
        up = min(fine_up, coarse_up)
        apart = float(np.abs(fine - coarse)[:up].max() / np.abs(fine[:up]).max())
        worst, where = max((worst, where), (apart, kind))
        late = max(late, abs(fine_up - coarse_up))
    return [
        Check("R20", f"curves of incidents, 60 s against 10 s ({where})", "%", 100 * worst, 0, 5, "hard"),
        Check("R20", "first shut-down, 60 s against 10 s", "min", late, 0, 1, "hard"),
    ]


def _curve(hall: Hall, kind: str, step_s: float) -> tuple[Array, int]:
    """Return how far racks are off their twins after each minute, and how many minutes all of them stay up."""
    plant, own = plant_at(hall, 8.0, step_s=step_s), hall.facility.loop_of_rack == 1
    name, k_ = CURVE_CHANNELS.get(kind, "inlet_c"), CATALOGUE[kind]
    course = SeverityEnvelope(0.0, 1e6, k_.shape, k_.rise_s or k_.duration_s / PARTS, 0.0, 0.0)
    apart, up = [], WATCHED_MIN
    for minute in range(WATCHED_MIN):
        seen = []
        for i in range(round(MINUTE_S / step_s)):
            begins_s = minute * MINUTE_S + i * step_s
            _strike(plant, hall, kind, course.mean(begins_s, begins_s + step_s), course.at(begins_s + step_s))
            plant.step()
            values = getattr(plant.state, name)
            seen.append(float((values[0] - values[1])[own].mean()))
        # a meter reads the mean over a tick, a thermometer what is there
        apart.append(np.mean(seen) if name == "rack_kw" else seen[-1])
        if plant.state.nodes.shut.any():
            up = min(up, minute)
    return np.array(apart), up


def see_saw() -> list[Check]:
    """R21: racks at their limits of heat and power: how far load jumps from tick to tick at 60 s, against 10 s.

    Of racks that serve all the time: what shuts down and boots jumps for another reason.
    """
    hot = [
        {"kind": "heat_wave", "at": "1h", "duration": "5h", "severity": 0.8},
        {"kind": "flash_crowd", "at": "2h", "duration": "3h"},
    ]
    tokens = []
    for tick in (10, 60):
        run = record({**SMALL, "tick": tick, "duration": "6h", "start": "2025-01-06T09:00:00Z", "incidents": hot})
        tokens.append(run.truth["tokens_ps"][10800 // tick : 18000 // tick : 60 // tick])
    serving = (np.minimum(*tokens) > 0).all(axis=0)
    fine, coarse = (np.diff(of[:, serving], axis=0).std(axis=0) for of in tokens)
    ratio = float(np.median(coarse / fine))
    return [Check("R21", "steps of load from minute to minute, 60 s over 10 s", "", ratio, 0.8, 1.2, "hard")]


def outlet_spectrum(run: RunArrays) -> list[Check]:
    """R22: the slope of the outlet's spectrum as read; -1.5 to -2.1 in five long runs of one server (bmcdata)."""
    return [
        Check("R22", "outlet_c spectrum, slope", "", slope(run.readings["outlet_c"], run.tick_s), -2.1, -1.5, "soft")
    ]


def shared_demand(run: RunArrays) -> list[Check]:
    """R23: how alike the load of two racks is while both are nominal; 0.05-0.17 ServeGen, 0.27 Alibaba pods."""
    tokens, nominal = run.readings["tokens_ps"], run.is_in(NOMINAL) & run.settled
    racks = tokens.shape[1]
    pairs = [(i, (i + racks // 3 + 1) % racks) for i in range(racks)]
    alike = [
        np.corrcoef(tokens[both, i], tokens[both, j])[0, 1]
        for i, j in pairs
        for both in [nominal[:, i] & nominal[:, j]]
    ]
    return [Check("R23", "load of two nominal racks, mean r", "", float(np.mean(alike)), 0.05, 0.35, "hard")]


def latency(run: RunArrays) -> list[Check]:
    """R24: how far load decides latency, and what a power cap adds to it; prefill x 1.3 at the cap (Splitwise)."""
    tokens, ms = run.readings["tokens_ps"], run.readings["latency_p95_ms"]
    nominal = run.is_in(NOMINAL) & run.settled
    alike = [np.corrcoef(tokens[nominal[:, i], i], ms[nominal[:, i], i])[0, 1] for i in range(tokens.shape[1])]
    plant = nominal_plant(run.hall, "offered_tokens_ps", "times", 0.4, profile=1)
    _strike(plant, run.hall, "power_cap", 1.0)
    for _ in range(60):
        plant.step()
    s, own = plant.state, run.hall.facility.loop_of_rack == 1
    ms_of = relations.latency_p95_ms(s.utilisation, np.zeros_like(s.utilisation), s.service)[:, own].mean(axis=1)
    added = 100 * float(ms_of[0] / ms_of[1] - 1)
    return [
        Check("R24", "load and latency of a nominal rack, median r", "", float(np.median(alike)), 0.3, 0.85, "hard"),
        Check("R24", "latency that a power cap adds at low load", "%", added, 20, 60, "hard"),
    ]


def hot_gpus(hall: Hall) -> list[Check]:
    """R25: what heat leaves of a busy rack's GPU power; 10 to 25 % less above 82-86 degC (Cornell BioHPC)."""
    busy = list(hall.profiles).index("thermal_event")
    tokens, energy = (np.array(getattr(hall.drivers, name)[busy]) for name in ("offered_tokens_ps", "token_energy"))
    air, inlet_c = np.array(k.AIRFLOW_REFERENCE_M3S), np.array(38.0)
    freely_kw = float(relations.settled_gpu_kw(tokens, energy, inlet_c))
    limit_kw = float(relations.gpu_limit_kw(inlet_c, relations.server_fans_kw(air)))
    warm_c = float(inlet_c + k.GPU_KELVIN_PER_KW * limit_kw)
    return [
        Check("R25", "GPUs of a busy rack at 38 degC, hottest", "degC", warm_c, 82, 90, "hard"),
        Check("R25", "GPU power that heat takes from it", "%", 100 * (1 - limit_kw / freely_kw), 5, 25, "hard"),
    ]


def warm_servers() -> list[Check]:
    """R26: what a warm inlet adds to the power of servers under a steady load; +8 % at 35, +12 % at 37 degC (GRC)."""
    kw = {}
    for inlet_c in (27.0, 35.0, 37.0):
        rack = np.array(k.REFERENCE_RACK_KW)
        for _ in range(20):
            gpu_kw = relations.settled_gpu_kw(np.array(8270.0), np.array(1.0), np.array(inlet_c))
            rack = relations.rack_kw(gpu_kw, relations.airflow_m3s(np.array(0.96), rack, np.array(inlet_c)))
        kw[inlet_c] = float(rack)
    return [
        Check(
            "R26",
            f"power of servers at {inlet_c} degC over 27",
            "%",
            100 * (kw[inlet_c] / kw[27.0] - 1),
            *bounds,
            "hard",
        )
        for inlet_c, bounds in ((35.0, (6, 10)), (37.0, (9, 15)))
    ]


def all_checks(week: RunArrays, fine: RunArrays, coarse: RunArrays) -> list[Check]:
    """Return every check; `week` is sampled at 60 s, `fine` at 10 s and `coarse` at 60 s for the same day or more."""
    hall = small_hall()
    of_hall = [*shut_downs(hall), *restart(hall), *incident_curves(hall), *hot_gpus(hall), *warm_servers()]
    of_runs = [*outlet_spectrum(week), *shared_demand(week), *latency(week), *ticks(fine, coarse)]
    return sorted([*of_hall, *of_runs, *darkness(), *see_saw()], key=lambda check: check.id)
