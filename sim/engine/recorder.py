"""The recorder: what is true at each tick, kept for one block and made into channels when the block is full."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sim.engine.blocks import Array, Assets
from sim.engine.channel_values import RELATIONS, TRUTH_ONLY, true_values
from sim.engine.truth_log import AssetTruth, TruthLog
from sim.model.channels import measured
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.plant import Plant


def read_plant(plant: Plant, drivers: Iterable[str], means: Mapping[str, Array]) -> dict[str, Array]:
    """Return the fields of a plant as it stands, with some drivers; means: power since the tick before.

    (worlds or 1, racks) each.
    """
    fields = plant.state._asdict()
    fields["fan_pct"], fields["pump_pct"] = plant.state.speed_pct
    fields.update(means)
    for name in drivers:
        fields[name] = plant.driver(name)
    return fields


class Recorder:
    """Takes down plant and truth log tick by tick, for the worlds that last; `channels`: those that the run reports."""

    def __init__(
        self,
        worlds: int,
        truth_log: TruthLog,
        size_of_rack: Array,
        first_tick: int,
        ticks: int,
        channels: Sequence[str],
    ) -> None:
        self._truth_log = truth_log
        self._size = size_of_rack
        self.first_tick = first_tick
        self.ticks = ticks
        self._relations = {name: RELATIONS[name] for name in (*measured(channels), *TRUTH_ONLY)}
        shape = (worlds, ticks, size_of_rack.size)
        kept = dict.fromkeys(name for relation in self._relations.values() for name in relation.reads)
        self._fields = {name: np.empty(shape) for name in kept}
        self.drivers = tuple(name for name in kept if name in DRIVER_NAMES)
        """Those that it takes down of the plant beside its state."""
        self.racks, self.rows, self.loops = (
            _empty(kind, ticks) for kind in (truth_log.racks, truth_log.rows, truth_log.loops)
        )

    @property
    def tick_numbers(self) -> range:
        """Numbers of its ticks."""
        return range(self.first_tick, self.first_tick + self.ticks)

    def record(self, tick: int, fields: Mapping[str, Array]) -> None:
        """Take down one tick; fields: what it reads, (worlds or 1, racks)."""
        i, truth_log = tick - self.first_tick, self._truth_log
        for name, field in self._fields.items():
            field[:, i] = fields[name][: len(field)]
        for kept, truth in ((self.racks, truth_log.racks), (self.rows, truth_log.rows), (self.loops, truth_log.loops)):
            kept.profile[i] = truth.profile
            kept.episode[i] = truth.episode

    def truth(self, world: int) -> dict[str, Array]:
        """Return the true values in a world by channel, and of what no sensor reads, (ticks, racks) each."""
        return true_values(self._relations, {name: of[world] for name, of in self._fields.items()}, self._size)


def _empty(kind: AssetTruth, ticks: int) -> Assets:
    shape = (ticks, len(kind.assets))
    return Assets(np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int32))
