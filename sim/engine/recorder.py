"""The recorder: what is true at each tick, kept for one block and made into channels when the block is full."""

from collections.abc import Sequence

import numpy as np

from sim.engine.blocks import Array, Assets
from sim.engine.channel_values import RELATIONS, TRUTH_ONLY
from sim.engine.truth_log import AssetTruth, TruthLog
from sim.model.channels import measured
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.plant import Plant
from sim.plant.state import PlantState


class Recorder:
    """Takes down plant and truth log tick by tick, for every world; `channels` are those that the run reports."""

    def __init__(
        self,
        plant: Plant,
        truth_log: TruthLog,
        size_of_rack: Array,
        first_tick: int,
        ticks: int,
        channels: Sequence[str],
    ) -> None:
        self._plant = plant
        self._truth_log = truth_log
        self._size = size_of_rack
        self.first_tick = first_tick
        self.ticks = ticks
        self._relations = {name: RELATIONS[name] for name in (*measured(channels), *TRUTH_ONLY)}
        shape = (*plant.state.inlet_c.shape[:1], ticks, size_of_rack.size)
        kept = dict.fromkeys(name for relation in self._relations.values() for name in relation.reads)
        self._fields = {name: np.empty(shape) for name in kept}
        self._drivers = [(name, field) for name, field in self._fields.items() if name in DRIVER_NAMES]
        self._state = [(name, field) for name, field in self._fields.items() if name in PlantState._fields]
        self.racks, self.rows, self.loops = (
            _empty(kind, ticks) for kind in (truth_log.racks, truth_log.rows, truth_log.loops)
        )

    def record(self, tick: int, mean_rack_kw: Array, mean_gpu_kw: Array) -> None:
        """Take down one tick, with the mean power since the tick before."""
        i, truth_log = tick - self.first_tick, self._truth_log
        state = self._plant.state._replace(mean_rack_kw=mean_rack_kw, mean_gpu_kw=mean_gpu_kw)
        for name, field in self._state:
            field[:, i] = getattr(state, name)
        for name, field in self._drivers:
            field[:, i] = self._plant.driver(name)
        for kept, truth in ((self.racks, truth_log.racks), (self.rows, truth_log.rows), (self.loops, truth_log.loops)):
            kept.profile[i] = truth.profile
            kept.episode[i] = truth.episode

    def truth(self, world: int) -> dict[str, Array]:
        """Return the true values in a world by channel, and of what no sensor reads, (ticks, racks) each."""
        standard: dict[str, Array] = {}
        for name, relation in self._relations.items():
            fields = (self._fields[field][world] for field in relation.reads)
            standard[name] = relation.value(*fields, *(standard[channel] for channel in relation.channels))
        return {name: v * self._size if self._relations[name].extensive else v for name, v in standard.items()}


def _empty(kind: AssetTruth, ticks: int) -> Assets:
    shape = (ticks, len(kind.assets))
    return Assets(np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int32))
