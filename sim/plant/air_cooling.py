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
        """Return the step's means: both equations at its mid-point, (Tm - T) 2/dt for dT/dt, solved for both Tm."""
        x = inputs
        f = x.air_capacity_rate_kw_k * (1 - x.recirculation)
        e = coil_effectiveness(x.fan_pct, x.branch_pct, f, x.coil)
        a, b = 2 * k.RACK_HEAT_KJ_K / dt_s, 2 * k.COLD_AISLE_HEAT_KJ_K / dt_s
        servers = a * x.outlet_c + x.rack_kw + x.mixing_heat_kw
        aisle = b * x.supply_c + f * e * x.water_c
        determinant = (a + f) * (b + f) - f * f * (1 - e)
        outlet_c = (servers * (b + f) + f * aisle) / determinant
        supply_c = ((a + f) * aisle + f * (1 - e) * servers) / determinant
        return HeatBalance(outlet_c, supply_c, f * e * (outlet_c - x.water_c))
