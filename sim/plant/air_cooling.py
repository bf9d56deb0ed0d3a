"""Racks cooled by air: a fan blows the exhaust through a coil of the cooling loop into the cold aisle."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant.cooling import CoolingInputs, HeatBalance, Stored, StoredHeat
from sim.plant.relations import Array, coil_conductances

GAMMA = 1 - 0.5**0.5
"""Of the implicit rule of two stages that is of second order and damps what is faster than the step."""


class _Stage(NamedTuple):
    """What both stages of a step share: rates [kW/K] and the sums that the elimination divides by."""

    servers: float
    aisle: float
    coil: float
    air: Array
    through: Array
    water: Array
    of_coil: Array
    of_aisle: Array
    passed: Array
    determinant: Array


@dataclass(frozen=True, slots=True)
class AirCooling:
    """Three nodes of heat in each rack: servers, cold aisle and the coil between air and water; and the aisles' walls.

    Servers: C dTo/dt = P + q - F (To - Ts) - g (To - Th); cold aisle: Ca dTs/dt = F (To - Ts) - a (To - Tc) - g (Ts -
    Tk); coil: Cc dTc/dt = a (To - Tc) - w (Tc - Tw); walls: Cw dTh/dt = g (To - Th). F is the heat capacity rate of the
    air through the coil, a and w the coil's conductances to air and water, q the heat that neighbours' air brings.
    Source: energy balance of lumped nodes; the servers' mass from a step response measured on one server (constants).
    """

    def step(self, inputs: CoolingInputs, stored: Stored, dt_s: float) -> StoredHeat:
        """Return what is stored after a step, by an implicit rule of two stages (SDIRK2, Alexander 1977).

        It conserves energy to rounding whatever the step; the walls, whose time constant is over an hour, stand still
        in it and take up what passed.
        """
        x, s = inputs, _stage(inputs, GAMMA * dt_s)
        heat_kw = x.rack_kw + x.mixing_heat_kw + k.STRUCTURE_KW_K * stored.hot_wall_c
        cold_kw = k.STRUCTURE_KW_K * stored.cold_wall_c
        start = stored.outlet_c, stored.supply_c, stored.coil_c
        first = _solved(s, start, heat_kw, cold_kw, x.water_c)
        ahead = (1 - GAMMA) / GAMMA
        begin = tuple(t0 + ahead * (t1 - t0) for t0, t1 in zip(start, first, strict=True))
        last = _solved(s, begin, heat_kw, cold_kw, x.water_c)
        outlet, supply, coil = (t1 + GAMMA * (t2 - t1) for t1, t2 in zip(first, last, strict=True))
        walls = k.STRUCTURE_KW_K * dt_s / k.STRUCTURE_HEAT_KJ_K
        return StoredHeat(
            Stored(
                *last,
                stored.hot_wall_c + walls * (outlet - stored.hot_wall_c),
                stored.cold_wall_c + walls * (supply - stored.cold_wall_c),
            ),
            s.water * (coil - x.water_c),
        )

    def settled(self, inputs: CoolingInputs) -> HeatBalance:
        """Return where exhaust and cold aisle settle: the coil hands on all heat, and the air carries it."""
        heat_kw = inputs.rack_kw + inputs.mixing_heat_kw
        through = inputs.air_capacity_rate_kw_k * (1 - inputs.recirculation)
        whole = coil_conductances(inputs.fan_pct, inputs.branch_pct, through, inputs.coil).whole_kw_k
        outlet_c = inputs.water_c + heat_kw / np.maximum(whole, 1e-12)
        return HeatBalance(outlet_c, outlet_c - heat_kw / through)


def _stage(x: CoolingInputs, dt_s: float) -> _Stage:
    through = x.air_capacity_rate_kw_k * (1 - x.recirculation)
    air, water, _ = coil_conductances(x.fan_pct, x.branch_pct, through, x.coil)
    servers, aisle, coil = k.RACK_HEAT_KJ_K / dt_s, k.COLD_AISLE_HEAT_KJ_K / dt_s, k.COIL_HEAT_KJ_K / dt_s
    of_coil = 1 / (coil + air + water)
    of_aisle = 1 / (aisle + through + k.STRUCTURE_KW_K)
    passed = (through - air + air * air * of_coil) * of_aisle  # of the exhaust's warmth, what the cold aisle gets
    determinant = 1 / (servers + k.STRUCTURE_KW_K + through * (1 - passed))
    return _Stage(servers, aisle, coil, air, through, water, of_coil, of_aisle, passed, determinant)


def _solved(
    s: _Stage, begin: tuple[Array, ...], heat_kw: Array, cold_kw: Array, water_c: Array
) -> tuple[Array, Array, Array]:
    """Return exhaust, cold aisle and coil at a stage's end [degC]; coil and aisle eliminated one after the other."""
    outlet0, supply0, coil0 = begin
    coil_alone = (s.coil * coil0 + s.water * water_c) * s.of_coil
    aisle_alone = (s.aisle * supply0 + cold_kw + s.air * coil_alone) * s.of_aisle
    outlet = (s.servers * outlet0 + heat_kw + s.through * aisle_alone) * s.determinant
    return outlet, aisle_alone + s.passed * outlet, coil_alone + s.air * s.of_coil * outlet
