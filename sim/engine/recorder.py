"""The recorder: what is true at each tick, kept for one block and made into channels when the block is full."""

import numpy as np

from sim.engine.blocks import Array, Assets
from sim.engine.truth_log import AssetTruth, TruthLog
from sim.plant import relations
from sim.plant.plant import Plant

RACK_FIELDS = (
    "inlet_c",
    "outlet_c",
    "tokens_ps",
    "capacity_ps",
    "backlog_tokens",
    "fan_pct",
    "pump_pct",
    "airflow_m3s",
)

IDLE = 1e-9
"""A rack whose nodes are down has no capacity, and waits for nothing."""


class Recorder:
    """Takes down plant and truth log tick by tick, for every world."""

    def __init__(self, plant: Plant, truth_log: TruthLog, size_of_rack: Array, first_tick: int, ticks: int) -> None:
        self._plant = plant
        self._truth_log = truth_log
        self._size = size_of_rack
        self.first_tick = first_tick
        self.ticks = ticks
        shape = (*plant.inlet_c.shape[:1], ticks, size_of_rack.size)
        self._fields = {name: np.empty(shape) for name in RACK_FIELDS}
        self._tokens_per_request, self._mean_rack_kw, self._mean_gpu_kw = (
            np.empty(shape),
            np.empty(shape),
            np.empty(shape),
        )
        self.racks, self.rows, self.loops = (
            _empty(kind, ticks) for kind in (truth_log.racks, truth_log.rows, truth_log.loops)
        )

    def record(self, tick: int, mean_rack_kw: Array, mean_gpu_kw: Array) -> None:
        """Take down one tick, with the mean power since the tick before."""
        i, plant, truth_log = tick - self.first_tick, self._plant, self._truth_log
        for name, field in self._fields.items():
            field[:, i] = getattr(plant, name)
        self._tokens_per_request[:, i] = plant.driver("tokens_per_request")
        self._mean_rack_kw[:, i], self._mean_gpu_kw[:, i] = mean_rack_kw, mean_gpu_kw
        for kept, truth in ((self.racks, truth_log.racks), (self.rows, truth_log.rows), (self.loops, truth_log.loops)):
            kept.profile[i] = truth.profile
            kept.episode[i] = truth.episode

    def truth(self, world: int) -> dict[str, Array]:
        """Return the channels' true values in a world, (ticks, racks) each; latency and queue follow from the rest."""
        f, size = {name: field[world] for name, field in self._fields.items()}, self._size
        up = f["capacity_ps"] > IDLE
        capacity = np.maximum(f["capacity_ps"], IDLE)
        served = np.where(up, f["tokens_ps"] / capacity, 0.0)
        latency = relations.latency_p95_ms(served, np.where(up, f["backlog_tokens"] / capacity, 0.0))
        return {
            "inlet_c": f["inlet_c"],
            "outlet_c": f["outlet_c"],
            "pdu_kw": self._mean_rack_kw[world] * size,
            "tokens_ps": f["tokens_ps"] * size,
            "latency_p95_ms": latency,
            "queue_depth": relations.queue_depth(f["tokens_ps"], latency, self._tokens_per_request[world]) * size,
            "fan_rpm_pct": f["fan_pct"],
            "pump_rpm_pct": f["pump_pct"],
            "gpu_power_kw": self._mean_gpu_kw[world] * size,
            "airflow_m3s": f["airflow_m3s"] * size,
        }


def _empty(kind: AssetTruth, ticks: int) -> Assets:
    shape = (ticks, len(kind.assets))
    return Assets(np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int32))
