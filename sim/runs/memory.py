"""A run kept whole in memory, for whoever reads it as frames or measures it as arrays."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from sim.common.errors import InputError
from sim.engine.blocks import Labels, Telemetry
from sim.engine.build import Hall, build, resolve
from sim.incidents.labels import IncidentEvent
from sim.model.episodes import Episode
from sim.runs.arrays import RunArrays, join_blocks
from sim.runs.files import RunFiles, refuse_replacing, tables_of, written_paths
from sim.runs.run import COUNTERS_ASKED, Run, read_events
from sim.runs.sinks import EventSink
from sim.scenario.checks import parse_scenario
from sim.scenario.request_trace import RequestTrace


class MemorySink:
    """Keeps everything a run hands out, so it is for runs that fit in memory; what it makes of it, once it is over.

    truth: also what was true before sensors, and the twin's truth, which takes half the room. trace: what drives the
    load, where that is a trace.
    """

    def __init__(self, hall: Hall, *, truth: bool = True, trace: RequestTrace | None = None) -> None:
        self.hall = hall
        self.trace = trace
        self.name = hall.scenario.name
        self.telemetry_blocks: list[Telemetry] = []
        self.label_blocks: list[Labels] = []
        self.episodes: list[Episode] = []
        self.incidents: list[IncidentEvent] = []
        self._truth = truth
        self.told: list[Episode | IncidentEvent] = []

    def telemetry(self, block: Telemetry) -> None:
        """Keep readings."""
        self.telemetry_blocks.append(block if self._truth else _without_truth(block))

    def labels(self, block: Labels) -> None:
        """Keep the truth of ticks."""
        self.label_blocks.append(block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Keep episodes and incidents, each in the order in which they come."""
        self.told += finished
        self.episodes += [e for e in finished if isinstance(e, Episode)]
        self.incidents += [e for e in finished if isinstance(e, IncidentEvent)]

    @property
    def run(self) -> Run:
        """The run, once it is over."""
        return Run(_Memory(self))

    @cached_property
    def arrays(self) -> RunArrays:
        """The run as arrays, once it is over."""
        return join_blocks(self.hall, self.telemetry_blocks, self.label_blocks, self.episodes, self.incidents)

    def event_text(self) -> bytes:
        """Return the events file."""
        scenario, text = self.hall.scenario, io.BytesIO()
        EventSink(text, scenario.start, list(self.hall.profiles), scenario.duration).events(self.told)
        return text.getvalue()


def _without_truth(block: Telemetry) -> Telemetry:
    return replace(block, truth={}, twin=None if block.twin is None else _without_truth(block.twin))


class _Memory:
    """The tables of a run that a sink kept."""

    def __init__(self, kept: MemorySink) -> None:
        self.name = self.place = kept.name
        self._kept = kept
        self._tables = tables_of(kept.hall)

    def telemetry(self) -> pa.Table:
        """Make the readings a table."""
        return self._table(self._kept.telemetry_blocks)

    def twin(self) -> pa.Table:
        """Make the twin's readings a table."""
        blocks = [block.twin for block in self._kept.telemetry_blocks if block.twin is not None]
        if not blocks:
            raise InputError(f"{self.name}: has no incidents or incident_rates, so it is its own twin")
        return self._table(blocks)

    def gpu(self) -> pa.Table:
        """Make the counters of GPUs a table."""
        if not self._kept.hall.scenario.has_counters:
            raise InputError(f"{self.name}: was run without {COUNTERS_ASKED}")
        return pa.concat_tables([self._tables.counters(block) for block in self._kept.telemetry_blocks])

    def _table(self, blocks: Sequence[Telemetry]) -> pa.Table:
        return pa.concat_tables([self._tables.exact(block) for block in blocks])

    def labels(self) -> pa.Table:
        """Make the labels a table."""
        parts = [self._tables.labels(block, text=False) for block in self._kept.label_blocks]
        return pa.concat_tables(parts, promote_options="permissive")

    def events(self) -> pa.Table:
        """Make the events a table."""
        return read_events(self._kept.event_text())

    def manifest(self) -> dict[str, Any]:
        """Return what a manifest says of a run, as far as it does not speak of files."""
        scenario = self._kept.hall.scenario
        resolved = scenario.model_dump(mode="json")
        return {
            "status": "complete",
            "seed": scenario.seed,
            "ticks": scenario.tick_count,
            "racks": len(self._kept.hall.facility.racks),
            "scenario_sha256": hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest(),
            "scenario": resolved,
            "files": {},
        }

    def write(self, path: Path, *, labels: str, twin: bool) -> list[Path]:
        """Write the run's files, as if they had been written while it was under way."""
        kept, scenario = self._kept, self._kept.hall.scenario
        paths = written_paths(
            self.name, path, labels, twin=twin and scenario.has_incidents, counters=scenario.has_counters
        )
        refuse_replacing(paths, [Path(scenario.demand.file)] if scenario.demand.file else [])
        with RunFiles(paths, kept.hall, kept.trace) as files:
            for readings in kept.telemetry_blocks:
                files.telemetry(readings)
            for truth in kept.label_blocks:
                files.labels(truth)
            files.events(kept.told)
        return paths.written

    def arrays(self) -> RunArrays:
        """Return the run as arrays."""
        return self._kept.arrays


def record(scenario: dict[str, Any], *, truth: bool = True) -> RunArrays:
    """Run a scenario's keys to the end in memory, with the truth before sensors or without."""
    hall = resolve(parse_scenario({"name": "recorded", **scenario}, "recorded"))
    kept = MemorySink(hall, truth=truth)
    build(hall, [kept]).run()
    return kept.arrays
