"""Racks with cold plates: coolant of an exchanger of their own takes most of the heat, air the rest."""

from dataclasses import dataclass, field

import numpy as np

from sim.plant import constants as k
from sim.plant.air_cooling import AirCooling
from sim.plant.cooling import PLATES, CoolingInputs, HeatBalance, StoredHeat
from sim.plant.relations import Array

AIR_SHARE = 1 - k.PLATE_SHARE
"""Of the heat, and so of the air, of a rack without plates."""


def coolant_kw_k(branch_pct: Array) -> Array:
    """Return the heat capacity rate of the coolant through the plates [kW/K], in proportion to its flow [%]."""
    return branch_pct * (k.PLATE_FLOW_KW_K / k.PUMP_REFERENCE_PCT)


def plate_conductance_kw_k(branch_pct: Array, cdu: Array) -> Array:
    """Return what plates hand on for each kelvin above the loop's water [kW/K]: 1 / (1 / (2 m cp) + 1 / U).

    With the plates at the coolant's mean a heat Q stands Q / (2 m cp), half the coolant's rise, above the coolant's
    supply, and that by the approach Q / U above the loop's water. branch_pct: flow [%]; cdu: condition of the
    exchanger, 1 for a clean one.
    Source: energy balance; flow and approach as real racks have them (constants).

    >>> round(float(plate_conductance_kw_k(np.array(57.5), np.array(1.0))), 3)
    0.747
    """
    coolant, exchanger = 2 * coolant_kw_k(branch_pct), k.CDU_KW_K * cdu
    return coolant * exchanger / (coolant + exchanger)


@dataclass(frozen=True, slots=True)
class LiquidCooling:
    """Plates with their coolant as one mass, beside air cooling of a rack as much smaller as the air's share is.

    Cp dTp/dt = phi P - K (Tp - Tw), solved exactly over a step whatever its length. The air's part is the standard
    rack's own law: with as much less heat in as much less air its temperatures are those of a standard rack.
    """

    air: AirCooling = field(default_factory=AirCooling)

    def step(self, inputs: CoolingInputs, stored_c: Array, dt_s: float) -> StoredHeat:
        """Return what is stored after a step; water takes up what came in and is not stored."""
        of_air = self.air.step(_of_air(inputs), stored_c[:PLATES], dt_s)
        plate_kw, plates_c = k.PLATE_SHARE * inputs.rack_kw, stored_c[PLATES]
        conductance = plate_conductance_kw_k(inputs.branch_pct, inputs.cdu)
        x = np.maximum(conductance * (dt_s / k.PLATE_HEAT_KJ_K), 1e-12)
        gaining_kw = plate_kw - conductance * (plates_c - inputs.water_c)
        warmer_k = gaining_kw * (dt_s / k.PLATE_HEAT_KJ_K) * (-np.expm1(-x) / x)
        water_kw = plate_kw - warmer_k * (k.PLATE_HEAT_KJ_K / dt_s) + AIR_SHARE * of_air.water_kw
        return StoredHeat(np.concatenate([of_air.stored_c, [plates_c + warmer_k]]), water_kw)

    def settled(self, inputs: CoolingInputs) -> HeatBalance:
        """Return where exhaust and cold aisle settle."""
        return self.air.settled(_of_air(inputs))

    def settled_plates_c(self, inputs: CoolingInputs) -> Array:
        """Return where the plates settle [degC]; far beyond all limits without any flow."""
        conductance = plate_conductance_kw_k(inputs.branch_pct, inputs.cdu)
        return inputs.water_c + k.PLATE_SHARE * inputs.rack_kw / np.maximum(conductance, 1e-6)


def _of_air(x: CoolingInputs) -> CoolingInputs:
    """Return what the air's part meets, as if it were a standard rack."""
    return x._replace(
        air_capacity_rate_kw_k=x.air_capacity_rate_kw_k * (1 / AIR_SHARE),
        mixing_heat_kw=x.mixing_heat_kw * (1 / AIR_SHARE),
    )
