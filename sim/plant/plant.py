"""The plant: the state of all racks and loops as arrays, and the one step that moves them in time.

Every array of rack state is (worlds, racks) and every array of loop state (worlds, loops). World 0 is the hall with its
incidents, world 1 (where there is one) its twin without them; worlds share their draws, so a difference between two of
them has a cause. Rack arrays are those of standard racks; sizes scale what leaves.
Demand, where it is given, is a function of time [s] that replaces the noise of the load, (racks,) in deviations.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.incidents.kinds import FaultEffect, LoadTransfer
from sim.model.facility import Facility, Indices
from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES, Drivers
from sim.plant.health import Health
from sim.plant.noise import Component, Noise
from sim.plant.rack_variation import neighbours, rack_variation
from sim.plant.relations import Array

MAX_STEP_S = 60.0

RACK_NOISE = (
    Component("load_slow", k.LOAD_SLOW_VARIANCE**0.5, k.LOAD_SLOW_TAU_S),
    Component("load_fast", (1 - k.LOAD_SLOW_VARIANCE) ** 0.5, k.LOAD_FAST_TAU_S),
    Component("recirculation_slow", k.AIR_SLOW_VARIANCE**0.5, k.AIR_SLOW_TAU_S),
    Component("recirculation_fast", (1 - k.AIR_SLOW_VARIANCE) ** 0.5, k.AIR_FAST_TAU_S),
    Component("airflow_slow", 1.0, k.AIR_SLOW_TAU_S),
)
LOOP_NOISE = (Component("water_slow", k.WATER_SD_K, k.WATER_TAU_S),)


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A rack enters a profile at a time [s]; profiles and racks by index."""

    time_s: float
    rack: int
    old: int
    new: int


