"""The one step that moves a plant in time, as a pure function of structs of arrays."""

import numpy as np

from sim.plant import constants as k
from sim.plant.condition import effective_drivers
from sim.plant.controllers import actuate
from sim.plant.cooling import CoolingInputs, asked_pct, heat_balance
from sim.plant.gains import step_gains
from sim.plant.load import still_waiting, transferred
from sim.plant.loops import cool_water, flow_given
from sim.plant.params import PlantParams
from sim.plant.rack_states import PowerDraw, draw_power, serve
from sim.plant.relations import Array, inlet_c, within
from sim.plant.state import Inputs, PlantState

MAX_RECIRCULATION = 0.8
"""The part of their own exhaust that racks breathe at most; assumed."""


def step(params: PlantParams, state: PlantState, inputs: Inputs, dt_s: float) -> PlantState:
    """Return the plant's state dt_s [s] later. Nothing is written into what is given."""
    gains, condition = step_gains(dt_s), inputs.condition
    offered, token_energy, capacity, _, airflow, recirculation, fan_bias, pump_bias, load_sd, air_sd, flow_sd = (
        effective_drivers(inputs.drivers, condition)
    )
    offered_ps = offered * np.maximum(0.0, 1 + load_sd * inputs.load)
    if condition.transfers:
        offered_ps = transferred(offered_ps, condition.transfers, params.size, len(state.rack_kw))
    breathed = within(recirculation + air_sd * inputs.recirculation + params.recirculation, 0.0, MAX_RECIRCULATION)
    served = serve(state, offered_ps, capacity, token_energy, condition, gains, dt_s)
    drawn = draw_power(state, served, airflow * (1 + flow_sd * inputs.airflow), condition, gains)
    fan, pump = asked_pct(params.cooling, state.inlet_c, drawn.rack_kw)
    asked = fan + fan_bias, pump + pump_bias
    speeds = actuate((state.fan_pct, state.pump_pct), asked, condition, gains.actuator, dt_s)
    outlet, supply, inlet, coil_kw = _exchange_heat(params, state, inputs, drawn, speeds, breathed, dt_s)
    loop_kw, water_c, chilled_water_c = cool_water(params, state, coil_kw, condition, gains.water, dt_s)
    return PlantState(
        **drawn._asdict(),
        powered=condition.powered,
        tokens_ps=served.tokens_ps,
        backlog_tokens=still_waiting(offered_ps, served.tokens_ps, state.backlog_tokens, served.capacity_ps, dt_s),
        capacity_ps=served.capacity_ps,
        fan_pct=speeds[0],
        pump_pct=speeds[1],
        inlet_c=inlet,
        outlet_c=outlet,
        supply_c=supply,
        coil_kw=coil_kw,
        loop_kw=loop_kw,
        water_c=water_c,
        chilled_water_c=chilled_water_c,
    )


def _exchange_heat(
    params: PlantParams,
    state: PlantState,
    inputs: Inputs,
    drawn: PowerDraw,
    speeds: tuple[Array, Array],
    recirculation: Array,
    dt_s: float,
) -> tuple[Array, Array, Array, Array]:
    """Return outlet, supply and inlet [degC] after the step, and the heat that the water took up in it [kW]."""
    fan_pct, pump_pct = speeds
    flow = flow_given(params, pump_pct, inputs.condition.loop_pump)
    air_capacity_rate_kw_k = k.AIR_KJ_M3K * ((state.airflow_m3s + drawn.airflow_m3s) / 2)
    mixing_heat_kw = swapped_kw(params, state.outlet_c)
    met = CoolingInputs(
        rack_kw=drawn.mean_rack_kw,
        mixing_heat_kw=mixing_heat_kw,
        air_capacity_rate_kw_k=air_capacity_rate_kw_k,
        recirculation=recirculation,
        fan_pct=fan_pct,
        branch_pct=pump_pct * flow.take(params.loop_of_rack, axis=1),
        coil=inputs.condition.coil,
        water_c=(state.water_c + inputs.water_k).take(params.loop_of_rack, axis=1),
        outlet_c=state.outlet_c,
        supply_c=state.supply_c,
    )
    mean = heat_balance(params.cooling, met, dt_s)
    outlet, supply = 2 * mean.outlet_c - state.outlet_c, 2 * mean.supply_c - state.supply_c
    return outlet, supply, inlet_c(outlet, supply, recirculation, mixing_heat_kw, air_capacity_rate_kw_k), mean.water_kw


def swapped_kw(params: PlantParams, outlet_c: Array) -> Array:
    """Return the heat that each rack takes up from its neighbours' exhaust [kW], per standard rack.

    q = K sum of w (Tn - To) over the neighbours, w the part of the rack's width that both have. K is assumed.
    """
    warmer_k = outlet_c.take(params.neighbours, axis=1) - outlet_c[:, None]
    return np.asarray(k.EXCHANGE_KW_K * (warmer_k * params.swap_width).sum(axis=1))
