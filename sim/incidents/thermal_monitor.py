"""The monitor of racks that incidents reach: their heat or cold puts racks in a profile, and lets them go again."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sim.agents.rack import Rack
from sim.common.worlds import ACTUAL, TWIN
from sim.incidents.active import LINGERS_S, ActiveIncidents, Occurrence

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

    def look(self, inlet_c: npt.NDArray[np.float64], now_s: float) -> None:
        """Override racks that passed a limit while their twins did not, and release those that came back.

        inlet_c: true inlets, (worlds, racks) [degC].
        """
        live = [o for o in self._active.lately if not o.incident.kind.is_normal and now_s < o.over_s + LINGERS_S]
        if not live and not self._state.any():
            return
        actual_c, twin_c = inlet_c[ACTUAL], inlet_c[TWIN]
        reached = np.zeros(len(self._racks), dtype=np.bool_)
        for o in live:
            reached |= o.incident.reaches | (o.saturated_s is not None)
        slack_k = np.where(self._state != 0, HYSTERESIS_K, 0.0)
        hot = (actual_c > HOT_C - slack_k * (self._state > 0)) & (twin_c <= HOT_C)
        cold = (actual_c < COLD_C + slack_k * (self._state < 0)) & (twin_c >= COLD_C)
        allowed = reached | (self._state != 0)
        state = np.where(allowed & hot, 1, np.where(allowed & cold, -1, 0)).astype(np.int8)
        for i in np.flatnonzero(state != self._state).tolist():
            if state[i]:
                profile = self._hot if state[i] > 0 else self._cold
                self._racks[i].override(profile, self._blamed(i, live))
            else:
                self._racks[i].release()
        self._state = state

    def _blamed(self, rack: int, live: Sequence[Occurrence]) -> str:
        """Return the incident that a rack's state is put down to: one that affects it, else one that reaches it."""
        affecting = [o for o in live if rack in o.incident.racks]
        reaching = [o for o in live if o.incident.reaches[rack] or o.saturated_s is not None]
        return (affecting or reaching or live)[-1].id if live else ""
