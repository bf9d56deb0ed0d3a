"""The sampler: the one process that ticks. At each tick it moves the plant and takes down the truth."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import simpy

from sim.agents.base import Order, Steps, instant
from sim.common.worlds import ACTUAL, TWIN, WORLDS
from sim.engine.blocks import Array, Labels, Sink, Telemetry
from sim.engine.counters import GpuCounters
from sim.engine.departures import Departures
from sim.engine.job_load import JobLoad
from sim.engine.labeller import Labeller
from sim.engine.recorder import Recorder, read_plant
from sim.engine.sensors import Sensors, rounded
from sim.engine.truth_log import TruthLog
from sim.incidents.attribution import effects
from sim.incidents.runtime import IncidentRuntime
from sim.model.channels import TELEMETRY_CHANNELS
from sim.plant.drivers import ProfileChange
from sim.plant.plant import Plant

DAY_S = 86_400
PROGRESS_PARTS = 100
"""How often a run tells how far it is: blocks would be too few of a small hall's week."""


class Sampler:
    """Steps the plant from tick to tick and hands whole blocks to the sinks."""

    def __init__(
        self,
        env: simpy.Environment,
        plant: Plant,
        truth_log: TruthLog,
        sensors: Sensors,
        sinks: Sequence[Sink],
        size_of_rack: Array,
        *,
        tick_s: int,
        tick_count: int,
        block_ticks: int,
        runtime: IncidentRuntime | None = None,
        job: JobLoad | None = None,
        counters: GpuCounters | None = None,
        channels: Sequence[str] = TELEMETRY_CHANNELS,
        effects: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self.plant = plant
        self._env = env
        self._truth_log = truth_log
        self._sensors = sensors
        self._sinks = sinks
        self._size = size_of_rack
        self._tick_s = tick_s
        self._tick_count = tick_count
        self._block_ticks = block_ticks
        self._runtime = runtime
        self._job, self._counters = job, counters
        self._job_states: list[npt.NDArray[np.int8]] = []
        self._channels, self._effects = channels, effects
        self._on_progress = on_progress
        self._told_every = max(1, tick_count // PROGRESS_PARTS)
        self._steps_per_tick = round(tick_s / plant.step_s)
        self._labeller = Labeller(truth_log, runtime.active if runtime else None, sinks, tick_s)
        self._departures = Departures(sensors, size_of_rack, sensors.channels)
        self._mean_rack_kw, self._mean_gpu_kw = plant.state.rack_kw, plant.state.gpu_kw
        self._worlds = len(plant.state.rack_kw)
        self._recorder = self._open_block(0)

    def live(self) -> Steps:
        """Sample tick k at k * tick_s, after everything else that happens then."""
        for tick in range(self._tick_count):
            # from the run's start, not from the last tick: k * tick_s does not drift
            yield instant(self._env, tick * self._tick_s, Order.SAMPLER)
            if tick:
                self._advance_plant()
            else:
                self._truth_log.take_changes()  # the plant was built in the first profiles
            means = {"mean_rack_kw": self._mean_rack_kw, "mean_gpu_kw": self._mean_gpu_kw}
            fields = read_plant(self.plant, self._recorder.drivers, means)
            if self._runtime and self._runtime.watches:
                self._runtime.observe(tick, self.plant.state.inlet_c, self._departures.measure(fields))
            self._recorder.record(tick, fields)
            if self._counters:
                self._count(self._counters)
            if self._job:
                under_way = self._runtime.active.occurrences if self._runtime else ()
                self._job_states.append(self._job.states(self._size.size, self._env.now, under_way))
            if tick - self._recorder.first_tick == self._recorder.ticks - 1:
                self._close_block()
                self._recorder = self._open_block(tick + 1)
            done = tick + 1
            if self._on_progress and (done % self._told_every == 0 or done == self._tick_count):
                self._on_progress(done)

    def finish(self) -> None:
        """Hand out what was held back until the truth was complete; the run is over."""
        self._labeller.finish(float(self._tick_count * self._tick_s))

    def _count(self, counters: GpuCounters) -> None:
        """Take down the GPUs' counters at a tick, with what incidents and a crash of the job make of them."""
        now_s, racks, active = self._env.now, self._size.size, self._runtime.active if self._runtime else None
        begun_s = now_s - self._tick_s
        lost = counters.any_of(self._job.racks, self._job.crashes()) if self._job else []
        for o in active.occurrences if active else ():
            if o.incident.kind.whole_job and begun_s < o.start_s <= now_s:
                lost += [self._truth_log.racks.assets.index(asset) for asset in o.incident.assets]
        reasons = active.clock_reasons(racks) if active else np.zeros(racks, dtype=np.intp)
        counters.record(self.plant, self._mean_gpu_kw, reasons, lost)

    def _advance_plant(self) -> None:
        """Move the plant over the last tick, and keep the mean power over it as meters do."""
        plant = self.plant
        begun_s = self._env.now - self._tick_s
        if self._runtime:
            self._runtime.active.part(plant, begun_s)
        rack_kw, gpu_kw = [], []
        for i, of_step in enumerate(self._split(self._truth_log.take_changes())):
            if self._runtime:
                from_s = begun_s + i * plant.step_s
                self._runtime.active.act(plant, from_s, from_s + plant.step_s)
            plant.step(of_step)
            rack_kw.append(plant.state.rack_kw)
            gpu_kw.append(plant.state.gpu_kw)
        self._mean_rack_kw, self._mean_gpu_kw = (
            np.asarray(of[0] if len(of) == 1 else np.add.reduce(of) / len(of)) for of in (rack_kw, gpu_kw)
        )

    def _split(self, changes: Sequence[ProfileChange]) -> Sequence[Sequence[ProfileChange]]:
        """Return the changes since the last tick step by step; each falls in one, however times are rounded."""
        begun_s, last = self._env.now - self._tick_s, self._steps_per_tick - 1
        if not last:
            return (changes,)
        steps: list[list[ProfileChange]] = [[] for _ in range(self._steps_per_tick)]
        for change in changes:
            steps[min(int((change.time_s - begun_s) / self.plant.step_s), last)].append(change)
        return steps

    def _open_block(self, first: int) -> Recorder:
        ticks = min(self._block_ticks, self._tick_count - first)
        return Recorder(self._worlds, self._truth_log, self._size, first, ticks, self._channels)

    def _close_block(self) -> None:
        record, runtime = self._recorder, self._runtime
        truths = [record.truth(world) for world in (WORLDS if runtime else (ACTUAL,))]
        values = self._sensors.read(truths, [tick * self._tick_s // DAY_S for tick in record.tick_numbers])
        twin = effect = None
        if runtime:
            faulty = [o for o in runtime.active.occurrences if o.incident.kind.sensor]
            values[ACTUAL] = runtime.sensor_faults.apply(record.first_tick, values[ACTUAL], truths[ACTUAL], faulty)
            twin = Telemetry(record.first_tick, rounded(values[TWIN], self._tick_s, self._channels), truths[TWIN])
            if self._effects:
                effect = effects(truths[ACTUAL], truths[TWIN], self._sensors.channels)
        block = Telemetry(
            record.first_tick,
            rounded(values[ACTUAL], self._tick_s, self._channels),
            truths[ACTUAL],
            twin,
            self._counters.take() if self._counters else None,
        )
        for sink in self._sinks:
            sink.telemetry(block)
        nothing = np.zeros(record.racks.profile.shape, dtype=np.bool_)
        job, self._job_states = np.array(self._job_states) if self._job else None, []
        labels = Labels(record.first_tick, record.racks, record.rows, record.loops, {}, nothing, None, effect, job)
        self._labeller.take(labels)
