"""The sampler: the one process that ticks. At each tick it moves the plant and takes down the truth."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import simpy
from simpy.events import EventPriority

from sim.agents.base import Steps
from sim.domain.episodes import PERSISTENT_S
from sim.domain.occupancy import MAX_LAG_S
from sim.engine.blocks import Array, Assets, Labels, Sink, Telemetry
from sim.engine.journal import NO_EPISODE, Journal, Truth
from sim.engine.sensors import Sensors
from sim.physics import relations
from sim.physics.plant import Plant, ProfileChange

AFTER_ALL_AGENTS = EventPriority(2)
"""SimPy runs events of one instant by priority, and timeouts have 1: a sample sees every chain of zero delay."""

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
        self._on_progress = on_progress
        self._steps_per_tick = round(tick_s / plant.step_s)
        self._pending: deque[Labels] = deque()
        self._open_block(0)

    def live(self) -> Steps:
        """Sample tick k at k * tick_s, after everything else that happens then."""
        for tick in range(self._tick_count):
            yield self._beat(tick)
            if tick:
                self._advance_plant()
            else:
                self._journal.take_changes()  # the plant was built in the first profiles
            self._record(tick - self._first)
            if tick - self._first == len(self._mean_rack_kw) - 1:
                self._close_block()
                self._open_block(tick + 1)

    def finish(self) -> None:
        """Hand out what was held back until the truth was complete; the run is over."""
        end_s = float(self._tick_count * self._tick_s)
        self._release_labels(float("inf"), end_s)
        last = self._journal.hand_out(float("inf")) + list(self._journal.kept().values())
        for sink in self._sinks:
            sink.episodes(last)

    def _beat(self, tick: int) -> simpy.Event:
        event = simpy.Event(self._env)
        event._ok, event._value = True, None  # noqa: SLF001 - as simpy.Timeout does; there is no public way
        # from the run's start, not from the last tick: k * tick_s does not drift
        self._env.schedule(event, priority=AFTER_ALL_AGENTS, delay=tick * self._tick_s - self._env.now)
        return event

    def _advance_plant(self) -> None:
        """Move the plant over the last tick, and keep the mean power over it as meters do."""
        changes, plant = self._journal.take_changes(), self._plant
        if self._steps_per_tick == 1:
            plant.step(changes)
            self._tick_rack_kw, self._tick_gpu_kw = plant.mean_rack_kw, plant.mean_gpu_kw
            return
        rack_kw, gpu_kw = np.zeros_like(plant.mean_rack_kw), np.zeros_like(plant.mean_gpu_kw)
        for of_step in self._split(changes):
            plant.step(of_step)
            rack_kw += plant.mean_rack_kw
            gpu_kw += plant.mean_gpu_kw
        self._tick_rack_kw, self._tick_gpu_kw = rack_kw / self._steps_per_tick, gpu_kw / self._steps_per_tick

    def _split(self, changes: Sequence[ProfileChange]) -> list[list[ProfileChange]]:
        """Return the changes since the last tick step by step; each falls in one, however times are rounded."""
        begun_s, last = self._env.now - self._tick_s, self._steps_per_tick - 1
        steps: list[list[ProfileChange]] = [[] for _ in range(self._steps_per_tick)]
        for change in changes:
            steps[min(int((change.time_s - begun_s) / self._plant.step_s), last)].append(change)
        return steps

    def _open_block(self, first: int) -> None:
        ticks = min(self._block_ticks, self._tick_count - first)
        racks = self._size.size
        self._first = first
        self._fields = {name: np.empty((ticks, racks)) for name in RACK_FIELDS}
        self._tokens_per_request = np.empty((ticks, racks))
        self._mean_rack_kw, self._mean_gpu_kw = np.empty((ticks, racks)), np.empty((ticks, racks))
        if first == 0:
            self._tick_rack_kw, self._tick_gpu_kw = self._plant.mean_rack_kw, self._plant.mean_gpu_kw
        self._kinds = [_empty(kind, ticks) for kind in (self._journal.racks, self._journal.rows, self._journal.loops)]

    def _record(self, i: int) -> None:
        plant, journal = self._plant, self._journal
        for name, field in self._fields.items():
            field[i] = getattr(plant, name)[0]
        self._tokens_per_request[i] = plant.driver("tokens_per_request")[0]
        self._mean_rack_kw[i], self._mean_gpu_kw[i] = self._tick_rack_kw[0], self._tick_gpu_kw[0]
        for kept, truth in zip(self._kinds, (journal.racks, journal.rows, journal.loops), strict=True):
            kept.profile[i] = truth.profile
            kept.episode[i] = truth.episode

    def _close_block(self) -> None:
        truth = self._truth()
        block = Telemetry(self._first, self._sensors.read(truth, self._tick_s), truth)
        for sink in self._sinks:
            sink.telemetry(block)
        racks, rows, loops = self._kinds
        self._pending.append(Labels(self._first, racks, rows, loops, {}, np.zeros(racks.profile.shape, dtype=np.bool_)))
        last_s = (self._first + block.ticks - 1) * self._tick_s
        self._release_labels(last_s - PERSISTENT_S, last_s)
        if self._on_progress:
            self._on_progress(self._first + block.ticks)

    def _truth(self) -> dict[str, Array]:
        """Return the channels' true values; latency and queue follow from what the plant recorded."""
        f, size = self._fields, self._size
        idle = 1e-9  # a rack whose nodes are down has no capacity, and waits for nothing
        capacity = np.maximum(f["capacity_ps"], idle)
        served = np.where(f["capacity_ps"] > idle, f["tokens_ps"] / capacity, 0.0)
        latency = relations.latency_p95_ms(
            served, np.where(f["capacity_ps"] > idle, f["backlog_tokens"] / capacity, 0.0)
        )
        return {
            "inlet_c": f["inlet_c"],
            "outlet_c": f["outlet_c"],
            "pdu_kw": self._mean_rack_kw * size,
            "tokens_ps": f["tokens_ps"] * size,
            "latency_p95_ms": latency,
            "queue_depth": relations.queue_depth(f["tokens_ps"], latency, self._tokens_per_request) * size,
            "fan_rpm_pct": f["fan_pct"],
            "pump_rpm_pct": f["pump_pct"],
            "gpu_power_kw": self._mean_gpu_kw * size,
            "airflow_m3s": f["airflow_m3s"] * size,
        }

    def _release_labels(self, until_s: float, now_s: float) -> None:
        """Hand out the labels of ticks up to a time: by then it is known which of their episodes persist."""
        while self._pending and self._pending[0].first_tick * self._tick_s <= until_s:
            labels = self._pending[0]
            if (labels.first_tick + len(labels.racks.profile) - 1) * self._tick_s > until_s:
                return
            self._pending.popleft()
            complete = self._completed(labels, now_s)
            for sink in self._sinks:
                sink.labels(complete)
            # a rack joins its row's episode up to MAX_LAG_S after that began, and so perhaps after it ended
            first_open_s = (labels.first_tick + len(labels.racks.profile)) * self._tick_s - MAX_LAG_S
            finished = self._journal.hand_out(first_open_s)
            for sink in self._sinks:
                sink.episodes(finished)

    def _completed(self, labels: Labels, now_s: float) -> Labels:
        kept = self._journal.kept()
        seen = {}
        for kind in (labels.racks, labels.rows, labels.loops):
            numbers, ticks = np.unique(kind.episode, return_counts=True)
            for number, count in zip(numbers.tolist(), ticks.tolist(), strict=True):
                if number != NO_EPISODE:
                    kept[number].ticks += count
                    seen[number] = kept[number]
        lasting = np.array([n for n, e in seen.items() if e.lasts_s(now_s) >= PERSISTENT_S], dtype=np.int32)
        persistent = np.isin(labels.racks.episode, lasting)
        return Labels(labels.first_tick, labels.racks, labels.rows, labels.loops, seen, persistent)


def _empty(kind: Truth, ticks: int) -> Assets:
    shape = (ticks, len(kind.assets))
    return Assets(np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int32))
