"""The health of a hall's equipment: each fault input, recomputed from its healthy value by all that is active."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sim.incidents.kinds import FAULT_INPUTS, FaultEffect, LoadTransfer
from sim.plant import constants as k
from sim.plant.condition import Condition
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.params import PlantParams


class Health:
    """Fault inputs as arrays (worlds, racks or loops or 1); the twin's are never set.

    of: every fault input by name, mean over a step. driver_gain, driver_shift: those on drivers together, mean over a
    step and at its end, which is what is read, (2, drivers, worlds, racks).
    transfers: load that is moved. Flags say what differs from a healthy hall, so that a healthy one
    costs nothing.
    """

    def __init__(self, worlds: int, racks: int, loops: int) -> None:
        width = {"rack": racks, "loop": loops, "plant": 1}
        self.driver_gain = np.ones((2, len(DRIVER_NAMES), worlds, racks))
        self.driver_shift = np.zeros((2, len(DRIVER_NAMES), worlds, racks))
        self.of: dict[str, npt.NDArray[np.float64]] = {}
        self._end: dict[str, npt.NDArray[np.float64]] = {}
        for name, fault_input in FAULT_INPUTS.items():
            if fault_input.driver:
                scales, driver = fault_input.rule == "scale", DRIVER_NAMES.index(name)
                self.of[name], self._end[name] = (self.driver_gain if scales else self.driver_shift)[:, driver]
            else:
                self.of[name] = np.full((worlds, width[fault_input.of]), fault_input.healthy)
        self.transfers: tuple[LoadTransfer, ...] = ()
        self.drivers_differ = False
        self.power_differs = False
        self.clocks_differ = False
        self.limits_differ = False
        self.flow_differs = False
        self._affected: set[str] = set()

    def set(self, effects: Iterable[FaultEffect], transfers: Iterable[LoadTransfer] = ()) -> None:
        """Put every fault input where the incidents that are active hold it, and all others back to healthy.

        From the baseline each time: a factor of 0 could not be divided out, and one end must not repair another fault.
        """
        for name in self._affected:
            for values in self._both(name):
                values[:] = FAULT_INPUTS[name].healthy
        self._affected = set()
        for effect in effects:
            _compose(self.of[effect.fault_input], effect, effect.value)
            if effect.fault_input in self._end:
                end = effect.value if effect.end is None else effect.end
                _compose(self._end[effect.fault_input], effect, end)
            self._affected.add(effect.fault_input)
        for name in self._affected:
            for values in self._both(name) if FAULT_INPUTS[name].least else ():
                np.maximum(values, FAULT_INPUTS[name].least, out=values)
        self.transfers = tuple(transfers)
        self.drivers_differ = any(FAULT_INPUTS[name].driver for name in self._affected)
        self.power_differs = not self._affected.isdisjoint({"powered", "idle_kw"})
        self.clocks_differ = "clock_ceiling" in self._affected
        self.limits_differ = not self._affected.isdisjoint({"fan_ceiling_pct", "pump_ceiling_pct", "pump_floor_pct"})
        self.flow_differs = "branch_flow" in self._affected

    def _both(self, name: str) -> list[npt.NDArray[np.float64]]:
        return [self.of[name], *([self._end[name]] if name in self._end else [])]


def _compose(values: npt.NDArray[np.float64], effect: FaultEffect, value: npt.NDArray[np.float64]) -> None:
    """Put an effect over what others made of a fault input, in place."""
    cells, rule = np.ix_(effect.worlds, effect.where), FAULT_INPUTS[effect.fault_input].rule
    before = values[cells]
    values[cells] = (
        before * value if rule == "scale"
        else before + value if rule == "shift"
        else np.minimum(before, value) if rule == "ceiling"
        else np.maximum(before, value)
    )  # fmt: skip


def condition(params: PlantParams, health: Health) -> Condition:
    """Return the condition that a plant is left in; what happens to its health later does not reach it."""
    of = {name: values.copy() for name, values in health.of.items() if not FAULT_INPUTS[name].driver}
    return Condition(
        driver_gain=health.driver_gain.copy(),
        driver_shift=health.driver_shift.copy(),
        powered=of["powered"],
        idle_kw=of["idle_kw"],
        clock_ceiling=of["clock_ceiling"],
        lowest_pct=np.array([np.full_like(of["pump_floor_pct"], k.ACTUATOR_MIN_PCT), of["pump_floor_pct"]]),
        failed_lowest_pct=np.array([np.zeros_like(of["pump_floor_pct"]), of["pump_floor_pct"]]),
        highest_pct=np.array([of["fan_ceiling_pct"], of["pump_ceiling_pct"]]),
        coil=params.coil * of["coil"],
        cdu=of["cdu"],
        branch_flow=of["branch_flow"],
        loop_pump=k.LOOP_PUMP_MARGIN * of["loop_pump"],
        exchanger_k=k.CHILLED_WATER_BELOW_K / (k.CDU_HX_MARGIN * of["exchanger"]),
        loop_setpoint_c=params.water_setpoint_c + of["loop_setpoint_k"],
        chiller_kw=params.chiller_kw * of["chiller"],
        chilled_setpoint_c=params.water_setpoint_c - k.CHILLED_WATER_BELOW_K + of["chilled_water_k"],
        transfers=health.transfers,
        drivers_differ=health.drivers_differ,
        power_differs=health.power_differs,
        clocks_differ=health.clocks_differ,
        limits_differ=health.limits_differ,
        flow_differs=health.flow_differs,
    )
