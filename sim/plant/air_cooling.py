"""Racks cooled by air: a fan blows the exhaust through a coil of the cooling loop into the cold aisle."""

from dataclasses import dataclass

from sim.plant import constants as k
from sim.plant.cooling import CoolingInputs, HeatBalance
from sim.plant.relations import coil_effectiveness


@dataclass(frozen=True, slots=True)
class AirCooling:
    """Two nodes of heat in each rack, servers and cold aisle, and a coil between air and water.

    Servers: C dTo/dt = P + q - F (To - Ts); cold aisle: Ca dTs/dt = F ((1 - e) To + e Tw - Ts), where F is the heat
    capacity rate of the air through the coil, e the coil's effectiveness and q the heat that neighbours' air brings.
    Source: energy balance of two lumped nodes; masses from a step response measured on one server (see constants).
    """

    def balance(self, inputs: CoolingInputs, dt_s: float) -> HeatBalance:
        """Return the step's means: both equations at its mid-point, 2 (Tm - T) / dt for dT/dt, solved for both Tm."""
        x = inputs
        f = x.air_capacity_rate_kw_k * (1 - x.recirculation)
        e = coil_effectiveness(x.fan_pct, x.branch_pct, f, x.coil)
        to_water, past = f * e, 1 - e
        a, b = 2 * k.RACK_HEAT_KJ_K / dt_s, 2 * k.COLD_AISLE_HEAT_KJ_K / dt_s
        a_f, b_f = a + f, b + f
        servers = a * x.outlet_c + x.rack_kw + x.mixing_heat_kw
        aisle = b * x.supply_c + to_water * x.water_c
        determinant = a_f * b_f - f * f * past
        outlet_c = (servers * b_f + f * aisle) / determinant
        supply_c = (a_f * aisle + f * past * servers) / determinant
        return HeatBalance(outlet_c, supply_c, to_water * (outlet_c - x.water_c))