class Plant:
    """All racks and loops of a hall between two instants. Built settled in the racks' first profiles."""

    def __init__(
        self,
        facility: Facility,
        drivers: Drivers,
        profile_of_rack: Indices,
        water_setpoint_c: float,
        step_s: float,
        streams: Streams,
        *,
        chiller_capacity_kw: float | None = None,
        demand: Callable[[float], Array] | None = None,
        worlds: int = 1,
    ) -> None:
        """Make a hall of `worlds` worlds that stands settled in its racks' first profiles, all healthy."""
        if not 0 < step_s <= MAX_STEP_S:
            raise ValueError(f"a step of {step_s} s is outside 0..{MAX_STEP_S:g} s")
        racks, loops = len(facility.racks), len(facility.loops)
        self.time_s = 0.0
        self.step_s = step_s
        self._demand = demand
        self._loop_of_rack = facility.loop_of_rack
        self._size = facility.size_of_rack
        self._neighbours = neighbours(facility)
        # what two racks swap, they swap over the smaller one's width
        self._swap = np.minimum(self._size[self._neighbours], self._size) / self._size
        self._water_setpoint_c = water_setpoint_c
        self._rack_noise = _noise(RACK_NOISE, racks, step_s, streams)
        self._loop_noise = _noise(LOOP_NOISE, loops, step_s, streams)
        self._place_recirculation, self._coil = rack_variation(facility, streams)
        self.health = Health(worlds, racks, loops)

        self._table = drivers.table()
        self._target = self._table[:, profile_of_rack]
        self.drivers = self._target.copy()
        self._driver_gain = _gain(step_s, k.DRIVER_TAU_S)
        self._airflow_gain, self._gpu_gain = _gain(step_s, k.AIRFLOW_TAU_S), _gain(step_s, k.GPU_TAU_S)
        self._actuator_gain, self._water_gain = _gain(step_s, k.ACTUATOR_TAU_S), _gain(step_s, k.LOOP_TAU_S)
        self._design(loops, chiller_capacity_kw)
        self.apply(())
        self._start(worlds, racks, loops)

    def _design(self, loops: int, chiller_capacity_kw: float | None) -> None:
        """Size loops and chiller plant for the racks at the top of their power."""
        self._loop_design_kw = np.bincount(self._loop_of_rack, self._size, loops) * k.DESIGN_RACK_KW
        design_kw = k.CHILLER_MARGIN * float(self._loop_design_kw.sum())
        self._chiller_kw = chiller_capacity_kw or design_kw
        self._chilled_mass_kj_k = k.CHILLER_HEAT_KJ_K_PER_KW * design_kw

    def _start(self, worlds: int, racks: int, loops: int) -> None:
        def full(value: float, width: int = racks) -> Array:
            return np.full((worlds, width), value)

        self.tokens_ps, self.backlog_tokens = full(0.0), full(0.0)
        self.capacity_ps = full(k.CAPACITY_TOKENS_PS)
        self.gpu_c, self.gpu_kw = full(k.GPU_REFERENCE_C), full(5.0)
        self.rack_kw, self.airflow_m3s = full(k.REFERENCE_RACK_KW), full(k.AIRFLOW_REFERENCE_M3S)
        self.mean_gpu_kw, self.mean_rack_kw = self.gpu_kw, self.rack_kw
        self.fan_pct, self.pump_pct = full(k.FAN_REFERENCE_PCT), full(k.PUMP_REFERENCE_PCT)
        self.inlet_c, self.outlet_c = full(k.SETPOINT_INLET_C), full(k.SETPOINT_INLET_C + 12)
        self.supply_c = full(k.SETPOINT_INLET_C - 1)
        self.nodes_up, self._nodes_down = full(1.0), False
        self._powered, self._power_differed = full(1.0), False
        self.coil_kw = full(k.REFERENCE_RACK_KW)
        self.water_c = full(self._water_setpoint_c, loops)
        self.chilled_water_c = np.full((worlds, 1), self._water_setpoint_c - k.CHILLED_WATER_BELOW_K)
        steps = int(k.LOOP_DEAD_TIME_S / self.step_s) + 2
        self._loop_kw = deque([0.55 * self._loop_design_kw * np.ones((worlds, loops))] * steps, maxlen=steps)
        for _ in range(int(-(-SPIN_UP_S // self.step_s))):
            self._move()
        self.mean_gpu_kw, self.mean_rack_kw = self.gpu_kw, self.rack_kw

    def driver(self, name: str) -> Array:
        """Return a driver as it stands, with what incidents make of it, (worlds or 1, racks)."""
        i = DRIVER_NAMES.index(name)
        if not self.health.drivers_differ:
            return np.asarray(self.drivers[i][None])
        return np.asarray(self.drivers[i] * self.health.driver_gain[i] + self.health.driver_shift[i])

    @property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Whether the chiller plant cannot hold its setpoint, so that loops warm each other, (worlds,)."""
        return np.asarray((self.chilled_water_c > self._chilled_setpoint_c)[:, 0])

    def apply(self, effects: Iterable[FaultEffect], transfers: Iterable[LoadTransfer] = ()) -> None:
        """Put the equipment of world 0 into the condition that these leave it in; none: all is healthy."""
        self.health.set(effects, transfers)
        of = self.health.of
        self._coil_now = self._coil * of["coil"]
        self._loop_pump = k.LOOP_PUMP_MARGIN * of["loop_pump"]
        self._cdu_hx = k.CDU_HX_MARGIN * of["exchanger"]
        self._loop_setpoint_c = self._water_setpoint_c + of["loop_setpoint_k"]
        self._chiller_now_kw = self._chiller_kw * of["chiller"]
        self._chilled_setpoint_c = self._water_setpoint_c - k.CHILLED_WATER_BELOW_K + of["chilled_water_k"]

    def step(self, changes: Sequence[ProfileChange] = ()) -> None:
        """Move by one step. `changes` are those of the step, in order of time."""
        self.time_s += self.step_s
        self._rack_noise.advance()
        self._loop_noise.advance()
        self.drivers += (self._target - self.drivers) * self._driver_gain
        if changes:
            self._enter_profiles(changes)
        self._move()

    def _enter_profiles(self, changes: Sequence[ProfileChange]) -> None:
        """Add what each change adds from its own instant on; the lag is linear, so the split is exact."""
        racks = np.array([c.rack for c in changes])
        old, new = self._table[:, [c.old for c in changes]], self._table[:, [c.new for c in changes]]
        left_s = self.time_s - np.array([c.time_s for c in changes])
        added = (new - old) * -np.expm1(-left_s / k.DRIVER_TAU_S)
        for i, rack in enumerate(racks):  # a rack may have several changes in one step
            self.drivers[:, rack] += added[:, i]
        self._target[:, racks] = new  # of several changes of one rack the last one stands

    def _move(self) -> None:
        drivers = self.drivers[:, None]
        if self.health.drivers_differ:
            drivers = drivers * self.health.driver_gain + self.health.driver_shift
        offered, token_energy, capacity, _, airflow, recirculation, fan_bias, pump_bias, load_sd, air_sd, flow_sd = (
            drivers
        )
        z = self._rack_noise.value
        load = self._demand(self.time_s) if self._demand else z[0] + z[1]
        offered_ps = offered * np.maximum(0.0, 1 + load_sd * load)
        if self.health.transfers:
            offered_ps = self._transferred(offered_ps)
        recirculation = relations.within(recirculation + air_sd * (z[2] + z[3]) + self._place_recirculation, 0.0, 0.8)
        before_m3s = self.airflow_m3s
        gpu_kw = self._serve(offered_ps, capacity, token_energy)
        self._draw_power(gpu_kw, airflow * (1 + flow_sd * z[4]))
        self._actuate(fan_bias, pump_bias)
        self._exchange_heat(recirculation, (before_m3s + self.airflow_m3s) / 2)
        self._cool_water()

    def _transferred(self, offered_ps: Array) -> Array:
        """Move load between racks as incidents ask, evenly over those that take it; none is lost or made.

        All at once: each takes its part of what a rack itself is offered, and several leave what each of them leaves.
        """
        worlds, transfers = self.rack_kw.shape[0], self.health.transfers
        moved = np.repeat(offered_ps, worlds, axis=0) if len(offered_ps) < worlds else offered_ps.copy()
        dwell, asked = np.ones(self._size.size), np.full(self._size.size, 1e-300)
        for t in transfers:
            dwell[t.from_racks] *= 1 - t.part
            asked[t.from_racks] += t.part
        leaving = moved[0] * (1 - dwell)
        moved[0] *= dwell
        for t in transfers:
            total = (leaving[t.from_racks] * self._size[t.from_racks] * t.part / asked[t.from_racks]).sum()
            moved[0, t.to_racks] += total / self._size[t.to_racks].sum()
        return moved

    def _serve(self, offered_ps: Array, capacity: Array, token_energy: Array) -> Array:
        """Serve what is offered and what waits, up to capacity; what cannot be served waits or is shed.

        Return the power that GPUs draw for it [kW].
        """
        dt, left = self.step_s, relations.lower_clocks(self.gpu_c)
        wanted_ps = offered_ps + self.backlog_tokens / max(k.BACKLOG_DRAIN_S, dt)
        self.capacity_ps = self._able_ps(capacity, left)
        self.tokens_ps = np.minimum(wanted_ps, self.capacity_ps)
        gpu_kw = relations.gpu_kw(self.tokens_ps, token_energy, self.gpu_c)
        if self._next_gpu_c(gpu_kw).max() > k.SLOWDOWN_C[0]:
            emergency = self._emergency(gpu_kw, capacity, left, token_energy)
            self.capacity_ps = self._able_ps(capacity, relations.slowed(left, emergency))
            self.tokens_ps = np.minimum(wanted_ps, self.capacity_ps)
            gpu_kw = relations.gpu_kw(self.tokens_ps, token_energy, self.gpu_c)
        self.backlog_tokens = relations.within(
            self.backlog_tokens + (offered_ps - self.tokens_ps) * dt, 0.0, k.BACKLOG_LIMIT_S * self.capacity_ps
        )
        return gpu_kw

    def _able_ps(self, capacity: Array, left: Array) -> Array:
        """Return what racks are able to serve [tokens/s] with a part of their capacity left."""
        able_ps = k.CAPACITY_TOKENS_PS * capacity * left * self.nodes_up
        return able_ps * self.health.of["powered"] if self.health.power_differs else able_ps

    def _emergency(self, gpu_kw: Array, capacity: Array, left: Array, token_energy: Array) -> Array:
        """Return how far the emergency slowdown goes, 0..1, where GPUs would draw so much without it [kW].

        Hardware finds its balance within milliseconds. If the temperature before a step of a minute set it, it would
        overshoot by more from step to step, and let the last bits of a processor's exp grow until they can be read.
        """
        full_c, slowest_c = (
            self._next_gpu_c(relations.gpu_kw(self._able_ps(capacity, part), token_energy, self.gpu_c))
            for part in (left, relations.slowed(left, 1.0))
        )
        return relations.balanced_emergency(self._next_gpu_c(gpu_kw), full_c, slowest_c)

    def _next_gpu_c(self, gpu_kw: Array) -> Array:
        """Return the GPUs' temperature at the end of a step in which they draw a power [kW]."""
        settled_c = self.inlet_c + k.GPU_KELVIN_PER_KW * gpu_kw
        return self.gpu_c + (settled_c - self.gpu_c) * self._gpu_gain

    def _draw_power(self, gpu_kw: Array, airflow: Array) -> None:
        """Draw power for what is served; its mean over the step is that of its two ends."""
        before_gpu_kw, before_kw = self.gpu_kw, self.rack_kw
        self.gpu_kw = gpu_kw
        wanted_m3s = relations.airflow_m3s(airflow, self.rack_kw)
        if self.health.power_differs:
            wanted_m3s = wanted_m3s * np.maximum(self.health.of["powered"], k.PASSIVE_AIRFLOW)
        self.airflow_m3s = self.airflow_m3s + (wanted_m3s - self.airflow_m3s) * self._airflow_gain
        self.rack_kw = relations.rack_kw(self.gpu_kw, self.airflow_m3s)
        if self._nodes_down or self.inlet_c.max() > k.RESTART_INLET_C:
            self._protect_nodes()
        if self.health.power_differs or self._power_differed:
            switched = self._switch_power()
            before_gpu_kw = np.where(switched, self.gpu_kw, before_gpu_kw)
            before_kw = np.where(switched, self.rack_kw, before_kw)
        self.mean_gpu_kw = (before_gpu_kw + self.gpu_kw) / 2
        self.mean_rack_kw = (before_kw + self.rack_kw) / 2
        self.gpu_c = self._next_gpu_c(self.gpu_kw)

    def _switch_power(self) -> npt.NDArray[np.bool_]:
        """Supply racks for the part of the step that they have power, and add what idles beside.

        Return where the supply changed: what is drawn then is the step's own mean, not a point on the way.
        """
        powered, idle_kw = self.health.of["powered"], self.health.of["idle_kw"]
        self.gpu_kw = self.gpu_kw * powered
        self.rack_kw = np.maximum(self.rack_kw + idle_kw, 0.0) * powered
        switched = powered != self._powered
        self._powered, self._power_differed = powered.copy(), self.health.power_differs
        return np.asarray(switched)

    def _protect_nodes(self) -> None:
        """Shut nodes down above one inlet temperature and restart them below another."""
        hot = self.inlet_c > k.RESTART_INLET_C
        self.nodes_up = np.where(self.inlet_c > k.SHUTDOWN_INLET_C, 0.0, np.where(hot, self.nodes_up, 1.0))
        self.gpu_kw = self.gpu_kw * self.nodes_up
        self.rack_kw = np.where(self.nodes_up > 0, self.rack_kw, k.STANDBY_KW)
        self._nodes_down = not self.nodes_up.all()

    def _actuate(self, fan_bias: Array, pump_bias: Array) -> None:
        """Move fans and pumps towards what their controllers ask for, no faster and no farther than they can."""
        of = self.health.of
        fan = relations.fan_law_pct(self.inlet_c, self.rack_kw) + fan_bias
        pump = relations.pump_law_pct(self.inlet_c, self.rack_kw) + pump_bias
        fan = relations.within(fan, k.ACTUATOR_MIN_PCT, of["fan_ceiling_pct"])
        pump = relations.within(pump, of["pump_floor_pct"], of["pump_ceiling_pct"])
        gain, most = self._actuator_gain, k.ACTUATOR_RATE_PCT_S * self.step_s
        self.fan_pct = self.fan_pct + relations.within((fan - self.fan_pct) * gain, -most, most)
        self.pump_pct = self.pump_pct + relations.within((pump - self.pump_pct) * gain, -most, most)
        if self.health.limits_differ:  # what fails does not wait for its controller
            self.fan_pct = np.minimum(self.fan_pct, of["fan_ceiling_pct"])
            self.pump_pct = relations.within(self.pump_pct, of["pump_floor_pct"], of["pump_ceiling_pct"])

    def _exchange_heat(self, recirculation: Array, airflow_m3s: Array) -> None:
        """Move outlet and supply air by the trapezoidal rule, which keeps the energy balance exactly.

        Servers: C dTo/dt = P + q - F (To - Ts); cold aisle: Ca dTs/dt = F ((1-e) To + e Tw - Ts), where F is the heat
        capacity flow through the coil, e its effectiveness and q what neighbours give.
        """
        fresh = 1 - recirculation
        air_capacity_rate_kw_k = k.AIR_KJ_M3K * airflow_m3s
        f = air_capacity_rate_kw_k * fresh
        branch_pct = self.pump_pct * self._loop_flow().take(self._loop_of_rack, axis=1)
        e = relations.coil_effectiveness(self.fan_pct, branch_pct, f, self._coil_now)
        water_c = (self.water_c + self._loop_noise.value[0]).take(self._loop_of_rack, axis=1)
        warmer_k = self.outlet_c.take(self._neighbours, axis=1) - self.outlet_c[:, None]
        mixing_heat_kw = k.EXCHANGE_KW_K * (warmer_k * self._swap).sum(axis=1)
        a, b = 2 * k.RACK_HEAT_KJ_K / self.step_s, 2 * k.COLD_AISLE_HEAT_KJ_K / self.step_s
        servers = a * self.outlet_c + self.mean_rack_kw + mixing_heat_kw
        aisle = b * self.supply_c + f * e * water_c
        determinant = (a + f) * (b + f) - f * f * (1 - e)
        outlet_c = (servers * (b + f) + f * aisle) / determinant
        supply_c = ((a + f) * aisle + f * (1 - e) * servers) / determinant
        self.coil_kw = f * e * (outlet_c - water_c)
        self.outlet_c = 2 * outlet_c - self.outlet_c
        self.supply_c = 2 * supply_c - self.supply_c
        self.inlet_c = (
            self.supply_c + recirculation * (self.outlet_c - self.supply_c) + mixing_heat_kw / air_capacity_rate_kw_k
        )

    def _loop_flow(self) -> Array:
        """Return the part of the asked branch flow that each loop's pump can give, (worlds, loops)."""
        asked = self._per_loop(self.pump_pct / 100) * (k.DESIGN_RACK_KW / self._loop_design_kw)
        return np.minimum(1.0, self._loop_pump / np.maximum(asked, 1e-9))

    def _cool_water(self) -> None:
        """Move the loops' supply water: its valve holds the setpoint until exchanger or chiller cannot."""
        self._loop_kw.append(self._per_loop(self.coil_kw))
        lag = k.LOOP_DEAD_TIME_S / self.step_s
        whole, part = int(lag), lag % 1
        delayed_kw = (1 - part) * self._loop_kw[-1 - whole] + part * self._loop_kw[-2 - whole]
        self._chill(delayed_kw)
        load = delayed_kw / self._loop_design_kw
        held_c = self._loop_setpoint_c + k.LOOP_DROOP_K * load
        carried_c = self.chilled_water_c + k.CHILLED_WATER_BELOW_K * load / self._cdu_hx
        settled_c = np.maximum(held_c, carried_c)
        self.water_c = self.water_c + (settled_c - self.water_c) * self._water_gain

    def _chill(self, loop_kw: Array) -> None:
        """Warm the chilled water by what the plant cannot take away; below capacity it is independent of load."""
        excess_kw = loop_kw.sum(axis=1, keepdims=True) - self._chiller_now_kw
        warmer_c = self.chilled_water_c + excess_kw * (self.step_s / self._chilled_mass_kj_k)
        self.chilled_water_c = np.maximum(self._chilled_setpoint_c, warmer_c)

    def _per_loop(self, of_racks: Array) -> Array:
        """Add up a quantity of standard racks over each loop's racks by their size, (worlds, loops)."""
        count = len(self._loop_design_kw)
        sums = [np.bincount(self._loop_of_rack, self._size * world, count) for world in of_racks]
        return np.array(sums)


SPIN_UP_S = 3600.0
"""Time given to the physics to settle in the first profiles before the run starts; the noise stands still."""


def _noise(components: tuple[Component, ...], width: int, step_s: float, streams: Streams) -> Noise:
    return Noise(components, [streams.stream("noise", c.name) for c in components], width, step_s)


def _gain(step_s: float, tau_s: float) -> float:
    """Return how much of its way a first-order lag goes in one step."""
    return float(-np.expm1(-step_s / tau_s))
