"""What a site draws beside its racks: the fans, pumps and chillers, and what power delivery loses. For the PUE."""

import numpy as np

from sim.model.facility import FacilitySpec
from sim.plant import constants as k
from sim.plant.relations import Array

WARMEST_HOUR = 15.0
"""Of the site's clock; assumed."""


def outdoor_c(site: FacilitySpec, hour: Array) -> Array:
    """Return the outdoor temperature [degC] at hours of the site's day: a cosine, warmest at WARMEST_HOUR."""
    return np.asarray(site.outdoor_c + site.outdoor_swing_c * np.cos((hour - WARMEST_HOUR) * np.pi / 12))


def chiller_cop(outdoor_c: Array) -> Array:
    """Return the chillers' coefficient of performance, which falls as the weather warms."""
    return np.maximum(k.CHILLER_COP_MIN, k.CHILLER_COP - k.CHILLER_COP_PER_K * (outdoor_c - 12))


def cooling_power_kw(
    it_kw: Array, fan_pct: Array, pump_pct: Array, size: Array, cop: Array, air_share: Array | float = 1.0
) -> Array:
    """Return what the hall's fans, pumps and chillers draw [kW], (ticks,).

    it_kw: heat of the racks, (ticks,); fan_pct, pump_pct: of the racks, (ticks, racks); size: (racks,); cop: (ticks,).
    air_share: of the air of racks without plates, to which fans are sized, (racks,).
    Fans and pumps follow the affinity law (power ~ speed^3); the chillers take away their heat as well.
    """
    fans_kw = ((fan_pct / 100) ** 3 * (k.RACK_FAN_KW * size * air_share)).sum(axis=1)
    speed = (pump_pct * size).sum(axis=1) / (100 * size.sum())
    pumps_kw = k.LOOP_PUMP_KW_PER_RACK * size.sum() * speed**3
    return np.asarray((it_kw + fans_kw + pumps_kw) / cop + fans_kw + pumps_kw)


def facility_power_kw(
    pdu_kw: Array, fan_pct: Array, pump_pct: Array, size: Array, cop: Array, air_share: Array | float = 1.0
) -> tuple[Array, Array]:
    """Return the racks' power and the whole site's [kW], (ticks,) each; their ratio is 1 / PUE.

    pdu_kw, fan_pct, pump_pct: of the racks, (ticks, racks); size: of the racks, (racks,); cop: (ticks,); air_share: as
    for cooling_power_kw.
    PDU and UPS lose a share of what passes, the UPS also one of what they are rated for, the racks' design load.
    """
    it_kw = pdu_kw.sum(axis=1)
    cooling_kw = cooling_power_kw(it_kw, fan_pct, pump_pct, size, cop, air_share)
    behind_ups_kw = it_kw / k.PDU_EFFICIENCY
    delivered_kw = behind_ups_kw * (1 + k.UPS_LOSS_OF_LOAD) + k.UPS_LOSS * k.DESIGN_RACK_KW * size.sum()
    return it_kw, delivered_kw + cooling_kw + k.OVERHEAD_KW_PER_RACK * size.sum()
