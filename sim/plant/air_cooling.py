"""Racks cooled by air: a fan blows the exhaust through a coil of the cooling loop into the cold aisle."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.cooling import CoolingInputs, HeatBalance, StoredHeat
from sim.plant.relations import Array, coil_conductances

GAMMA = 1 - 0.5**0.5
"""Of the implicit rule of two stages that is of second order and damps what is faster than the step."""


class _Stage(NamedTuple):
    """What both stages of a step share: rates [kW/K], and how the elimination hands on what comes in."""

    air: Array
    through: Array
    water: Array
    of_coil: Array
    of_aisle: Array
    coil_per_outlet: Array
    supply_per_outlet: Array
    of_outlet: Array


@cache
def _warming_kw_k(dt_s: float) -> tuple[Array, Array]:
    """Return what a kelvin of warming of exhaust, cold aisle and coil takes in a stage of a step, (3, 1, 1) [kW/K].

    Second, that part of it by which the second stage starts ahead.
    """
    rate = np.array([k.RACK_HEAT_KJ_K, k.COLD_AISLE_HEAT_KJ_K, k.COIL_HEAT_KJ_K])[:, None, None] / (GAMMA * dt_s)
    return rate, rate * ((1 - GAMMA) / GAMMA)


@dataclass(frozen=True, slots=True)
class AirCooling:
    """Three nodes of heat in each rack: servers, cold aisle and the coil between air and water; and the aisles' walls.

    Servers: C dTo/dt = P + q - F (To - Ts) - g (To - Th); cold aisle: Ca dTs/dt = F (To - Ts) - a (To - Tc) - g (Ts -
    Tk); coil: Cc dTc/dt = a (To - Tc) - w (Tc - Tw); walls: Cw dTh/dt = g (To - Th). F is the heat capacity rate of the
    air through the coil, a and w the coil's conductances to air and water, q the heat that neighbours' air brings.
    Source: energy balance of lumped nodes; the servers' mass from a step response measured on one server (constants).
    """

    def step(self, inputs: CoolingInputs, stored_c: Array, dt_s: float) -> StoredHeat:
        """Return what is stored after a step, by an implicit rule of two stages (SDIRK2, Alexander 1977).

        It conserves energy to rounding whatever the step; the walls, whose time constant is over an hour, stand still
        in it and take up what passed.
        """
        s, air_c, walls_c, after_c = _stage(inputs, dt_s), stored_c[:3], stored_c[3:], np.empty_like(stored_c)
        rate, ahead = _warming_kw_k(dt_s)
        coming_kw = _coming_kw(inputs, walls_c, s.water) + rate * air_c
        first_c = _solved(s, coming_kw, np.empty_like(air_c))
        last_c = _solved(s, coming_kw + ahead * (first_c - air_c), after_c[:3])
        mean_c = first_c + GAMMA * (last_c - first_c)
        after_c[3:] = walls_c + (k.STRUCTURE_KW_K * dt_s / k.STRUCTURE_HEAT_KJ_K) * (mean_c[:2] - walls_c)
        return StoredHeat(after_c, s.water * (mean_c[2] - inputs.water_c))

    def settled(self, inputs: CoolingInputs) -> HeatBalance:
        """Return where exhaust and cold aisle settle: the coil hands on all heat, and the air carries it."""
        heat_kw = inputs.rack_kw + inputs.mixing_heat_kw
        through = inputs.air_capacity_rate_kw_k * (1 - inputs.recirculation)
        whole = coil_conductances(inputs.fan_pct, inputs.branch_pct, through, inputs.coil).whole_kw_k
        outlet_c = inputs.water_c + heat_kw / np.maximum(whole, 1e-12)
        return HeatBalance(outlet_c, outlet_c - heat_kw / through)


def _stage(x: CoolingInputs, dt_s: float) -> _Stage:
    through = x.air_capacity_rate_kw_k * (1.0 - x.recirculation)
    air, water, _ = coil_conductances(x.fan_pct, x.branch_pct, through, x.coil)
    servers, aisle, coil = _warming_kw_k(dt_s)[0].ravel().tolist()
    of_coil = np.reciprocal(air + water + coil)
    of_aisle = np.reciprocal(through + (aisle + k.STRUCTURE_KW_K))
    coil_per_outlet = air * of_coil
    supply_per_outlet = (through - air * (1.0 - coil_per_outlet)) * of_aisle
    of_outlet = np.reciprocal(through * (1.0 - supply_per_outlet) + (servers + k.STRUCTURE_KW_K))
    return _Stage(air, through, water, of_coil, of_aisle, coil_per_outlet, supply_per_outlet, of_outlet)


def _coming_kw(x: CoolingInputs, walls_c: Array, water_kw_k: Array) -> Array:
    """Return what comes from outside to exhaust, cold aisle and coil [kW], (3, ..), as if they stood at 0 degC."""
    coming = np.empty((3, *walls_c.shape[1:]))
    np.multiply(walls_c, k.STRUCTURE_KW_K, out=coming[:2])
    coming[0] += x.rack_kw + x.mixing_heat_kw
    np.multiply(water_kw_k, x.water_c, out=coming[2])
    return coming


def _solved(s: _Stage, coming_kw: Array, after_c: Array) -> Array:
    """Return exhaust, cold aisle and coil at a stage's end [degC]; coil and aisle eliminated one after the other."""
    coil_alone_c = coming_kw[2] * s.of_coil
    aisle_alone_c = (coming_kw[1] + s.air * coil_alone_c) * s.of_aisle
    outlet_c = np.multiply(coming_kw[0] + s.through * aisle_alone_c, s.of_outlet, out=after_c[0])
    np.add(aisle_alone_c, s.supply_per_outlet * outlet_c, out=after_c[1])
    np.add(coil_alone_c, s.coil_per_outlet * outlet_c, out=after_c[2])
    return after_c
