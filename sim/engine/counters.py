"""Counters of GPUs as DCGM tells them, rack by rack: all follow from the racks' state machine and its clocks."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.common.worlds import ACTUAL
from sim.engine.blocks import Array
from sim.incidents.kinds import HW_SLOWDOWN, IDLE, SW_POWER_CAP
from sim.model.facility import Facility, Indices
from sim.plant import constants as k
from sim.plant.cooling import heat_sink_c
from sim.plant.plant import Plant
from sim.plant.relations import server_fans_kw

COUNTERS = ("GPU_TEMP", "SM_CLOCK", "POWER_USAGE", "GPU_UTIL", "CLOCKS_EVENT_REASONS", "XID_ERRORS")
"""In the order of their columns; of a rack they are the mean of its GPUs, or what any of them says."""

SW_THERMAL, HW_THERMAL = 0x20, 0x40
"""Bits of CLOCKS_EVENT_REASONS, as NVML defines them; the others stand beside the kinds that set them."""

FULL_MHZ, IDLE_MHZ, STEP_MHZ = 1980.0, 345.0, 15.0
"""SM clock of an H100 at its boost and idle, and what it is set by."""

FALLEN_OFF_BUS = 79
XID_SHARES = {31: 0.4, 13: 0.25, 94: 0.15, 74: 0.1, 48: 0.05, FALLEN_OFF_BUS: 0.05}
"""Errors by their code, and how often each is the one; shares assumed: memory fault, exception, ECC, NVLink, bus."""

_NEARLY = 1e-9


class GpuCounters:
    """Takes down the counters tick by tick; NaN where no GPU of a rack is up to tell them."""

    def __init__(self, facility: Facility, streams: Streams, tick_s: float, gpu_hours_per_xid: float) -> None:
        self._gpus = facility.gpus_of_rack
        self._w_per_kw = 1000 * facility.size_of_rack / self._gpus
        self._chance = -np.expm1(-self._gpus * tick_s / 3600 / gpu_hours_per_xid)
        self._rng = streams.stream("counters", "xid")
        self._crash = streams.stream("counters", "crash")
        self._codes, self._shares = np.array(list(XID_SHARES)), np.cumsum(list(XID_SHARES.values()))
        self._kept: list[Array] = []

    def any_of(self, racks: Indices, count: int) -> list[int]:
        """Return so many of some racks, drawn."""
        return [int(self._crash.choice(racks)) for _ in range(count)]

    def record(self, plant: Plant, mean_gpu_kw: Array, set_by_incidents: Indices, lost: Iterable[int]) -> None:
        """Take down a tick.

        mean_gpu_kw: power over the tick, (worlds, racks). set_by_incidents: reasons that incidents give for a lower
        clock, (racks,). lost: racks of which a GPU failed so that its job crashed.
        """
        s = plant.state
        clock = np.broadcast_to(s.clock, s.rack_kw.shape)[ACTUAL]
        idle = s.tokens_ps[ACTUAL] <= 0
        mhz = np.where(idle, IDLE_MHZ, STEP_MHZ * np.rint(clock * FULL_MHZ / STEP_MHZ))
        util = 100 * np.minimum(s.tokens_ps[ACTUAL] / np.maximum(s.capacity_ps[ACTUAL], _NEARLY), 1.0)
        rows = np.array(
            [
                np.rint(s.gpu_c[ACTUAL]),
                mhz,
                mean_gpu_kw[ACTUAL] * self._w_per_kw,
                np.rint(util),
                np.where(idle, IDLE, np.where(mhz < FULL_MHZ, _reasons(plant, clock, set_by_incidents), 0)),
                self._xids(lost),
            ]
        )
        rows[:, s.nodes.running[ACTUAL] <= 0] = np.nan
        self._kept.append(rows)

    def _xids(self, lost: Iterable[int]) -> Array:
        chance, which = self._rng.random((2, self._gpus.size))
        drawn = self._codes[np.minimum(np.searchsorted(self._shares, which), len(self._codes) - 1)]
        xids = np.where(chance < self._chance, drawn, 0).astype(np.float64)
        xids[list(lost)] = FALLEN_OFF_BUS
        return xids

    def take(self) -> dict[str, Array]:
        """Return what was taken down since the last call by counter, (ticks, racks)."""
        kept, self._kept = np.array(self._kept), []
        return {name: kept[:, i] for i, name in enumerate(COUNTERS)}


def _reasons(plant: Plant, clock: Array, set_by_incidents: Indices) -> npt.NDArray[np.intp]:
    """Return why clocks would be below the full one, as bits, (racks,): by incidents, heat, or the racks' breakers."""
    s, condition, params = plant.state, plant.condition, plant.params
    ceiling = condition.clock_ceiling[ACTUAL]
    held_by_incident = (ceiling < 1) & (clock >= ceiling * (1 - _NEARLY))
    cool_kw = (k.GPU_LIMIT_C - heat_sink_c(params.cooling, s.inlet_c, s.stored_c)[ACTUAL]) / k.GPU_KELVIN_PER_KW
    beside_kw = k.HOST_IDLE_KW + server_fans_kw(s.airflow_m3s[ACTUAL]) + condition.idle_kw[ACTUAL]
    hot = cool_kw * (1 + k.HOST_PER_GPU_KW) < params.limit_kw - beside_kw
    slowest = clock <= k.CLOCK_MIN * (1 + _NEARLY)
    own = np.where(hot, np.where(slowest, HW_SLOWDOWN | HW_THERMAL, SW_THERMAL), SW_POWER_CAP)
    return np.where(held_by_incident, set_by_incidents, own | set_by_incidents)
