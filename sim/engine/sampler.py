"""The sampler: the one process that ticks. At each tick it moves the plant and takes down the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import simpy
from simpy.events import EventPriority

from sim.agents.base import Steps
from sim.domain.channels import MEASURED
from sim.engine.blocks import Array, Labels, Sink, Telemetry
from sim.engine.board import IncidentBoard
from sim.engine.departures import Departures
from sim.engine.heat_watch import HeatWatch
from sim.engine.journal import Journal
from sim.engine.labeller import Labeller, Unlabelled
from sim.engine.recorder import Recorder
from sim.engine.sensor_faults import SensorFaults
from sim.engine.sensors import Sensors, rounded
from sim.physics.plant import Plant, ProfileChange

AFTER_ALL_AGENTS = EventPriority(2)
"""SimPy runs events of one instant by priority, and timeouts have 1: a sample sees every chain of zero delay."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What a run with incidents has beside one without: the board, the watch over heat, and faulty sensors.

    effects: whether labels tell what incidents change, by channel.
    """

    board: IncidentBoard
    watch: HeatWatch
    faults: SensorFaults
    effects: bool


class Sampler:
    """Steps the plant from tick to tick and hands whole blocks to the sinks."""

    def __init__(
        self,
        env: simpy.Environment,
        plant: Plant,
        journal: Journal,
        sensors: Sensors,
        sinks: Sequence[Sink],
        size_of_rack: Array,
        *,
        tick_s: int,
        tick_count: int,
        block_ticks: int,
        troubles: Troubles | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._env = env
        self._plant = plant
        self._journal = journal
        self._sensors = sensors
        self._sinks = sinks
        self._size = size_of_rack
        self._tick_s = tick_s
        self._tick_count = tick_count
        self._block_ticks = block_ticks
        self._troubles = troubles
        self._on_progress = on_progress
        self._steps_per_tick = round(tick_s / plant.step_s)
        self._labeller = Labeller(journal, troubles.board if troubles else None, sinks, tick_s)
        self._departures = Departures(sensors, size_of_rack.size)
        self._mean_rack_kw, self._mean_gpu_kw = plant.mean_rack_kw, plant.mean_gpu_kw
        self._recorder = self._open_block(0)

    def live(self) -> Steps:
        """Sample tick k at k * tick_s, after everything else that happens then."""
        for tick in range(self._tick_count):
            yield self._beat(tick)
            if tick:
                self._advance_plant()
            else:
                self._journal.take_changes()  # the plant was built in the first profiles
            if self._troubles:
                self._troubles.watch.look(self._plant, self._env.now)
            self._recorder.record(tick, self._mean_rack_kw, self._mean_gpu_kw)
            if tick - self._recorder.first_tick == self._recorder.ticks - 1:
                self._close_block()
                self._recorder = self._open_block(tick + 1)

    def finish(self) -> None:
        """Hand out what was held back until the truth was complete; the run is over."""
        self._labeller.finish(float(self._tick_count * self._tick_s))

    def _beat(self, tick: int) -> simpy.Event:
        event = simpy.Event(self._env)
        event._ok, event._value = True, None  # noqa: SLF001 - as simpy.Timeout does; there is no public way
        # from the run's start, not from the last tick: k * tick_s does not drift
        self._env.schedule(event, priority=AFTER_ALL_AGENTS, delay=tick * self._tick_s - self._env.now)
        return event

    def _advance_plant(self) -> None:
        """Move the plant over the last tick, and keep the mean power over it as meters do."""
        plant, steps = self._plant, self._steps_per_tick
        begun_s = self._env.now - self._tick_s
        rack_kw, gpu_kw = np.zeros_like(plant.mean_rack_kw), np.zeros_like(plant.mean_gpu_kw)
        for i, of_step in enumerate(self._split(self._journal.take_changes())):
            if self._troubles:
                from_s = begun_s + i * plant.step_s
                self._troubles.board.act(plant, from_s, from_s + plant.step_s)
            plant.step(of_step)
            rack_kw, gpu_kw = rack_kw + plant.mean_rack_kw, gpu_kw + plant.mean_gpu_kw
        self._mean_rack_kw, self._mean_gpu_kw = rack_kw / steps, gpu_kw / steps

    def _split(self, changes: Sequence[ProfileChange]) -> Sequence[Sequence[ProfileChange]]:
        """Return the changes since the last tick step by step; each falls in one, however times are rounded."""
        begun_s, last = self._env.now - self._tick_s, self._steps_per_tick - 1
        if not last:
            return (changes,)
        steps: list[list[ProfileChange]] = [[] for _ in range(self._steps_per_tick)]
        for change in changes:
            steps[min(int((change.time_s - begun_s) / self._plant.step_s), last)].append(change)
        return steps

    def _open_block(self, first: int) -> Recorder:
        ticks = min(self._block_ticks, self._tick_count - first)
        return Recorder(self._plant, self._journal, self._size, first, ticks)

    def _close_block(self) -> None:
        record, troubles = self._recorder, self._troubles
        truths = [record.truth(world) for world in range(2 if troubles else 1)]
        values = self._sensors.read(truths)
        twin = physical = sensor = effect = None
        if troubles:
            open_ = troubles.board.occurrences
            physical = self._departures.measure(truths[0], truths[1], [o for o in open_ if not o.incident.kind.sensor])
            faulty = [o for o in open_ if o.incident.kind.sensor]
            values[0], sensor = troubles.faults.apply(record.first_tick, values[0], truths[0], faulty)
            twin = Telemetry(record.first_tick, rounded(values[1], self._tick_s), truths[1])
            if troubles.effects:
                effect = {name: (truths[0][name] - truths[1][name]).astype(np.float32) for name in MEASURED}
        block = Telemetry(record.first_tick, rounded(values[0], self._tick_s), truths[0], twin)
        for sink in self._sinks:
            sink.telemetry(block)
        nothing = np.zeros(record.racks.profile.shape, dtype=np.bool_)
        labels = Labels(record.first_tick, record.racks, record.rows, record.loops, {}, nothing, None, effect)
        self._labeller.take(Unlabelled(labels, physical, sensor))
        if self._on_progress:
            self._on_progress(record.first_tick + record.ticks)
