"""Liquid-cooled racks and training jobs against what was read of real ones.

R28 to R30 of `python -m benchmarks.realism`.
"""

from typing import NamedTuple

import numpy as np

from sim.agents.training_job import crashes
from sim.common.streams import Streams
from sim.engine.blocks import Array
from sim.engine.build import Hall, build, resolve
from sim.engine.counters import COUNTERS, FULL_MHZ
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.kinds import DAY_S, FaultEffect
from sim.model.facility import DLC, GPUS_PER_SIZE, SIZES
from sim.plant import constants as k
from sim.plant.cooling import PLATES
from sim.plant.liquid_cooling import coolant_kw_k, plate_conductance_kw_k
from sim.plant.plant import Plant
from sim.runs.checks.check import Check
from sim.runs.checks.realism import nominal_plant
from sim.runs.memory import MemorySink, record
from sim.scenario.checks import parse_scenario

LIQUID = {"facility": {"rows": [{"name": name, "rack_type": DLC, "racks": 4} for name in "AB"]}}
JOB = {"facility": {"rows": 1, "racks_per_row": 12}, "duration": "3h", "tick": 10}
COUNTED = {"facility": {"rows": 2, "racks_per_row": 6}, "duration": "12h", "start": "2025-01-06T09:00:00Z"}
XID_HOURS = 10.0
LLAMA_GPUS, LLAMA_DAYS = 16_384, 54
FINE_STEP_S = 1.0
FIRST_S = 20
WATCHED_S = 120


def liquid_hall() -> Hall:
    """Return a hall of liquid-cooled racks."""
    return resolve(parse_scenario({"name": "liquid", **LIQUID}, "liquid"))


class Coolant(NamedTuple):
    """What the coolant of racks at rest is about, (racks,)."""

    heat_kw: Array
    rise_k: Array
    approach_k: Array
    supply_c: Array
    flow_lpm: Array


def coolant(plant: Plant) -> Coolant:
    """Return the coolant of a plant of liquid-cooled racks at rest, per standard rack."""
    state, condition = plant.state, plant.condition
    water_c = state.water_c[0].take(plant.params.loop_of_rack)
    conductance = plate_conductance_kw_k(state.pump_pct[0], condition.cdu[0])
    heat_kw = conductance * (state.stored_c[PLATES][0] - water_c)
    rate_kw_k = coolant_kw_k(state.pump_pct[0])
    approach_k = heat_kw / (k.CDU_KW_K * condition.cdu[0])
    return Coolant(heat_kw, heat_kw / rate_kw_k, approach_k, water_c + approach_k, 60 * rate_kw_k / k.COOLANT_KJ_LK)


def at_rest(hall: Hall) -> list[Check]:
    """R28: power, coolant and GPUs of a nominal rack; DGX and OCP guides tell flow, rise, approach and resistance."""
    plant = nominal_plant(hall, "offered_tokens_ps", "times", 1.0, step_s=k.PLATE_STEP_S)
    state, of = plant.state, coolant(plant)
    gpu_w = 1000 * state.gpu_kw[0] / GPUS_PER_SIZE[DLC]
    k_per_w = (state.gpu_c[0] - (of.supply_c + of.rise_k / 2)) / gpu_w
    figures = (
        ("power of a nominal rack", "kW", SIZES[DLC] * state.rack_kw[0], 120, 140),
        ("heat that plates take", "%", 100 * of.heat_kw / state.rack_kw[0], 85, 89),
        ("coolant", "l/min per kW", of.flow_lpm / state.rack_kw[0], 1.0, 1.5),
        ("rise of the coolant", "K", of.rise_k, 8, 12),
        ("approach", "K", of.approach_k, 3, 5),
        ("supply of the coolant", "degC", of.supply_c, 17, 45),
        ("GPU over the plates' mean", "K/W", k_per_w, 0.02, 0.03),
    )
    return [
        Check("R28", f"liquid-cooled: {what}", unit, float(np.median(values)), low, high, "hard")
        for what, unit, values, low, high in figures
    ]


def without_flow(hall: Hall) -> list[Check]:
    """R28: how fast plates warm without flow, and when GPUs run slower; 105 kW on 150 kJ/K, 30 to 60 s."""
    (plates_c, fine_s), (_, coarse_s) = (_loss_of_flow(hall, step_s) for step_s in (FINE_STEP_S, k.PLATE_STEP_S))
    rate = float((plates_c[FIRST_S] - plates_c[0]) / FIRST_S)
    return [
        Check("R28", "liquid-cooled: plates without flow", "K/s", rate, 0.6, 0.8, "hard"),
        Check("R28", "liquid-cooled: GPUs throttle after", "s", fine_s, 30, 60, "hard"),
        Check("R28", "liquid-cooled: the same by steps of a run", "s", coarse_s, 30, 60, "hard"),
    ]


