"""Liquid-cooled racks against what was read of real ones: R28 of `python -m benchmarks.realism`."""

from typing import NamedTuple

import numpy as np

from sim.engine.blocks import Array
from sim.engine.build import Hall, resolve
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.kinds import FaultEffect
from sim.model.facility import DLC, GPUS_PER_SIZE, SIZES
from sim.plant import constants as k
from sim.plant.cooling import PLATES
from sim.plant.liquid_cooling import coolant_kw_k, plate_conductance_kw_k
from sim.plant.plant import Plant
from sim.runs.checks.check import Check
from sim.runs.checks.realism import nominal_plant
from sim.scenario.checks import parse_scenario

LIQUID = {"facility": {"rows": [{"name": name, "rack_type": DLC, "racks": 4} for name in "AB"]}}
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


def all_checks() -> list[Check]:
    """Return every check of modern racks."""
    hall = liquid_hall()
    return [*at_rest(hall), *without_flow(hall)]
