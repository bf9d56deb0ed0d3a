"""The monitor of racks that incidents change: their heat or cold puts racks in a profile, and lets them go again."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sim.agents.rack import Rack
from sim.common.worlds import ACTUAL
from sim.incidents.active import ActiveIncidents
from sim.incidents.observed import OBSERVABLE_SIGMAS, Array

HOT_C, COLD_C = 27.0, 19.0
"""The top of high_load's inlet and ASHRAE's recommended limit; the bottom of under_utilized's inlet."""

HYSTERESIS_K = 0.5
HOT_PROFILE, COLD_PROFILE = "thermal_event", "overcooled"


class ThermalMonitor:
    """Looks at the true inlets after each move of the plant, vectorised; only racks whose state changes are called."""

    def __init__(self, racks: Sequence[Rack], active: ActiveIncidents, profiles: Mapping[str, int]) -> None:
        self._racks = racks
        self._active = active
        self._hot, self._cold = profiles[HOT_PROFILE], profiles[COLD_PROFILE]
        self._state = np.zeros(len(racks), dtype=np.int8)  # 1 hot, -1 cold, as overridden

    @property
    def holds_any(self) -> bool:
        """Whether any rack is overridden."""
        return bool(self._state.any())

    def look(self, inlet_c: Array, departure: Array) -> None:
        """Override racks whose inlet faults took past a limit, and release those that came back.

        inlet_c: true inlets [degC]; departure: how far the hall's are from each world's [sigmas]; (worlds, racks) each.
        """
        planned = self._active.without.planned
        actual_c, base_c = inlet_c[ACTUAL], inlet_c[planned]
        slack_k = np.where(self._state != 0, HYSTERESIS_K, 0.0)
        hot = (actual_c > HOT_C - slack_k * (self._state > 0)) & (base_c <= HOT_C)
        cold = (actual_c < COLD_C + slack_k * (self._state < 0)) & (base_c >= COLD_C)
        departs = departure[planned] > OBSERVABLE_SIGMAS
        if not self._active.faults:
            departs &= self._state != 0  # nobody is left who could bring more there
        state = np.where(departs & hot, 1, np.where(departs & cold, -1, 0)).astype(np.int8)
        for i in np.flatnonzero(state != self._state).tolist():
            if state[i]:
                self._racks[i].override(self._hot if state[i] > 0 else self._cold, self._blamed(departure[:, i]))
            else:
                self._racks[i].release()
        self._state = state

    def _blamed(self, departure: npt.NDArray[np.float64]) -> str:
        """Return the fault that a rack's state is put down to: the one whose own effect on its inlet is the largest.

        departure: of the rack, (worlds,) [sigmas].
        """
        faults, world_of = self._active.faults, self._active.without.world_of
        return max(faults, key=lambda o: (departure[world_of(o)], o.number)).id if faults else ""