def _loss_of_flow(hall: Hall, step_s: float) -> tuple[Array, float]:
    """Return the mean plates at each step without flow [degC], and when the median rack's clock begins to fall [s]."""
    plant = nominal_plant(hall, "offered_tokens_ps", "times", 1.0, step_s=step_s)
    racks, full_ps = np.arange(len(hall.facility.racks)), plant.state.capacity_ps[0]
    left = CATALOGUE["loss_of_flow"].defaults()["pump_left_pct"]
    plant.apply([FaultEffect("pump_ceiling_pct", racks, np.array(left))])
    plates_c, slowed_s = [plant.state.stored_c[PLATES][0].mean()], np.full(len(racks), np.inf)
    for i in range(round(WATCHED_S / step_s)):
        plant.step()
        plates_c.append(plant.state.stored_c[PLATES][0].mean())
        slower = plant.state.capacity_ps[0] < full_ps * (1 - 1e-9)
        slowed_s = np.minimum(slowed_s, np.where(slower, (i + 1) * step_s, np.inf))
    return np.array(plates_c), float(np.median(slowed_s))


def training_job() -> list[Check]:
    """R29: a job's plateau and checkpoints, and its crash; arXiv 2506.14551, Llama 3."""
    crash = {"kind": "job_crash", "target": "rack:R-A-02", "at": "1h10m"}
    job = {"racks": "row:A", "checkpoint_every": "30m", "checkpoint": "60s", "gpu_hours_per_failure": None}
    run = record({**JOB, "training_job": job, "incidents": [crash]})
    pdu_kw = run.truth["pdu_kw"]
    kw, usual_kw = pdu_kw.mean(axis=1), run.twin_truth["pdu_kw"].mean(axis=1)
    tick_s, plateau_kw = run.tick_s, float(np.median(usual_kw))
    of_tdp = 100 * plateau_kw / k.RACK_LIMIT_KW
    apart = 100 * float(np.median(pdu_kw.std(axis=1) / pdu_kw.mean(axis=1)))
    low = 100 * float(usual_kw[round(1830 / tick_s)]) / plateau_kw
    struck = round(4200 / tick_s)
    idle_kw = kw[struck + round(300 / tick_s)]
    down_s = tick_s * int(np.argmax(kw[struck:] < idle_kw + 0.1 * (plateau_kw - idle_kw)))
    back_min = tick_s * int(np.argmax(kw[struck + 2 :] > 0.9 * plateau_kw)) / 60
    return [
        Check("R29", "training job: power while it runs", "% of node TDP", of_tdp, 72, 80, "hard"),
        Check("R29", "training job: SD of its racks' power at one instant", "%", apart, 0, 5, "hard"),
        Check("R29", "training job: power while it checkpoints", "% of that", low, 20, 50, "hard"),
        Check("R29", "training job: from crash to idle, 90 % of the way", "s", down_s, 0, 20, "hard"),
        Check("R29", "training job: from crash to running", "min", back_min, 5, 17, "hard"),
    ]


def failures() -> list[Check]:
    """R29: how often a job of 16,384 GPUs fails in 54 days; Llama 3: 419 times, one per 50,700 GPU-hours."""
    rng, until_s = Streams(0).stream("training_job"), LLAMA_DAYS * DAY_S
    count = crashes(rng, until_s, LLAMA_GPUS / 50_700, restart_s=600.0)
    return [Check("R29", "training job: crashes of 16,384 GPUs in 54 days", "", count, 340, 480, "hard")]


def counters() -> list[Check]:
    """R30: what GPUs tell under a cap, against the rack's meter and beside the reasons that they give."""
    cap = {"kind": "power_cap", "target": "row:A", "at": "1h", "duration": "1h"}
    telemetry = {"counters": "dcgm", "gpu_hours_per_xid": XID_HOURS}
    scenario = {"name": "counted", **COUNTED, "telemetry": telemetry, "incidents": [cap]}
    hall = resolve(parse_scenario(scenario, "counted"))
    kept = MemorySink(hall)
    build(hall, [kept]).run()
    told = {n: np.concatenate([b.counters[n] for b in kept.telemetry_blocks if b.counters]) for n in COUNTERS}
    mhz, reasons = told["SM_CLOCK"], told["CLOCKS_EVENT_REASONS"].astype(np.intp)
    gpus, under_cap = hall.facility.gpus_of_rack, slice(65, 115)
    apart = told["POWER_USAGE"] * gpus / 1000 / kept.arrays.truth["gpu_power_kw"] - 1
    slow = mhz[under_cap, : gpus.size // 2]
    hours = float(gpus.sum()) * hall.scenario.duration / 3600
    xids = float((told["XID_ERRORS"] > 0).sum())
    figures = (
        ("GPUs' power against the rack's, worst", "%", 100 * float(np.abs(apart).max()), 0, 0.01),
        ("SM clock under a power cap", "% of full", 100 * float(np.median(slow)) / FULL_MHZ, 70, 85),
        ("samples of lower clocks that say why", "%", 100 * float((reasons[mhz < FULL_MHZ] > 0).mean()), 100, 100),
        ("samples at the full clock that say why", "%", 100 * float((reasons[mhz == FULL_MHZ] > 0).mean()), 0, 0),
        ("hottest GPU", "degC", float(told["GPU_TEMP"].max()), 45, 90),
        ("XID errors against the stated rate", "", xids / (hours / XID_HOURS), 0.7, 1.3),
    )
    return [
        Check("R30", f"counters: {what}", unit, value, low, high, "hard") for what, unit, value, low, high in figures
    ]


def all_checks() -> list[Check]:
    """Return every check of modern racks."""
    hall = liquid_hall()
    return [*at_rest(hall), *without_flow(hall), *training_job(), *failures(), *counters()]
